"""The settings of gitorch: `git config gitorch.<name>`, all of them in one table.

The order of precedence is: option of the command, git configuration, default of this table. Names
are compared without regard to case, as in git. `render_settings` makes the table of the README.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from gitorch.errors import UsageError
from gitorch.model.text.quantities import parse_duration, parse_size

_PREFIX = "gitorch."
_FACTORS = {
    "k": 1 << 10,
    "m": 1 << 20,
    "g": 1 << 30,
}  # the suffixes of numbers in git-config(1)


class Settings(Struct, frozen=True, kw_only=True):
    """The values of all settings. None: the machine or the repository decides."""

    branch: str
    jobs: str
    dirty: str
    grace_s: int
    large_file_bytes: int
    workspace: str | None
    state_dir: str | None
    cpus: int | None
    gpus: int | None
    memory_bytes: int | None
    ledger_dir: str | None
    error_retention: str
    lost_limit: int
    sweep_limit: int
    worktrees_ahead: int
    templates: int
    checkout_workers: int


class Setting(NamedTuple):
    """One row of the table.

    `field` is its name in `Settings`; `default` is written as in the configuration of git.
    """

    name: str
    field: str
    default: str | None
    parse: Callable[[str], Any]
    meaning: str


def _number(text: str) -> int:
    """Parse a whole number, with git's suffixes k, m and g. Raises ValueError."""
    factor = _FACTORS.get(text[-1:].lower(), 1)
    digits = text if factor == 1 else text[:-1]
    try:
        return int(digits) * factor
    except ValueError:
        raise ValueError("is not a whole number") from None


def _dirty(text: str) -> str:
    if text not in ("refuse", "snapshot"):
        raise ValueError("is neither 'refuse' nor 'snapshot'")
    return text


def _duration(text: str) -> str:
    """Return the text of a valid duration, which messages repeat as written. Raises ValueError."""
    parse_duration(text)
    return text


SETTINGS = (
    Setting(
        "jobs", "jobs", "1", str,
        "How many tasks `gitorch run` executes at a time. `auto`: one for each core.",
    ),
    Setting(
        "dirty", "dirty", "refuse", _dirty,
        "What `ready` does about uncommitted changes. `snapshot` pins the files as they are.",
    ),
    Setting(
        "branch", "branch", "gitorch/results", str,
        "The results branch.",
    ),
    Setting(
        "workspace", "workspace", None, str,
        "The directory of worktrees and live outputs. Default: beside the repository.",
    ),
    Setting(
        "stateDir", "state_dir", None, str,
        "The directory of queue and locks, on a local disk. Default: in the git directory.",
    ),
    Setting(
        "largeFile", "large_file_bytes", "1m", _number,
        "Files larger than this are stored as Git LFS objects.",
    ),
    Setting(
        "grace", "grace_s", "3", _number,
        "Seconds that a process has to end by itself before it is killed.",
    ),
    Setting(
        "errorRetention", "error_retention", "30d", _duration,
        "How long a run stays in ERROR before `collect` moves it to FAILED.",
    ),
    Setting(
        "lostLimit", "lost_limit", "3", _number,
        "After how many lost attempts in a row a task is in ERROR.",
    ),
    Setting(
        "sweepLimit", "sweep_limit", "10000", _number,
        "The largest number of runs to which one config may expand.",
    ),
    Setting(
        "cpus", "cpus", None, _number,
        "CPUs that tasks may share. Default: all of the machine.",
    ),
    Setting(
        "gpus", "gpus", None, _number,
        "GPUs that tasks may share. Default: all of the machine.",
    ),
    Setting(
        "memory", "memory_bytes", None, parse_size,
        "Memory that tasks may share, such as `16GiB`. Default: all of the machine.",
    ),
    Setting(
        "ledgerDir", "ledger_dir", None, str,
        "Where the workers of a machine record what they use. Default: `/tmp/gitorch-<uid>`.",
    ),
    Setting(
        "worktreesAhead", "worktrees_ahead", "8", _number,
        "For how many waiting runs a worktree is prepared in advance.",
    ),
    Setting(
        "templates", "templates", "4", _number,
        "For how many commits a template is kept from which worktrees are copied.",
    ),
    Setting(
        "checkoutWorkers", "checkout_workers", "4", _number,
        "How many processes git uses to check out a worktree.",
    ),
)  # fmt: skip


def parse_settings(configured: Mapping[str, str]) -> Settings:
    """Return the settings of git's configuration (lower-case full name -> value).

    Raises UsageError if a value is invalid.
    """
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        text = configured.get(f"{_PREFIX}{setting.name}".lower())
        if text is None or (text == "" and setting.parse is str):
            text = setting.default
        values[setting.field] = None if text is None else _parsed(setting, text)
    return Settings(**values)


def unknown_settings(names: Iterable[str]) -> list[str]:
    """Return a message for each `gitorch.*` name that is not a setting.

    The message suggests a setting with a similar name, if there is one.
    """
    known = {setting.name.lower(): setting.name for setting in SETTINGS}
    unknown = []
    for name in names:
        if name.startswith(_PREFIX) and name.removeprefix(_PREFIX) not in known:
            unknown.append(name)
    if not unknown:
        return []
    from gitorch.model.text.spelling import did_you_mean  # noqa: PLC0415  difflib: only for a typo

    messages = []
    for name in unknown:
        suggestion = did_you_mean(name.removeprefix(_PREFIX), known.values())
        messages.append(f"gitorch has no setting {name}{suggestion}")
    return messages


def render_settings() -> str:
    """Return the table of all settings in Markdown."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default else ""
        lines.append(
            f"| `{_PREFIX}{setting.name}` | {default} | {setting.meaning} |"
        )
    return "\n".join(lines) + "\n"


def _parsed(setting: Setting, text: str) -> Any:
    try:
        return setting.parse(text)
    except ValueError as error:
        name = f"{_PREFIX}{setting.name}"
        example = f"; the default is {setting.default}" if setting.default else ""
        raise UsageError(
            f"the setting {name}: {text!r} {error}",
            f"git config --show-origin {name} shows where it is set{example}",
        ) from None
