"""Moving references by compare-and-swap, in spite of the locks of other processes.

Another process holds such a lock for a moment, or was killed and left the lock behind. pygit2
moves the references, because a reference-transaction hook of the user can veto a move by the git
program. Call these functions under the lock of `gitorch.git.store.lock`.
"""

from __future__ import annotations

import time
from pathlib import Path

from gitorch.errors import Busy, Refused
from gitorch.git.repository import Repository
from gitorch.tools import clock
from gitorch.tools.faults import boundary
from gitorch.tools.random_names import random_hex
from gitorch.tools.waits import Wait

_PATIENCE_S = 15.0
# git holds a reference's lock for milliseconds, apart from the time of its hooks. A killed process
# never removes it.
_STALE_S = 2.0
# A lock that may belong to the user's own git: packing very many references takes seconds.
_OLD_S = 60.0


def read_ref(repo: Repository, name: str) -> str | None:
    """Return the oid that a reference holds, or None if there is no such reference.

    A reference whose file is damaged, for example emptied by a power cut, counts as missing. Raises
    Refused if the reference stands for another one, which would be changed through it.
    """
    from gitorch.git.libgit2 import pygit2  # noqa: PLC0415  not for readers of the branch

    try:
        reference = repo.pygit.references.get(name)
    except pygit2.GitError:
        return None
    if reference is None:
        return None
    target = str(reference.target)
    if target.startswith("refs/"):
        raise Refused(
            f"{name} is a symbolic reference to {target}, which gitorch would change",
            f"git symbolic-ref --delete {name}; what it held is brought back",
        )
    return target


def is_commit(repo: Repository, oid: str) -> bool:
    """Return True if this clone has a commit with this oid."""
    from gitorch.git.libgit2 import pygit2  # noqa: PLC0415  not for readers of the branch

    return isinstance(repo.pygit.get(oid), pygit2.Commit)


def move_aside(repo: Repository, name: str) -> None:
    """Remove a damaged reference. What it held is kept in a file of the state directory."""
    aside = repo.state_dir / f"broken-reference.{random_hex(4)}"
    held = read_ref(repo, name)
    path = repo.common_dir / name
    if path.is_file():
        path.rename(aside)
        held = read_ref(repo, name)  # what packed-refs has
    if held is not None:
        with aside.open("a") as file:
            file.write(f"{held} {name}\n")
        repo.pygit.references.delete(name)


def move_ref(
    repo: Repository, name: str, old: str | None, new: str, why: str
) -> bool:
    """Move the reference from `old` to `new`, durably.

    `old` is None if the reference must not exist yet.

    Return False if the reference holds something else by now. Raises Busy if a lock stays, or if
    the reference cannot be written.
    """
    from gitorch.git.libgit2 import pygit2  # noqa: PLC0415  not for readers of the branch

    # A lost race, and a lock that another process holds, raise any of these.
    collisions = (pygit2.GitError, OSError, ValueError, KeyError)
    wait = Wait(f"the lock of {name}", bound_s=_PATIENCE_S)
    lock = _WatchedLock(repo.common_dir / f"{name}.lock")
    while True:
        try:
            # A transaction waits for the disk without the GIL; `Reference.set_target` waits with
            # it.
            with repo.pygit.transaction() as transaction:
                transaction.lock_ref(name)
                if read_ref(repo, name) != old:
                    return False
                transaction.set_target(name, new, message=why)
        except collisions as error:
            if old is None and _is_damaged(repo, name):
                move_aside(repo, name)
                continue
            if not wait.remaining_s:
                raise Busy(
                    f"{name} cannot be moved: {error}",
                    "see what holds it, then try again",
                ) from error
        else:
            boundary()
            return True
        lock.remove_if_stale()
        wait.pause()


def old_locks(repo: Repository, *names: str) -> list[Path]:
    """Return the locks that are too old to be held by a running process.

    These are the locks on the references `names`, on gitorch's own references and on the packed
    references.
    """
    common = repo.common_dir
    candidates = [common / "packed-refs.lock"]
    candidates += [common / f"{name}.lock" for name in names]
    candidates += sorted((common / "refs" / "gitorch").rglob("*.lock"))
    return [lock for lock in candidates if _age_s(lock) > _OLD_S]


def remove_old_lock(lock: Path) -> None:
    """Remove a lock that `old_locks` has found, unless a process has taken it again since."""
    if _age_s(lock) > _OLD_S:
        lock.unlink(missing_ok=True)


def _is_damaged(repo: Repository, name: str) -> bool:
    is_there = (repo.common_dir / name).is_file()
    return is_there and read_ref(repo, name) is None


def _age_s(lock: Path) -> float:
    try:
        return time.time() - lock.stat().st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return 0.0


class _WatchedLock:
    """A lock that another process may have left behind.

    It is stale when it was seen unchanged for a while, since its time may be from another clock. A
    lock that is very old need not be watched.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._facts: tuple[int, int] | None = None
        self._seen = 0.0

    def remove_if_stale(self) -> None:
        try:
            status = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._facts = None
            return
        facts = (status.st_ino, status.st_mtime_ns)
        if facts != self._facts:
            self._facts = facts
            self._seen = time.monotonic()
        is_old = not clock.jump_s() and _age_s(self._path) > _OLD_S
        if is_old or time.monotonic() > self._seen + _STALE_S:
            self._path.unlink(missing_ok=True)
