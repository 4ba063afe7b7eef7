"""The slots of engines that execute fewer tasks at a time than their worker."""

from __future__ import annotations

from collections import Counter

from gitorch.worker.pool_options import PoolOptions
from gitorch.worker.scheduler import Scheduler


def full_engines(options: PoolOptions, scheduler: Scheduler) -> list[str]:
    """Return the engines whose slots are taken; "" is the engine of tasks that name none."""
    if not options.slots_of:
        return []
    taken: Counter[str] = Counter()
    for attempt in scheduler.attempts:
        if not scheduler.has_ended(attempt.claim.token):
            taken[attempt.task.engine or options.engine] += 1
    full = []
    for engine, slots in options.slots_of.items():
        if taken[engine] >= slots:
            full.append(engine)
    if options.engine in full:
        full.append("")
    return full
