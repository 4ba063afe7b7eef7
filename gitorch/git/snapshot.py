"""A commit made of the working tree as it is.

The working tree, the index, the stash and the branches do not change. New objects are written into
a separate object directory and then published as one kept pack, so that `git gc --prune=now` cannot
delete them before the pin refers to them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from gitorch.errors import Refused
from gitorch.git.command import call_git, call_git_items, call_git_text
from gitorch.git.file_system import comparing_settings
from gitorch.git.hidden import clear_flags, flagged_files
from gitorch.git.neutral import options
from gitorch.git.pins import keep_locked, resolve
from gitorch.git.repository import Repository
from gitorch.git.status import StatusItem, StatusKind, read_status
from gitorch.git.store.lock import locked
from gitorch.git.store.pack import publish_pack
from gitorch.git.worktree.large_files import lfs_settings
from gitorch.model.run.pin import Origin, Pin
from gitorch.model.text.phrases import some
from gitorch.tools.faults import boundary

_MIB = 1 << 20


def snapshot(repo: Repository, *, size_limit: int) -> Pin:
    """Commit the working tree as it is; return the pin, which keeps the commit alive.

    Untracked files that are not ignored are included. If nothing differs from HEAD, return HEAD's
    pin. Raises Refused if something would be missing from the commit (nested repositories, changes
    inside submodules), in the middle of a merge, and if the untracked files have more than
    `size_limit` bytes altogether.
    """
    repo.require_no_merge()
    head = resolve(repo, repo.require_commit(), Origin.HEAD)
    _require_capturable(repo, size_limit)
    aside = repo.store_dir / "snapshots"
    aside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=aside) as directory:
        room = Path(directory)
        environment = _environment(repo, room)
        tree = _write_tree(repo, environment)
        if tree == head.tree:
            return head
        message = (
            f"The working tree on top of {head.commit[:12]}, as gitorch found it"
        )
        command = ("commit-tree", "-p", head.commit, "-m", message, tree)
        commit = call_git_text(repo.root, *command, env=environment)
        _publish(repo, room, environment, commit, head.commit)
    return resolve(repo, commit, Origin.SNAPSHOT)


def ignored_by_git(repo: Repository) -> tuple[str, ...]:
    """Return the paths that a snapshot leaves out, as `git status --ignored` names them.

    A directory in which everything is ignored stands for all files in it.
    """
    # With --no-empty-directory, git leaves out ignored files in untracked directories (2.39).
    listing = ("ls-files", "--others", "--ignored", "--exclude-standard", "-z")
    named: list[str] = []
    for path in sorted(call_git_items(repo.root, *listing, "--directory")):
        is_in_last = (
            named and named[-1].endswith("/") and path.startswith(named[-1])
        )
        if is_in_last or (path.endswith("/") and not _has_files(repo.root / path)):
            continue
        named.append(path)
    return tuple(named)


def _has_files(directory: Path) -> bool:
    for parent, directories, files in os.walk(directory):
        links = (Path(parent, name).is_symlink() for name in directories)
        if files or any(links):
            return True
    return False


def _require_capturable(repo: Repository, size_limit: int) -> None:
    """Raise Refused if `git add` would leave something out, or if there is too much to add."""
    conflicts: list[str] = []
    nested: list[str] = []
    submodules: list[str] = []
    with_untracked: list[str] = []
    untracked: list[str] = []
    for item in read_status(repo, ignore_submodules="none"):
        match item:
            case StatusItem(StatusKind.UNMERGED, path):
                conflicts.append(path)
            case StatusItem(StatusKind.UNTRACKED, path) if path.endswith("/"):
                nested.append(path)
            case StatusItem(StatusKind.UNTRACKED, path):
                untracked.append(path)
            case StatusItem(StatusKind.CHANGED, path, submodule) if (
                submodule[2:3] == "M"
            ):
                submodules.append(path)
            case StatusItem(StatusKind.CHANGED, path, submodule) if (
                submodule[3:4] == "U"
            ):
                with_untracked.append(path)
    if conflicts:
        raise Refused(
            f"{some(conflicts)} is in conflict", "resolve it, then git add it"
        )
    if nested:
        raise Refused(
            f"a snapshot cannot hold {some(nested)}: a git repository of its own",
            "add it to .gitignore, or make it a submodule",
        )
    if submodules:
        raise Refused(
            f"a snapshot cannot hold the changes inside the submodule {some(submodules)}",
            "commit them there first",
        )
    if with_untracked:
        raise Refused(
            "a snapshot cannot hold the untracked files inside the submodule "
            f"{some(with_untracked)}",
            "commit them there first, or add them to the .gitignore there",
        )
    _require_small(repo, untracked, size_limit)


def _require_small(repo: Repository, untracked: list[str], size_limit: int) -> None:
    sizes = {path: _size(repo.root / path) for path in untracked}
    total = sum(sizes.values())
    if total > size_limit:
        largest = sorted(
            untracked, key=lambda path: (sizes[path], path), reverse=True
        )
        raise Refused(
            f"the untracked files have {total / _MIB:.1f} MiB, "
            f"and a snapshot takes {size_limit / _MIB:.1f}; the largest: {some(largest)}",
            "name what does not belong to the code in .gitignore",
        )


def _environment(repo: Repository, room: Path) -> dict[str, str]:
    """Prepare an index and an object directory in `room`; return the environment to use them.

    git can also read the repository's own objects in this environment.
    """
    index = repo.git_dir / "index"
    if index.exists():
        # The copy keeps the modification time, because git compares it with the times of the files
        # to find those that may have changed within the same clock tick.
        shutil.copy2(index, room / "index")
    (room / "objects" / "pack").mkdir(parents=True)
    name, email = repo.signature()
    return {
        "GIT_INDEX_FILE": str(room / "index"),
        "GIT_OBJECT_DIRECTORY": str(room / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(repo.common_dir / "objects"),
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
    }


def _quoted(path: Path) -> str:
    """Return a path for git's lists of paths, quoted so that a colon does not divide it."""
    escaped = str(path).replace("\\", "\\\\")
    escaped = escaped.replace('"', '\\"')
    return f'"{escaped}"'


