"""Moving references by compare-and-swap, past the locks that others hold for a moment or left behind for good.

By pygit2 on purpose: a reference-transaction hook of the user may veto what the git program does.
Call these under the lock.
"""

from __future__ import annotations

import time
from pathlib import Path

from gitorch.errors import Busy
from gitorch.git.repository import Repository
from gitorch.tools.faults import boundary

_PATIENCE_S = 15.0
_PAUSE_S = 0.010
# git holds a reference's lock for milliseconds, its hooks aside. A killed process leaves it for ever.
_STALE_S = 2.0
# One that may be of the user's own git: packing very many references takes seconds.
_OLD_S = 60.0


def read_ref(repo: Repository, name: str) -> str | None:
    """The oid that a reference holds."""
    reference = repo.pygit.references.get(name)
    return None if reference is None else str(reference.target)


def move_ref(repo: Repository, name: str, old: str | None, new: str, why: str) -> bool:
    """Move the reference from `old` (None: it is not there) to `new`, durably; False if it is somewhere else by now.

    Raises Busy where a lock stays, or the reference cannot be written.
    """
    import pygit2  # noqa: PLC0415  50 ms that readers of the branch do not need

    # A lost race and a lock held by others come as any of these.
    collisions = (pygit2.GitError, OSError, ValueError, KeyError)
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            # A transaction waits for the disk without keeping other threads from running, `set_target` keeps them.
            with repo.pygit.transaction() as transaction:
                transaction.lock_ref(name)
                if read_ref(repo, name) != old:
                    return False
                transaction.set_target(name, new, message=why)
        except collisions as error:
            if time.monotonic() > deadline:
                raise Busy(
                    f"{name} cannot be moved: {error}", "see what holds it, then try again"
                ) from error
        else:
            boundary()
            return True
        _remove_if_stale(repo.common_dir / f"{name}.lock")
        time.sleep(_PAUSE_S)


def old_locks(repo: Repository, *names: str) -> list[Path]:
    """Locks on the references `names`, on gitorch's own and on all packed ones, that are too old to be anybody's."""
    common = repo.common_dir
    locks = [common / "packed-refs.lock", *(common / f"{name}.lock" for name in names)]
    return [
        lock
        for lock in (*locks, *sorted((common / "refs" / "gitorch").rglob("*.lock")))
        if _age_s(lock) > _OLD_S
    ]


def remove_old_lock(lock: Path) -> None:
    if _age_s(lock) > _OLD_S:
        lock.unlink(missing_ok=True)


def _age_s(lock: Path) -> float:
    try:
        return time.time() - lock.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _remove_if_stale(lock: Path) -> None:
    if _age_s(lock) > _STALE_S:
        lock.unlink(missing_ok=True)
