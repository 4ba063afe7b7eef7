"""The options of a worker."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

LOCAL = "local"


class PoolOptions(Struct, frozen=True, kw_only=True):
    """The user's options for this worker."""

    only: Sequence[str] | None = None  # the ids of the runs to work on; None: all
    stop_after: int | None = None  # claim no more after this number of failures
    watch: bool = False  # wait for new tasks when the queue has none
    reuse: bool = True  # take results from the cache
    engine: str = LOCAL  # of the tasks that name none