def _write_tree(repo: Repository, environment: dict[str, str]) -> str:
    """Write the working tree as a tree object; return its oid."""
    flags = options(
        {
            **comparing_settings(repo),
            **lfs_settings(repo),
            # The hook post-index-change would run for an index that is not the user's.
            "core.hooksPath": os.devnull,
        }
    )
    flagged = flagged_files(repo.root, environment)
    if flagged:
        clear_flags(repo.root, flagged, environment, flags)
    command = ("add", "--all", "--sparse", "--", ".")
    call_git(repo.root, *flags, *command, env=environment)
    # `write-tree` reads files that have changed in the same clock tick as the index.
    return call_git_text(repo.root, *flags, "write-tree", env=environment)


def _publish(
    repo: Repository,
    room: Path,
    environment: dict[str, str],
    commit: str,
    head: str,
) -> None:
    """Pack all objects of `commit` that HEAD does not have, and pin the commit.

    The pack includes unreachable objects that the repository already has, since a gc may be about
    to delete these.
    """
    revisions = f"{commit}\n^{head}\n".encode()
    packing = ("pack-objects", "--revs", "-q", "--delta-base-offset", room / "pack")
    name = call_git_text(repo.root, *packing, input=revisions, env=environment)
    pack, index = room / f"pack-{name}.pack", room / f"pack-{name}.idx"
    _flush(pack)
    _flush(index)
    with locked(repo):
        kept = publish_pack(pack, index, repo.common_dir / "objects" / "pack", name)
        keep_locked(repo, commit)
        kept.release()


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        boundary()


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
