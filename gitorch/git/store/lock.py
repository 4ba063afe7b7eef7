"""The lock under which this clone writes into the repository: one writer at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gitorch.errors import Busy
from gitorch.git.repository import Repository
from gitorch.git.store.pack import sweep_packs
from gitorch.tools import locks

_PATIENCE_S = 60.0


@contextlib.contextmanager
def locked(repo: Repository) -> Iterator[None]:
    """Hold the lock of this clone's writers.

    While the lock is held, no other process or thread of the clone writes packs or moves gitorch's
    references. The lock is not reentrant. The kernel frees the lock when its holder ends. The files
    that a killed holder left half-written are removed here. Raises Busy.
    """
    path = repo.state_dir / "lock"
    awaited = "the lock of the results branch"
    with locks.taken(path, wait_s=_PATIENCE_S, awaited=awaited) as held:
        if not held:
            raise Busy(
                f"another gitorch has been writing to this repository for {_PATIENCE_S:.0f} s",
                locks.how_to_free(path),
            )
        sweep_packs(repo.common_dir)
        yield


def is_held(repo: Repository) -> bool:
    """Return True if a process is writing right now."""
    return locks.is_held(repo.state_dir / "lock")
