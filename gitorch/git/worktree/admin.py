"""The administrative directory of a worktree: how it is found, published, repaired and moved.

    <common>/worktrees/gitorch-<12 hex of the path>/
      HEAD commondir gitdir index locked     git's own
      gitorch.json                           gitorch's own, written once the worktree is whole

The name is computed from the path of the worktree, so that the directory of a worktree that a crash
left is found without a search. Every worktree is locked (`git worktree lock`), because
`git worktree prune` destroys unlocked worktrees when it runs while the workspace is not mounted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from functools import lru_cache
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import asdict

from gitorch.git.repository import Repository
from gitorch.tools.faults import boundary
from gitorch.tools.files import (
    delete,
    read_small,
    resolved,
    write_aside,
    write_small,
)
from gitorch.tools.process import boot_id

LOCK_REASON = "gitorch"
_MARK = "gitorch.json"
# The files of an administrative directory that no run has touched. The kept index of the commit,
# `index.<commit>`, is not listed here.
FILES = ("HEAD", "commondir", "gitdir", "index", "locked", _MARK)
_TRIES = 100  # other programs can get in the way of each
_NAME = re.compile(r"gitorch-[0-9a-f]{12}")


class Mark(Struct, frozen=True, kw_only=True):
    """The content of gitorch.json: the commit of a whole worktree, and its submodules' paths.

    Nested submodules are included. `sparse` are its directories, if it has only some. `is_partial`
    is True if something could not be fetched. `target` is set while the worktree is being brought
    to another commit: the worktree may then hold files of both commits. `boot` identifies the boot
    of the machine during which the mark was written: the files are not flushed, so a power cut may
    have emptied any of them.
    """

    commit: str
    submodules: tuple[str, ...] = ()
    target: str | None = None
    is_partial: bool = False
    sparse: tuple[str, ...] = ()
    boot: str = field(default_factory=boot_id)

    @property
    def is_of_this_boot(self) -> bool:
        return self.boot == boot_id()

    def write(self, admin: Path) -> None:
        write_aside(admin / _MARK, json.dumps(asdict(self)).encode())


def write_names(admin: Path, path: Path, commit: str) -> None:
    """Write all files that git reads in an administrative directory, except the index."""
    write_small(admin / "HEAD", f"{commit}\n".encode())
    write_small(admin / "commondir", b"../..\n")
    write_small(admin / "gitdir", _gitdir_line(path))
    write_small(admin / "locked", f"{LOCK_REASON}\n".encode())


def admin_directory(repo: Repository, path: Path) -> Path:
    """Return the administrative directory for a worktree at `path`, whether or not it exists."""
    return _admin_directory(repo.common_dir, path)


@lru_cache(maxsize=256)  # asked a dozen times for each run
def _admin_directory(common: Path, path: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(_with_real_parent(path))).hexdigest()
    return common / "worktrees" / f"gitorch-{digest[:12]}"


def _with_real_parent(path: Path) -> Path:
    """Return `path` with the symlinks of its parent resolved."""
    return resolved(path.parent) / path.name


def read_git_file(path: Path) -> Path | None:
    """Return the administrative directory that the `.git` file in `path` names."""
    try:
        line = read_small(f"{path}/.git")
    except OSError:
        return None
    if not line.startswith(b"gitdir: "):
        return None
    return Path(os.fsdecode(line[len(b"gitdir: ") :].rstrip(b"\n")))


def write_git_file(path: Path, admin: Path) -> None:
    """Make the `.git` file of the worktree at `path` name `admin`.

    A new `.git` file is written before the other files of the worktree, and an existing one is
    replaced by a rename. Therefore no reader sees an empty `.git` file next to other files.
    """
    file = path / ".git"
    line = _git_file_line(admin)
    pointed = read_git_file(path)
    if pointed is None:
        delete(file)  # a pipe or a directory, if a task made one
        write_small(file, line)
    elif pointed != admin:
        write_aside(file, line)


def _git_file_line(admin: Path) -> bytes:
    return b"gitdir: %s\n" % os.fsencode(admin)


def _gitdir_line(path: Path) -> bytes:
    """Return the line by which the administrative directory names its worktree."""
    return os.fsencode(_with_real_parent(path) / ".git") + b"\n"


def read_mark(repo: Repository, path: Path) -> Mark | None:
    """Return the mark of the worktree at `path`, or None.

    None means that the worktree is not whole, or is not this repository's.
    """
    admin = admin_directory(repo, path)
    if not _names(path, admin):
        return None
    try:
        value = json.loads(read_small(f"{admin}/{_MARK}"))
    except FileNotFoundError:
        return None
    except ValueError:  # a power cut can leave the file empty
        return None
    return Mark(
        commit=value["commit"],
        submodules=tuple(value["submodules"]),
        target=value["target"],
        is_partial=value.get("is_partial", False),
        sparse=tuple(value.get("sparse", ())),
        boot=value.get("boot", ""),
    )


def _names(path: Path, admin: Path) -> bool:
    """Return True if the `.git` file in `path` names `admin`."""
    try:
        line = read_small(f"{path}/.git")
    except OSError:
        return False
    return line == _git_file_line(admin) or read_git_file(path) == admin


def publish(repo: Repository, aside: Path, path: Path) -> Path:
    """Rename `aside` to the administrative directory of the worktree at `path`."""
    admin = admin_directory(repo, path)
    for _ in range(_TRIES):
        try:
            published = aside.rename(admin)
        except FileNotFoundError:
            if not aside.exists():
                raise
            # `git worktree prune` removes an empty `worktrees/`.
            admin.parent.mkdir(exist_ok=True)
        except OSError:
            delete(admin)  # left by an earlier worktree at the same path
            if admin.exists():
                raise
        else:
            boundary()
            return published
    return aside.rename(admin)


def repair(repo: Repository, path: Path) -> None:
    """Reconnect the worktree at `path` and the repository, after either or both were moved."""
    admin = admin_directory(repo, path)
    pointed = read_git_file(path)
    if pointed is None or pointed == admin:
        return
    former = admin.with_name(pointed.name)
    tree = tree_of(repo, former)
    if tree is None or not (former / _MARK).exists():
        return
    if former == admin:
        write_git_file(path, admin)
    elif not tree.exists():
        (former / "gitdir").write_bytes(_gitdir_line(path))
        write_git_file(path, admin)
        publish(repo, former, path)


def move(repo: Repository, source: Path, path: Path) -> None:
    """Move the worktree at `source` to `path`, which is free.

    After a crash, `repair` completes the move. `gitdir` and `.git` are rewritten in place if the
    length of their lines does not change, which is so if both worktrees have equally long paths.
    """
    former = admin_directory(repo, source)
    admin = admin_directory(repo, path)
    source.rename(path)
    boundary()
    _overwrite(former / "gitdir", _gitdir_line(path))
    _overwrite(path / ".git", _git_file_line(admin))
    publish(repo, former, path)


def _overwrite(path: Path, line: bytes) -> None:
    """Replace the only line of a file, so that a reader sees either the old or the new line.

    Unlike `write_aside`, this writes a line of the same length in place with one call, which takes
    half as many system calls. Each run that takes over a worktree needs two such calls.
    """
    state = path.lstat()
    is_plain_file = stat.S_ISREG(state.st_mode) and state.st_nlink == 1
    if not is_plain_file or state.st_size != len(line):
        write_aside(path, line)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, line, 0)
    finally:
        os.close(descriptor)
    boundary()


def is_ours(repo: Repository, path: Path) -> bool:
    """Return True if gitorch made, or began to make, the directory at `path`.

    An empty directory, which belongs to no one, counts as gitorch's.
    """
    if path.is_symlink() or not path.is_dir():
        return False
    admin = admin_directory(repo, path)
    pointed = read_git_file(path)
    if pointed == admin:
        return True
    in_workspace = _with_real_parent(path).is_relative_to(resolved(repo.workspace))
    if pointed is not None:
        return is_admin(repo, pointed) or _is_former(pointed, admin, in_workspace)
    # The `.git` file cannot be read: a run has removed it, or a power cut has emptied it.
    if in_workspace and (admin.exists() or _is_empty_file(path / ".git")):
        return True
    return _is_almost_empty(path)


def _is_former(pointed: Path, admin: Path, in_workspace: bool) -> bool:
    """Return True if `pointed` is named like gitorch's administrative directories, but is gone.

    In the workspace it may exist: the workspace was copied together with its repository.
    """
    if _NAME.fullmatch(pointed.name) is None:
        return False
    return in_workspace or (pointed.parent == admin.parent and not pointed.exists())


def _is_almost_empty(path: Path) -> bool:
    """Return True if there is nothing in the directory, or only a `.git` file."""
    names = os.listdir(path)  # noqa: PTH208
    return not names or (names == [".git"] and (path / ".git").is_file())


def _is_empty_file(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def is_admin(repo: Repository, directory: Path) -> bool:
    """Return True if this is an administrative directory of gitorch.

    The reason in `locked` decides, because git writes this file first.
    """
    try:
        reason = read_small(directory / "locked")
    except OSError:
        return False
    if reason.strip() != LOCK_REASON.encode():
        return False
    return directory.is_relative_to(repo.common_dir)


def tree_of(repo: Repository, admin: Path) -> Path | None:
    """Return the worktree of an administrative directory of gitorch."""
    if not is_admin(repo, admin):
        return None
    try:
        line = read_small(admin / "gitdir")
    except FileNotFoundError:
        return None
    return Path(os.fsdecode(line.rstrip(b"\n"))).parent
