"""Calls of the git program. The name of each function says what it returns.

No call depends on the settings and the variables by which a user hides something from git
(`neutral`). Every call strips from the environment what git itself calls local to a repository:
with a leaked `GIT_DIR`, for example inside a hook, `git -C plain` acts on another repository.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from gitorch.errors import GitorchError, ProgramMissing
from gitorch.git.neutral import NEUTRAL, PASSED_ON, VARIABLES, options, values
from gitorch.tools.programs import run_program, standard_input

# The beginnings of the variables that pass on a caller's settings (`git -c`, GIT_CONFIG_COUNT).
# Only the calls that read settings keep these variables.
SETTING_VARIABLES = (
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_VALUE_",
)
# A shell that waits for the rest of its arguments. It has the lock as its standard input, which its
# child does not inherit.
_UNDER_LOCK = ("sh", "-c", '"$@" </dev/null; exit $?', "sh")
_NEUTRAL = options(values(NEUTRAL))
_OLDEST = (2, 34)  # that of Ubuntu 22.04
_UNKNOWN_OPTION = 129  # git's exit code


_PROMISOR = "promisor remote"
_OF_PARTIAL_CLONE = (
    "this is a partial clone, which fetches files when they are needed: try again when its remote "
    "can be reached (git remote -v)"
)


class GitFailed(GitorchError):
    """git ended with an error. `stderr` is git's message."""

    kind = "git"

    def __init__(self, arguments: tuple[str, ...], code: int, stderr: str) -> None:
        self.arguments = arguments
        self.code = code
        self.stderr = stderr
        reason = stderr.strip().removeprefix("fatal: ") or f"exit code {code}"
        hint = _OF_PARTIAL_CLONE if _PROMISOR in stderr else None
        super().__init__(f"git {_verb(arguments)}: {reason}", hint)


def child_environment() -> dict[str, str]:
    """Return the environment for a child that must find its repository by its directory alone."""
    environment = {}
    for name, value in os.environ.items():
        if not name:
            continue  # a caller can pass an entry without a name, which cannot be passed on
        if not name.startswith("GIT_") or name.startswith(PASSED_ON):
            environment[name] = value
    environment.update(VARIABLES)
    return environment


def run_git(
    root: Path,
    *arguments: str | Path,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
    lock: int | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run git in `root` until it ends, with any exit code.

    `env` is added to the stripped environment. The lock with the descriptor `lock` stays held until
    git ends, even if the caller is killed. It is not held by the daemons that git starts. Raises
    UserInterrupted.
    """
    command = _command(root, arguments)
    stdin = subprocess.DEVNULL
    if lock is not None:
        command = [*_UNDER_LOCK, *command]
        stdin = lock
    try:
        return run_program(
            command,
            env={**child_environment(), **(env or {})},
            awaited=f"git {_verb(tuple(map(str, arguments)))}",
            input=input,
            stdin=stdin,
        )
    except FileNotFoundError:
        raise ProgramMissing(
            "git is not installed",
            "install it, for example with: apt-get install git",
        ) from None


def call_git(
    root: Path,
    *arguments: str | Path,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
    lock: int | None = None,
) -> bytes:
    """Return git's stdout. Raises GitFailed."""
    result = run_git(root, *arguments, input=input, env=env, lock=lock)
    if result.returncode:
        raise _failure(arguments, result)
    return result.stdout


@contextmanager
def stream_git(
    root: Path, *arguments: str | Path, input: bytes
) -> Iterator[IO[bytes]]:
    """Yield git's stdout as a stream, for output that is too large for memory.

    Raises GitFailed at the end.
    """
    command = _command(root, arguments)
    with (
        standard_input(input) as stdin,
        subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            env=child_environment(),
        ) as process,
    ):
        try:
            yield cast("IO[bytes]", process.stdout)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        failed = GitFailed(tuple(map(str, arguments)), process.returncode, "")
        promisors = ("config", "--get-regexp", r"^remote\..*\.promisor$")
        if run_git(root, *promisors).returncode == 0:
            failed.hint = _OF_PARTIAL_CLONE
        raise failed


def call_git_text(
    root: Path,
    *arguments: str | Path,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Return git's stdout without the trailing newline.

    Undecodable bytes become surrogates (os.fsdecode).
    """
    return os.fsdecode(
        call_git(root, *arguments, input=input, env=env)
    ).removesuffix("\n")


def call_git_lines(
    root: Path,
    *arguments: str | Path,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the lines that git prints."""
    text = call_git_text(root, *arguments, input=input, env=env)
    return text.split("\n") if text else []


def call_git_items(
    root: Path,
    *arguments: str | Path,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the items that git prints with `-z`.

    git ends each item with a NUL, so a file name may contain any other character.
    """
    text = os.fsdecode(call_git(root, *arguments, input=input, env=env))
    return text.removesuffix("\0").split("\0") if text else []


def call_git_success(
    root: Path,
    *arguments: str | Path,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> bool:
    """Return True if git answers yes (exit code 0), False if no (1).

    Raises GitFailed if git cannot tell.
    """
    result = run_git(root, *arguments, input=input, env=env)
    if result.returncode not in (0, 1):
        raise _failure(arguments, result)
    return result.returncode == 0


def _command(root: Path, arguments: tuple[str | Path, ...]) -> list[str]:
    """Return the command line. `git config` shows the settings as the user has them."""
    neutral = () if arguments[0] == "config" else _NEUTRAL
    return ["git", "-C", os.fspath(root), *neutral, *map(str, arguments)]


def _failure(
    arguments: tuple[str | Path, ...], result: subprocess.CompletedProcess[bytes]
) -> GitorchError:
    if result.returncode == _UNKNOWN_OPTION and (error := too_old()):
        return error
    return GitFailed(
        tuple(map(str, arguments)), result.returncode, os.fsdecode(result.stderr)
    )


def too_old() -> ProgramMissing | None:
    """Return the error that explains what git does not know, or None if git is new enough."""
    ended = subprocess.run(
        ["git", "--version"], capture_output=True, text=True, check=False
    )
    version = re.search(r"(\d+)\.(\d+)", ended.stdout)
    if version is None or tuple(map(int, version.groups())) >= _OLDEST:
        return None
    oldest = ".".join(map(str, _OLDEST))
    return ProgramMissing(
        f"{ended.stdout.strip()} is too old", f"install git {oldest} or newer"
    )


def _verb(arguments: tuple[str, ...]) -> str:
    """Return the subcommand: the first argument that is neither an option nor the value of `-c`."""
    words = iter(arguments)
    for word in words:
        if word in ("-c", "-C"):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return " ".join(arguments)
