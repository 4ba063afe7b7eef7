"""The administrative directory of a worktree: how it is found, published, repaired and moved.

    <common>/worktrees/gitorch-<12 hex of the path>/
      HEAD commondir gitdir index locked     git's own
      gitorch.json                           ours, written last: else the worktree is half-made

The name follows from the path, so that what a crash left behind is found without a search. Every
worktree is locked (`git worktree lock`): `git worktree prune`, run while the workspace is not
mounted, destroys unlocked ones.
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
from gitorch.tools.files import delete, read_small, write_aside
from gitorch.tools.process import boot_id

LOCK_REASON = "gitorch"
_MARK = "gitorch.json"
# All files of an administrative directory that no run has touched, apart from the index that is
# kept of its commit.
FILES = ("HEAD", "commondir", "gitdir", "index", "locked", _MARK)
_NAME = re.compile(r"gitorch-[0-9a-f]{12}")


class Mark(Struct, frozen=True, kw_only=True):
    """The content of gitorch.json: the commit of a whole worktree, and its submodules' paths.

    Nested submodules are included. `target` is set while the worktree is being brought to another
    commit: files of both may be there. `boot` names the time since the machine was started: the
    files are not flushed, so a power cut may have emptied any of them.
    """

    commit: str
    submodules: tuple[str, ...] = ()
    target: str | None = None
    boot: str = field(default_factory=boot_id)

    @property
    def is_of_this_boot(self) -> bool:
        return self.boot == boot_id()

    def write(self, admin: Path) -> None:
        write_aside(admin / _MARK, json.dumps(asdict(self)).encode())


def write_names(admin: Path, path: Path, commit: str) -> None:
    """Write all files that git reads in an administrative directory, except the index."""
    (admin / "HEAD").write_text(f"{commit}\n")
    (admin / "commondir").write_text("../..\n")
    (admin / "gitdir").write_bytes(_gitdir_line(path))
    (admin / "locked").write_text(f"{LOCK_REASON}\n")


def admin_directory(repo: Repository, path: Path) -> Path:
    """Return the administrative directory for a worktree at `path`, whether or not it exists."""
    return repo.common_dir / "worktrees" / _name(path)


@lru_cache(maxsize=256)  # asked a dozen times for each run
def _name(path: Path) -> str:
    return (
        f"gitorch-{hashlib.sha256(os.fsencode(real_path(path))).hexdigest()[:12]}"
    )


def real_path(path: Path) -> Path:
    """Return `path` with the symlinks of its parent resolved."""
    return Path(os.path.realpath(path.parent), path.name)


def read_git_file(path: Path) -> Path | None:
    """Return the administrative directory that the `.git` file in `path` names."""
    try:
        line = read_small(path / ".git")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    if not line.startswith(b"gitdir: "):
        return None
    return Path(os.fsdecode(line[len(b"gitdir: ") :].rstrip(b"\n")))


def write_git_file(path: Path, admin: Path) -> None:
    """Make the `.git` file of the worktree at `path` name `admin`.

    No reader sees it empty beside other files.
    """
    line = _git_file_line(admin)
    pointed = read_git_file(path)
    if pointed is None:
        (path / ".git").write_bytes(line)
    elif pointed != admin:
        write_aside(path / ".git", line)


def _git_file_line(admin: Path) -> bytes:
    return b"gitdir: %s\n" % os.fsencode(admin)


def _gitdir_line(path: Path) -> bytes:
    """Return the line by which the administrative directory names its worktree."""
    return os.fsencode(real_path(path) / ".git") + b"\n"


def read_mark(repo: Repository, path: Path) -> Mark | None:
    """Return the mark of the worktree at `path`, or None.

    None means that the worktree is not whole, or is not this repository's.
    """
    admin = admin_directory(repo, path)
    if read_git_file(path) != admin:
        return None
    try:
        value = json.loads(read_small(admin / _MARK))
    except (
        FileNotFoundError,
        ValueError,
    ):  # ValueError: a power cut can leave the file empty
        return None
    return Mark(
        commit=value["commit"],
        submodules=tuple(value["submodules"]),
        target=value["target"],
        boot=value.get("boot", ""),
    )


def publish(repo: Repository, aside: Path, path: Path) -> Path:
    """Rename `aside` to the administrative directory of the worktree at `path`."""
    admin = admin_directory(repo, path)
    while True:
        try:
            published = aside.rename(admin)
        except FileNotFoundError:
            if not aside.exists():
                raise
            admin.parent.mkdir(
                exist_ok=True
            )  # `git worktree prune` removes an empty `worktrees/`
        except OSError:
            delete(admin)  # an earlier worktree's at the same path
            if admin.exists():
                raise
        else:
            boundary()
            return published


def repair(repo: Repository, path: Path) -> None:
    """Connect the worktree at `path` and the repository again after a move of either or both."""
    admin, pointed = admin_directory(repo, path), read_git_file(path)
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

    After a crash, `repair` completes the move.

    `gitdir` and `.git` are rewritten in place, which is possible because both lines are as long as
    before if the names of both directories are.
    """
    former, admin = admin_directory(repo, source), admin_directory(repo, path)
    source.rename(path)
    boundary()
    _overwrite(former / "gitdir", _gitdir_line(path))
    _overwrite(path / ".git", _git_file_line(admin))
    publish(repo, former, path)


