"""The settings of gitorch (`git config gitorch.<name>`), defined in one table.

The order of precedence is: command-line option, git configuration, default in this table. Names are
case-insensitive, as in git. `render_settings` generates the table in README.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from gitorch.errors import UsageError
from gitorch.model.text.quantities import parse_duration, parse_size

_PREFIX = "gitorch."
# The suffixes of numbers in git-config(1).
_FACTORS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Settings(Struct, frozen=True, kw_only=True):
    """The values of all settings.

    A value of None is replaced with one that depends on the machine or the repository.
    """

    branch: str
    jobs: str
    dirty: str
    secrets: str
    secret: tuple[str, ...]
    record_env: tuple[str, ...]
    grace_s: int
    python: str | None
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
    used: bool
    engine: str
    opener: str | None
    slurm: Mapping[str, Any]
    dask: Mapping[str, Any]


class Setting(NamedTuple):
    """One row of the table.

    `field` is the field of `Settings` that holds the value. `default` is text, as it would be
    written in git's configuration.
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


def _secrets(text: str) -> str:
    if text not in ("refuse", "allow"):
        raise ValueError("is neither 'refuse' nor 'allow'")
    return text


def _truth(text: str) -> bool:
    """Parse a boolean of git's configuration. Raises ValueError."""
    if text.lower() in ("true", "yes", "on", "1"):
        return True
    if text.lower() in ("false", "no", "off", "0", ""):
        return False
    raise ValueError("is neither 'true' nor 'false'")


def _globs(text: str) -> tuple[str, ...]:
    """Parse globs that are separated by commas or blanks."""
    return tuple(text.replace(",", " ").split())


def _duration(text: str) -> str:
    """Return the text unchanged if it is a valid duration, since messages repeat it as written.

    Raises ValueError.
    """
    parse_duration(text)
    return text


SETTINGS = (
    Setting(
        "jobs", "jobs", "1", str,
        "How many tasks `gitorch run` executes at the same time. `auto`: one per core.",
    ),
    Setting(
        "dirty", "dirty", "refuse", _dirty,
        "What `ready` does about uncommitted changes. `snapshot` pins the files as they are.",
    ),
    Setting(
        "secrets", "secrets", "refuse", _secrets,
        "What `ready` does about a secret in a config. `allow` records it without a word.",
    ),
    Setting(
        "python", "python", None, str,
        "The `python:` of configs that name none: a path, a program, or `uv`.",
    ),
    Setting(
        "secret", "secret", "", _globs,
        "Globs of variables that hold secrets, beside those named `*TOKEN*` and the like.",
    ),
    Setting(
        "recordEnv", "record_env", "", _globs,
        "Globs of variables whose values are recorded, beside those of threads and libraries.",
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
        "The directory of the queue and the locks, on a local disk. Default: in the git directory.",
    ),
    Setting(
        "largeFile", "large_file_bytes", "1m", _number,
        "Files larger than this are stored as Git LFS objects.",
    ),
    Setting(
        "grace", "grace_s", "3", _number,
        "The number of seconds that a process has to end by itself before it is killed.",
    ),
    Setting(
        "errorRetention", "error_retention", "30d", _duration,
        "How long a run stays in ERROR before `collect` moves it to FAILED.",
    ),
    Setting(
        "lostLimit", "lost_limit", "3", _number,
        "The number of lost attempts in a row after which a task is in ERROR.",
    ),
    Setting(
        "sweepLimit", "sweep_limit", "10000", _number,
        "The largest number of runs to which one config may expand.",
    ),
    Setting(
        "cpus", "cpus", None, _number,
        "The number of CPUs that tasks may share. Default: all CPUs of the machine.",
    ),
    Setting(
        "gpus", "gpus", None, _number,
        "The number of GPUs that tasks may share. Default: all GPUs of the machine.",
    ),
    Setting(
        "memory", "memory_bytes", None, parse_size,
        "The memory that tasks may share, such as `16GiB`. Default: all memory of the machine.",
    ),
    Setting(
        "ledgerDir", "ledger_dir", None, str,
        "Where the workers of a machine list the resources in use. Default: `/tmp/gitorch-<uid>`.",
    ),
    Setting(
        "worktreesAhead", "worktrees_ahead", "8", _number,
        "The number of waiting runs for which a worktree is prepared in advance.",
    ),
    Setting(
        "templates", "templates", "4", _number,
        "The number of commits for which a template is kept, to copy worktrees from.",
    ),
    Setting(
        "checkoutWorkers", "checkout_workers", "4", _number,
        "The number of processes that git uses to check out a worktree.",
    ),
    Setting(
        "used", "used", "true", _truth,
        "Record which files a Python task reads. It makes each call of `id` slower.",
    ),
    Setting(
        "engine", "engine", "local", str,
        "What executes the tasks that name no `engine`: `local`, `slurm`, `dask`, or a plug-in.",
    ),
    Setting(
        "opener", "opener", None, str,
        "The command that `gitorch open` opens files with. Default: `xdg-open`; on macOS, `open`.",
    ),
    Setting(
        "slurm.*", "slurm", None, str,
        "Options of all jobs in Slurm, such as `gitorch.slurm.partition`: `gitorch help clusters`.",
    ),
    Setting(
        "dask.*", "dask", None, str,
        "`gitorch.dask.scheduler`: the address of the scheduler. `gitorch.dask.lease`: "
        "how many seconds a host may be silent (30).",
    ),
)  # fmt: skip

