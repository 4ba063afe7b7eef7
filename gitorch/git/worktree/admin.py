"""The administrative directory of a worktree of gitorch's: how it is found, published, mended and dropped.

    <common>/worktrees/gitorch-<12 hex of the path>/
      HEAD commondir gitdir index locked     git's own
      gitorch.json                           ours, written last: with it the worktree is whole, without it half-made

The name follows from the path, so that what a crash left behind is found without a search. Everything is locked
(`git worktree lock`): `git worktree prune`, run while the workspace is not mounted, destroys what is not.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import asdict

from gitorch.errors import Refused
from gitorch.git.repository import Repository
from gitorch.tools.faults import boundary
from gitorch.tools.files import read_small, write_aside

LOCK_REASON = "gitorch"
_MARK = "gitorch.json"
FILES = (
    "HEAD",
    "commondir",
    "gitdir",
    "index",
    "locked",
    _MARK,
)  # and the index that is kept of its commit
_NAME = re.compile(r"gitorch-[0-9a-f]{12}")
_ABANDONED_S = 3600.0


@lru_cache
def this_boot() -> str:
    """What the kernel calls the time since it was started; the same for ever where it does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Mark(Struct, frozen=True, kw_only=True):
    """What a whole worktree holds: its commit, and the paths of the submodules that were filled, nested ones too.

    `target` is set while it is brought to another commit: then files of both may be there. `boot` names the time
    since the machine was started: the files are not flushed, so a power cut may have emptied any of them.
    """

    commit: str
    submodules: tuple[str, ...] = ()
    target: str | None = None
    boot: str = field(default_factory=this_boot)

    @property
    def is_of_this_boot(self) -> bool:
        return self.boot == this_boot()

    def is_for(self, commit: str) -> bool:
        """Whether it was brought to `commit`, whatever was done in it since."""
        return self.commit == commit and self.target is None

    def write(self, admin: Path) -> None:
        write_aside(admin / _MARK, json.dumps(asdict(self)).encode())


def write_names(admin: Path, path: Path, commit: str) -> None:
    """All that git reads of an administrative directory but the index."""
    (admin / "HEAD").write_text(f"{commit}\n")
    (admin / "commondir").write_text("../..\n")
    (admin / "gitdir").write_bytes(gitdir_line(path))
    (admin / "locked").write_text(f"{LOCK_REASON}\n")


def admin_directory(repo: Repository, path: Path) -> Path:
    """Where the worktree at `path` has its administrative directory, be it there or not."""
    return repo.common_dir / "worktrees" / _name(path)


@lru_cache(maxsize=256)  # asked for a dozen times on the way of one run
def _name(path: Path) -> str:
    return f"gitorch-{hashlib.sha256(os.fsencode(real_path(path))).hexdigest()[:12]}"


def real_path(path: Path) -> Path:
    return Path(os.path.realpath(path.parent), path.name)


def pointed_at(path: Path) -> Path | None:
    """The administrative directory that the `.git` file in `path` names."""
    try:
        line = read_small(path / ".git")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    return (
        Path(os.fsdecode(line[len(b"gitdir: ") :].rstrip(b"\n")))
        if line.startswith(b"gitdir: ")
        else None
    )


def point(path: Path, admin: Path) -> None:
    """Let the `.git` file of the worktree at `path` name `admin`. It is never seen empty beside other files."""
    line = _git_file(admin)
    pointed = pointed_at(path)
    if pointed is None:
        (path / ".git").write_bytes(line)
    elif pointed != admin:
        write_aside(path / ".git", line)


def _git_file(admin: Path) -> bytes:
    return b"gitdir: %s\n" % os.fsencode(admin)


def gitdir_line(path: Path) -> bytes:
    """What the administrative directory says of where the worktree is."""
    return os.fsencode(real_path(path) / ".git") + b"\n"


def read_mark(repo: Repository, path: Path) -> Mark | None:
    """The mark of the worktree at `path`; None unless it is whole and this repository's."""
    admin = admin_directory(repo, path)
    if pointed_at(path) != admin:
        return None
    try:
        value = json.loads(read_small(admin / _MARK))
    except (FileNotFoundError, ValueError):  # a power cut can leave it empty
        return None
    return Mark(
        commit=value["commit"],
        submodules=tuple(value["submodules"]),
        target=value["target"],
        boot=value.get("boot", ""),
    )


