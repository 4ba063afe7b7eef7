"""The options of a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

LOCAL = "local"


class PoolOptions(Struct, frozen=True, kw_only=True):
    """The user's options for this worker."""

    only: Sequence[str] | None = None  # the ids of the runs to work on; None: all
    stop_after: int | None = None  # claim no more after this number of failures
    watch: bool = False  # wait for new tasks when the queue has none
    reuse: bool = True  # take results from the cache
    engine: str = LOCAL  # of the tasks that name none
    # How many tasks engines execute at a time. The others have all slots of the worker.
    slots_of: Mapping[str, int] = field(default_factory=dict)
