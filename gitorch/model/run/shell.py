"""The shell of a command that is a text. The command is its last argument."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from msgspec.structs import replace

from gitorch.model.run.spec import RunSpec

# With these, a command fails if one of its lines fails, and in bash also if a part of a pipe fails.
# A run is the same run with either of them.
BASH = ("bash", "-eo", "pipefail", "-c")
SH = ("sh", "-ec")
DEFAULTS = (BASH, SH)
# The shell of the runs that were recorded before the shell was.
UNRECORDED = ("sh", "-c")


def default_shell(*, has_bash: bool) -> tuple[str, ...]:
    return BASH if has_bash else SH


def parse_shell(written: str | Sequence[str]) -> tuple[str, ...]:
    """Return the words of a shell that a config names: `bash`, `sh`, `zsh -e`, [dash, -c].

    Raises ValueError for an empty text or an open quote.
    """
    words = shlex.split(written) if isinstance(written, str) else list(written)
    if not words:
        raise ValueError("it names no program")
    if words == ["bash"]:
        return BASH
    takes_text = words[-1].startswith("-") and words[-1].endswith("c")
    if not takes_text:
        words.append("-c")
    return tuple(words)


def with_shell(spec: RunSpec, shell: tuple[str, ...]) -> RunSpec:
    """Return a spec in which every command that is a text has a shell; `shell` is the default."""
    tasks = []
    for task in spec.tasks:
        if isinstance(task.command, str) and task.shell is None:
            task = replace(task, shell=shell)
        tasks.append(task)
    return replace(spec, tasks=tuple(tasks))