def publish(repo: Repository, aside: Path, path: Path) -> Path:
    """Rename `aside`, made for the worktree at `path`, to its place among the administrative directories."""
    admin = admin_directory(repo, path)
    while True:
        try:
            published = aside.rename(admin)
        except FileNotFoundError:
            if not aside.exists():
                raise
            admin.parent.mkdir(
                exist_ok=True
            )  # `git worktree prune` removes `worktrees/` when it is empty
        except OSError:
            delete(admin)  # an earlier worktree's at the same path
            if admin.exists():
                raise
        else:
            boundary()
            return published


def mend(repo: Repository, path: Path) -> None:
    """Let the worktree at `path` and the repository find each other again after one of them, or both, were moved."""
    admin, pointed = admin_directory(repo, path), pointed_at(path)
    if pointed is None or pointed == admin:
        return
    known = admin.with_name(pointed.name)
    tree = _tree_of(repo, known)
    if tree is None or not (known / _MARK).exists():
        return
    if known == admin:
        point(path, admin)
    elif not tree.exists():
        (known / "gitdir").write_bytes(gitdir_line(path))
        point(path, admin)
        publish(repo, known, path)


def move(repo: Repository, source: Path, path: Path) -> None:
    """Move the worktree at `source` to `path`, where there is none; stopped on the way, `mend` takes it to the end.

    What names it is written over where it stands: the lines are as long as before if the directories' names are.
    """
    known, admin = admin_directory(repo, source), admin_directory(repo, path)
    source.rename(path)
    boundary()
    _write_over(known / "gitdir", gitdir_line(path))
    _write_over(path / ".git", _git_file(admin))
    publish(repo, known, path)


def _write_over(path: Path, line: bytes) -> None:
    """Exchange the line that a file of its own holds; a reader sees the one or the other."""
    state = path.lstat()
    if (state.st_size, state.st_nlink) != (len(line), 1) or not stat.S_ISREG(state.st_mode):
        write_aside(path, line)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, line, 0)
    finally:
        os.close(descriptor)
    boundary()


@contextmanager
def only_one_at(path: Path) -> Iterator[int]:
    """Nobody else builds, resets or removes the worktree at `path` meanwhile, in any process.

    Gives the lock's descriptor, for the git program to inherit: a git whose caller was killed is then waited for, since
    one that fails late would remove what has been built in its place.
    """
    descriptor = _lock_directory(path.parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock_directory(directory: Path) -> int:
    while True:
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            with suppress(
                FileNotFoundError, FileExistsError
            ):  # the latter: it was there, and just then removed
                directory.mkdir(parents=True, exist_ok=True)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), directory.stat()):
                    return descriptor
            os.close(descriptor)  # who held the lock has removed the directory


def throw_away(repo: Repository, path: Path) -> None:
    """Free `path` and forget its worktree, if there is one; the files wait in the trash.

    Raises Refused if what is there is not a worktree of gitorch's.
    """
    admin = admin_directory(repo, path)
    doomed = [admin]
    if os.path.lexists(path):
        if not _is_ours(repo, path):
            raise Refused(
                f"{path} is in the way: gitorch did not make it",
                "move it away, or choose another directory",
            )
        mark = read_mark(repo, path)
        inside = [path / name for name in mark.submodules] if mark else []
        doomed += [
            found
            for place in (path, *inside)
            if (found := pointed_at(place)) and _is_admin(repo, found)
        ]
        _move_to_trash(repo, path)
    for directory in doomed:
        delete(directory)


def throw_away_submodule(repo: Repository, path: Path) -> None:
    """Remove a submodule that the commit no longer has."""
    directory = pointed_at(path)
    delete(path)
    if directory is not None and _is_admin(repo, directory):
        delete(directory)


