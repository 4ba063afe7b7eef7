"""Git LFS files in worktrees: they have their content, whatever the user's settings are.

git-lfs delivers pointers instead of files if the user has switched smudging off, and git does so
where git-lfs is missing. A task would then compute with pointers without a message.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gitorch.errors import Refused
from gitorch.git.command import GitFailed, call_git, call_git_items
from gitorch.git.fetching import how_to_fetch
from gitorch.git.repository import Repository
from gitorch.git.worktree import lfs_filter
from gitorch.git.worktree.contract import Lacking
from gitorch.model.text.phrases import some

_SMUDGE_FAILED = re.compile(
    r"^(?:fatal|error): (.+): smudge filter lfs failed$", re.M
)
# Also of earlier versions of the format, and with extensions.
_POINTER = re.compile(rb"version http\S*\n(?:.*\n)*oid sha256:[0-9a-f]{64}\n")
_SHORTEST_POINTER, _LONGEST_POINTER = 100, 1024  # bytes
_ATTRIBUTES = ".gitattributes"
# The settings with which git writes the pointers of files that cannot be fetched.
POINTERS_ALLOWED = {
    "filter.lfs.required": "false",
    "lfs.skipdownloaderrors": "true",
}


def lfs_settings(repo: Repository) -> dict[str, str]:
    """Return the settings with which git delivers the content of LFS files.

    Without git-lfs, a filter of gitorch's own delivers those files that are in the local store.
    """
    if shutil.which("git-lfs"):
        return {
            "filter.lfs.process": "git-lfs filter-process",
            "filter.lfs.smudge": "git-lfs smudge -- %f",
            "filter.lfs.clean": "git-lfs clean -- %f",
        }
    [process] = repo.git_config.get("filter.lfs.process", [""])[-1:]
    program = shlex.split(process)[:1]
    if program and "--skip" not in process and shutil.which(program[0]):
        return {}  # a git-lfs that is not on PATH
    stores = (repo.lfs_dir / "objects", repo.store_dir / "objects")
    command = (sys.executable, "-I", "-S", lfs_filter.__file__, *map(str, stores))
    return {"filter.lfs.process": shlex.join(command)}


@contextmanager
def missing_files_named(
    repo: Repository, commit: str, *, of_submodule: bool = False
) -> Iterator[None]:
    """Turn a failure of the LFS filter in the block into a message that names the file."""
    try:
        yield
    except GitFailed as error:
        files = _SMUDGE_FAILED.findall(error.stderr)
        if not files:
            raise
        hint = how_to_fetch(repo, commit, of_submodule=of_submodule)
        raise _refused(files, commit, hint) from error


def require_content(
    repo: Repository,
    tree: Path,
    index: Path,
    commit: str,
    lacking: Lacking | None = None,
    *,
    of_submodule: bool = False,
) -> None:
    """Raise Refused if an LFS file in `tree`, just checked out with `index`, is still a pointer.

    That is so if the user's own attributes switch the filter off. With `lacking`, such files are
    added to it instead.
    """
    pointers = pointers_in(repo, tree, index)
    if lacking is not None:
        lacking.files += pointers
    elif pointers:
        hint = how_to_fetch(repo, commit, of_submodule=of_submodule)
        raise _refused(pointers, commit, hint)


def fetch_pointers(
    repo: Repository, tree: Path, index: Path, flags: tuple[str, ...]
) -> None:
    """Replace the pointers in `tree` by the content of the files, where git can fetch it now."""
    pointers = pointers_in(repo, tree, index)
    for name in pointers:
        os.utime(tree / name, ns=(0, 0))  # git would not write a file that it knows
    if pointers:
        command = (*flags, "checkout-index", "--force", "-u", "-z", "--stdin")
        call_git(tree, *command, input=os.fsencode("\0".join(pointers)))


def pointers_in(repo: Repository, tree: Path, index: Path) -> list[str]:
    """Return the LFS files that are pointers in `tree`, which was checked out with `index`."""
    if not _may_have_large_files(repo, tree, index):
        return []
    pointers: list[str] = []
    for name in call_git_items(tree, "ls-files", "-z"):
        if _is_pointer(tree / name):
            pointers.append(name)
    return _filtered(tree, pointers)


def _refused(files: Sequence[str], commit: str, hint: str) -> Refused:
    return Refused(
        f"the content of {some(files)} is not in this clone: "
        f"commit {commit[:12]} has only Git LFS pointers",
        hint,
    )


def _may_have_large_files(repo: Repository, tree: Path, index: Path) -> bool:
    """Return True if one of the files with attributes mentions LFS."""
    files = list(repo.attributes_files)
    # The index has the whole path of each file, so git need not be started to search it.
    if _ATTRIBUTES.encode() + b"\0" in index.read_bytes():
        everywhere = f":(top,glob)**/{_ATTRIBUTES}"
        for name in call_git_items(tree, "ls-files", "-z", "--", everywhere):
            files.append(tree / name)
    for path in files:
        with suppress(OSError):
            if b"lfs" in path.read_bytes():
                return True
    return False


def _is_pointer(path: Path) -> bool:
    try:
        size = path.lstat().st_size
        if not _SHORTEST_POINTER <= size < _LONGEST_POINTER or path.is_symlink():
            return False
        return _POINTER.match(path.read_bytes()) is not None
    except (
        OSError
    ):  # a submodule, or a file that the sparse checkout of the user leaves out
        return False


def _filtered(tree: Path, names: Sequence[str]) -> list[str]:
    """Return those files that the attributes, or those of the commit alone, give to LFS."""
    if not names:
        return []
    import tempfile  # noqa: PLC0415  takes 2 ms, and is seldom needed

    found = _with_filter(tree, names, {})
    with tempfile.TemporaryDirectory() as bare:
        # Attributes in the repository (info/attributes) cannot be switched off: use another one.
        Path(bare, "HEAD").write_text("ref: refs/heads/none\n")
        for directory in ("objects", "refs"):
            Path(bare, directory).mkdir()
        alone = {
            "GIT_DIR": bare,
            "GIT_WORK_TREE": str(tree),
            "GIT_ATTR_NOSYSTEM": "1",
        }
        found |= _with_filter(tree, names, alone)
    return sorted(found)


def _with_filter(
    tree: Path, names: Sequence[str], env: Mapping[str, str]
) -> set[str]:
    """Return the files that have the attribute `filter=lfs`."""
    command: tuple[str, ...] = ("check-attr", "-z", "--stdin", "filter")
    if env:
        command = ("-c", f"core.attributesFile={os.devnull}", *command)
    input = os.fsencode("\0".join(names))
    items = call_git_items(tree, *command, input=input, env=env)
    found: set[str] = set()
    for name, _, value in zip(items[::3], items[1::3], items[2::3], strict=True):
        if value == "lfs":
            found.add(name)
    return found