_WITH_GLOBS = ("gitorch.secret", "gitorch.recordenv")


_SLURM = "gitorch.slurm."
_DASK = "gitorch.dask."
_SETUP = f"{_SLURM}setup"


def given_value(name: str, values: Sequence[str]) -> str:
    """Return the value of a setting that is given several times: the last, but globs add up.

    The lines of the setup of a job add up too.
    """
    if name == _SETUP:
        return "\n".join(values)
    if name in _WITH_GLOBS:
        return " ".join(values)
    return values[-1]


def parse_settings(configured: Mapping[str, str]) -> Settings:
    """Return the settings that git's configuration and the defaults give.

    `configured` maps the full names, in lower case, to the values. Raises UsageError if a value is
    invalid.
    """
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        full_name = f"{_PREFIX}{setting.name}".lower()
        text = configured.get(full_name)
        is_blank = text == "" and setting.parse is str
        if text is None or is_blank:
            text = setting.default
        values[setting.field] = None if text is None else _parsed(setting, text)
    values["slurm"] = _options_below(_SLURM, configured)
    values["dask"] = _options_below(_DASK, configured)
    return Settings(**values)


def _options_below(prefix: str, configured: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of an engine by name. `true` stands for an option without a value."""
    options: dict[str, Any] = {}
    for name, text in configured.items():
        if name.startswith(prefix):
            words: dict[str, Any] = {"true": True, "false": False}
            options[name.removeprefix(prefix)] = words.get(text, text)
    return options


def unknown_settings(names: Iterable[str]) -> list[str]:
    """Return a message for each `gitorch.*` name that is not a setting.

    The message suggests a setting with a similar name, if there is one.
    """
    known = {setting.name.lower(): setting.name for setting in SETTINGS}
    unknown = []
    for name in names:
        if not name.startswith(_PREFIX) or name.startswith((_SLURM, _DASK)):
            continue
        if name.removeprefix(_PREFIX) not in known:
            unknown.append(name)
    if not unknown:
        return []
    from gitorch.model.text.spelling import did_you_mean  # noqa: PLC0415  loads difflib, needed only for a typo

    messages = []
    for name in unknown:
        suggestion = did_you_mean(name.removeprefix(_PREFIX), known.values())
        messages.append(f"gitorch has no setting {name}{suggestion}")
    return messages


def render_settings() -> str:
    """Return the table of all settings in Markdown."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for setting in SETTINGS:
        name = f"`{_PREFIX}{setting.name}`"
        default = f"`{setting.default}`" if setting.default else ""
        lines.append(f"| {name} | {default} | {setting.meaning} |")
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
