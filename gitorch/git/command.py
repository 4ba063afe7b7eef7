"""The git program: one family of calls, named by what you get back.

Every call strips from the environment what git itself calls local to a repository: with a leaked `GIT_DIR`, as inside a
hook, `git -C plain` acts on another repository.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from gitorch.errors import GitorchError, ProgramMissing

# What `git rev-parse --local-env-vars` prints, of all versions since 2.39.
LOCAL_VARIABLES = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
# Those by which a caller hands settings down (`git -c`, GIT_CONFIG_COUNT): only the reading of settings keeps them.
SETTING_VARIABLES = frozenset({"GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"})


class GitFailed(GitorchError):
    """git ended with an error; `stderr` is what it said."""

    kind = "git"

    def __init__(self, arguments: tuple[str, ...], code: int, stderr: str) -> None:
        self.arguments = arguments
        self.code = code
        self.stderr = stderr
        said = stderr.strip().removeprefix("fatal: ") or f"exit code {code}"
        super().__init__(f"git {_verb(arguments)}: {said}")


def child_environment(keep: frozenset[str] = frozenset()) -> dict[str, str]:
    """The environment for a child that must find its repository by its directory alone."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in LOCAL_VARIABLES or name in keep
    }


def run_git(
    root: Path,
    *arguments: str | Path,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
    inherit: tuple[int, ...] = (),
) -> subprocess.CompletedProcess[bytes]:
    """Run git in `root` to its end, whatever that is; `env` is laid over the stripped environment.

    git and what it starts hold the descriptors `inherit` open, and so the locks on them, even if the caller is killed.
    """
    command = ["git", "-C", os.fspath(root), *map(str, arguments)]
    environment = {**child_environment(), **(env or {})}
    try:
        return subprocess.run(
            command,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            env=environment,
            pass_fds=inherit,
            check=False,
        )
    except FileNotFoundError:
        raise ProgramMissing(
            "git is not installed", "install it, for example with: apt-get install git"
        ) from None


def call_git(
    root: Path,
    *arguments: str | Path,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
    inherit: tuple[int, ...] = (),
) -> bytes:
    """What git prints. Raises GitFailed."""
    result = run_git(root, *arguments, input=input, env=env, inherit=inherit)
    if result.returncode:
        raise GitFailed(tuple(map(str, arguments)), result.returncode, os.fsdecode(result.stderr))
    return result.stdout


@contextmanager
def reading_git(root: Path, *arguments: str | Path, input: bytes) -> Iterator[IO[bytes]]:
    """What git prints, to be read as it comes: for more than should be held in memory. Raises GitFailed at the end."""
    import tempfile  # noqa: PLC0415  1 ms, and seldom needed

    with tempfile.TemporaryFile() as asked:  # a pipe would fill while git waits to be read
        asked.write(input)
        asked.seek(0)
        command = ["git", "-C", os.fspath(root), *map(str, arguments)]
        with subprocess.Popen(
            command, stdin=asked, stdout=subprocess.PIPE, env=child_environment()
        ) as process:
            try:
                yield cast("IO[bytes]", process.stdout)
            except BaseException:
                process.kill()
                raise
    if process.returncode:
        raise GitFailed(tuple(map(str, arguments)), process.returncode, "")


def call_git_text(
    root: Path,
    *arguments: str | Path,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """What git prints, less the last line's end; bytes that are no UTF-8 come as in file names."""
    return os.fsdecode(call_git(root, *arguments, input=input, env=env)).removesuffix("\n")


def call_git_lines(
    root: Path,
    *arguments: str | Path,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> list[str]:
    """The lines that git prints."""
    text = call_git_text(root, *arguments, input=input, env=env)
    return text.split("\n") if text else []


def call_git_items(
    root: Path,
    *arguments: str | Path,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> list[str]:
    """The items of output in which each ends with a NUL (`-z`), so that any file name is whole."""
    text = os.fsdecode(call_git(root, *arguments, input=input, env=env))
    return text.removesuffix("\0").split("\0") if text else []


def call_git_success(
    root: Path,
    *arguments: str | Path,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> bool:
    """Whether git's answer is yes (exit code 0) or no (1). Raises GitFailed where it cannot tell."""
    result = run_git(root, *arguments, input=input, env=env)
    if result.returncode not in (0, 1):
        raise GitFailed(tuple(map(str, arguments)), result.returncode, os.fsdecode(result.stderr))
    return result.returncode == 0


def _verb(arguments: tuple[str, ...]) -> str:
    """The subcommand among `arguments`: the first that is neither an option nor the value of `-c`."""
    words = iter(arguments)
    for word in words:
        if word in ("-c", "-C"):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return " ".join(arguments)