def _overwrite(path: Path, line: bytes) -> None:
    """Replace the line that a file consists of; a reader sees either the old line or the new one.

    Unlike `write_aside`, this writes a line of the same length in place with one call: it takes
    half as many system calls, and happens twice for each run that takes over a worktree.
    """
    state = path.lstat()
    if (state.st_size, state.st_nlink) != (len(line), 1) or not stat.S_ISREG(
        state.st_mode
    ):
        write_aside(path, line)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, line, 0)
    finally:
        os.close(descriptor)
    boundary()


def is_ours(repo: Repository, path: Path) -> bool:
    """Return True if gitorch made, or began to make, what is at `path`.

    That includes an empty directory, which belongs to no one.
    """
    if path.is_symlink() or not path.is_dir():
        return False
    admin, pointed = admin_directory(repo, path), read_git_file(path)
    if pointed == admin:
        return True
    in_workspace = real_path(path).is_relative_to(os.path.realpath(repo.workspace))
    if pointed is not None:
        is_known_place = in_workspace or pointed.parent == admin.parent
        return is_admin(repo, pointed) or (is_known_place and _is_orphaned(pointed))
    # Without a readable `.git` file: a run has removed it, or a power cut has emptied it.
    if in_workspace and (admin.exists() or _is_empty_file(path / ".git")):
        return True
    return _is_almost_empty(path)


def _is_orphaned(pointed: Path) -> bool:
    """Return True if a `.git` file names an administrative directory of gitorch that is gone."""
    return _NAME.fullmatch(pointed.name) is not None and not pointed.exists()


def _is_almost_empty(path: Path) -> bool:
    """Return True if there is nothing in the directory, or only a `.git` file."""
    names = os.listdir(path)  # noqa: PTH208
    return not names or (names == [".git"] and (path / ".git").is_file())


def _is_empty_file(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def is_admin(repo: Repository, directory: Path) -> bool:
    """Return True if this is an administrative directory of gitorch.

    The reason of the lock decides, since it is the first thing that git writes.
    """
    try:
        reason = read_small(directory / "locked")
    except OSError:
        return False
    return reason.strip() == LOCK_REASON.encode() and directory.is_relative_to(
        repo.common_dir
    )


def tree_of(repo: Repository, admin: Path) -> Path | None:
    """Return the worktree of an administrative directory of gitorch."""
    if not is_admin(repo, admin):
        return None
    try:
        return Path(os.fsdecode(read_small(admin / "gitdir").rstrip(b"\n"))).parent
    except FileNotFoundError:
        return None
