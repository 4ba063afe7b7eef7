"""Tracked files whose edits git overlooks, because of a flag in the index.

`git update-index --assume-unchanged` and `--skip-worktree` set the flags, and so does the setting
core.ignoreStat. A sparse checkout sets the second flag too, for files that are not there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from gitorch.git.command import call_git, call_git_text
from gitorch.git.file_system import comparing_settings
from gitorch.git.repository import Repository

# `ls-files -v` prints a lower-case letter for assume-unchanged and "S" for skip-worktree.
_FLAGGED = re.compile(rb"(?:\A|\0)(?:[a-z]|(S)) ([^\0]*)")


def flagged_files(
    root: Path, env: Mapping[str, str] | None = None, *, submodules: bool = False
) -> list[str]:
    """Return the files with such a flag, except those that a sparse checkout leaves out.

    With `submodules`, those in submodules are included.
    """
    options = ["-v", "-z"]
    if submodules:
        options.append("--recurse-submodules")
    flagged: list[str] = []
    for match in _FLAGGED.finditer(call_git(root, "ls-files", *options, env=env)):
        path = os.fsdecode(match[2])
        if not match[1] or os.path.lexists(root / path):
            flagged.append(path)
    return flagged


def how_to_reveal(repo: Repository, paths: Collection[str]) -> str | None:
    """Return the command after which git shows the edits of these files, None if it shows them."""
    flagged = [path for path in flagged_files(repo.root) if path in paths]
    if flagged:
        names = shlex.join(flagged)
        return f"git update-index --no-assume-unchanged --no-skip-worktree {names}"
    corrections = comparing_settings(repo)
    for name, value in corrections.items():
        return f"git config {name} {value}"
    return None


def clear_flags(
    root: Path,
    files: Sequence[str],
    env: Mapping[str, str],
    flags: Sequence[str],
) -> None:
    """Clear the flags of the files in the index that `env` names.

    `flags` are options of git: it may have to read files through their filters.
    """
    names = b"".join(os.fsencode(path) + b"\0" for path in files)
    for option in ("--no-assume-unchanged", "--no-skip-worktree"):
        command = (*flags, "update-index", option, "-z", "--stdin")
        call_git(root, *command, input=names, env=env)


@contextmanager
def index_without_flags(
    root: Path, files: Sequence[str], flags: Sequence[str]
) -> Iterator[dict[str, str]]:
    """Yield the environment for a copy of the index in which these files have no flags.

    Without files, the environment is empty, and git uses the index itself.
    """
    if not files:
        yield {}
        return
    import tempfile  # noqa: PLC0415  takes 2 ms, and is seldom needed

    where = ("rev-parse", "--path-format=absolute", "--git-path", "index")
    index = Path(call_git_text(root, *where))
    with tempfile.TemporaryDirectory() as room:
        copy = Path(room, "index")
        # The copy keeps the modification time, as in `snapshot`.
        shutil.copy2(index, copy)
        env = {"GIT_INDEX_FILE": str(copy)}
        clear_flags(root, files, env, flags)
        yield env