def empty_trash(repo: Repository) -> None:
    """Delete what was thrown away, and forget worktrees that a crash, or somebody's `rm -r`, left without files.

    Takes as long as the disk does, and may run beside everything else.
    """
    if not (repo.workspace / "trash").is_dir():
        return  # nothing was thrown away, or the workspace is not mounted and no file can be called gone
    for entry in _entries(trash(repo)):
        delete(entry)
    for left in (repo.store_dir / "tmp").glob("worktree-*"):
        with suppress(FileNotFoundError):
            if left.stat().st_mtime < time.time() - _ABANDONED_S:
                delete(left)
    for admin in _entries(repo.common_dir / "worktrees"):
        tree = _tree_of(repo, admin)
        if tree is None or not tree.is_relative_to(os.path.realpath(repo.workspace)):
            continue
        if not tree.parent.exists():
            delete(admin)
        elif _is_abandoned(admin, tree):
            with only_one_at(tree):  # unless it is just being made
                if _is_abandoned(admin, tree):
                    delete(admin)


def empty_trash_later(repo: Repository) -> None:
    """Have what was thrown away deleted by a process that nobody waits for."""
    place = repo.workspace / "trash"
    if place.is_dir():
        command = 'rm -rf -- "$1"/* >/dev/null 2>&1 </dev/null &'
        subprocess.run(
            ["sh", "-c", command, "sh", str(place)], cwd="/", start_new_session=True, check=False
        )


def move_to_trash(repo: Repository, path: Path) -> None:
    """Have a directory out of the way at once, and deleted later; fine if it is not there."""
    with suppress(FileNotFoundError):
        _move_to_trash(repo, path)


def delete(path: Path) -> None:
    """Remove a file, or a directory whatever its permissions, as far as that can be done; others may do it too."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
        return
    shutil.rmtree(path, ignore_errors=True)
    if not path.exists():
        return
    with suppress(OSError):
        path.chmod(0o700)
        for directory, names, _ in os.walk(path):
            for child in (Path(directory, name) for name in names):
                if not child.is_symlink():
                    child.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)


def _is_ours(repo: Repository, path: Path) -> bool:
    """Whether gitorch made, or began to make, what is at `path`. An empty directory is nobody's, so it may be ours."""
    if path.is_symlink() or not path.is_dir():
        return False
    pointed, admin = pointed_at(path), admin_directory(repo, path)
    in_workspace = real_path(path).is_relative_to(os.path.realpath(repo.workspace))
    if pointed == admin:
        return True
    if pointed is not None:
        left_over = _NAME.fullmatch(pointed.name) and not pointed.exists()
        return _is_admin(repo, pointed) or bool(
            left_over and (in_workspace or pointed.parent == admin.parent)
        )
    if in_workspace and (admin.exists() or _is_empty_file(path / ".git")):
        return True  # a run has removed its `.git`, or a power cut has emptied it
    names = os.listdir(path)  # noqa: PTH208
    return not names or (names == [".git"] and (path / ".git").is_file())


def _is_empty_file(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def _is_admin(repo: Repository, directory: Path) -> bool:
    """Whether this is an administrative directory of ours, by the reason of its lock, the first thing git writes."""
    try:
        reason = read_small(directory / "locked")
    except OSError:
        return False
    return reason.strip() == LOCK_REASON.encode() and directory.is_relative_to(repo.common_dir)


def _tree_of(repo: Repository, admin: Path) -> Path | None:
    """The worktree of an administrative directory of ours."""
    if not _is_admin(repo, admin):
        return None
    try:
        return Path(os.fsdecode(read_small(admin / "gitdir").rstrip(b"\n"))).parent
    except FileNotFoundError:
        return None


def _is_abandoned(admin: Path, tree: Path) -> bool:
    pointed = pointed_at(tree)
    return pointed is None or pointed.name != admin.name


def trash(repo: Repository) -> Path:
    """The directory, made if missing, in which everything may be deleted at any time."""
    directory = repo.workspace / "trash"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _move_to_trash(repo: Repository, path: Path) -> None:
    name = f"{path.name}.{secrets.token_hex(6)}"
    try:
        path.rename(repo.workspace / "trash" / name)
    except OSError:
        path.chmod(
            path.stat().st_mode | 0o700
        )  # a directory that may not be written cannot be moved either
        try:
            path.rename(trash(repo) / name)
        except OSError:  # another file system
            delete(path.rename(path.with_name(f".{name}")))
    boundary()


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except FileNotFoundError:
        return []
