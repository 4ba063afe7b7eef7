"""The commands of `environment:`, whose output says what the tasks of a run ran with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from gitorch.tools.programs import TookTooLong, run_program

TIME_LIMIT_S = 30.0
LONGEST = 16 << 10  # bytes of the output of one command
# A shell that runs its first argument, cuts the output of both streams, and prints the exit code
# to its own stderr.
_CUT = f'{{ sh -c "$1" 2>&1 3>&-; echo $? >&3; }} 3>&2 | head -c {LONGEST}'


def report(
    commands: Iterable[str], *, tree: Path, env: Mapping[str, str]
) -> dict[str, str]:
    """Return the output of each command, run in `tree`. A failure is part of the output."""
    return {command: _output(command, tree, env) for command in commands}


def _output(command: str, tree: Path, env: Mapping[str, str]) -> str:
    try:
        ended = run_program(
            ["sh", "-c", _CUT, "sh", command],
            env=env,
            awaited=f"the command of environment: {command}",
            cwd=tree,
            bound_s=TIME_LIMIT_S,
        )
    except TookTooLong:
        return f"(it did not end within {TIME_LIMIT_S:g} s)"
    except (OSError, ValueError) as error:
        return f"(it could not be run: {error})"
    output = ended.stdout.decode("utf-8", "replace").replace("\0", "").strip()
    code = ended.stderr.decode("ascii", "replace").strip()
    if code != "0":
        output = f"{output} (exit code {code})".lstrip()
    return output
