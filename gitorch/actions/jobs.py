"""The number of tasks that a worker executes at a time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gitorch.engines.contract import Engine
from gitorch.engines.registry import engine_named, most_at_once
from gitorch.errors import GitorchError, UsageError
from gitorch.storage.site import Site
from gitorch.worker.pool_options import LOCAL

MOST_JOBS = 1000  # more tasks at a time than the sockets of one worker, and one machine, can handle


class Jobs(NamedTuple):
    """The number of tasks at a time: in all, and of the engines that have numbers of their own."""

    total: int
    of_engine: Mapping[str, int] = {}

    def engine(self, name: str, lock: Path) -> Engine:
        """Return the engine with this name. Its processes hold `lock`. Raises GitorchError."""
        return engine_named(name)(self.of_engine.get(name, self.total), lock)


def jobs_of(text: str | None, site: Site, *, engine: str = LOCAL) -> Jobs:
    """Return the number of tasks to run at a time.

    `text` is from the command line. The default is the setting `gitorch.jobs`, or what each engine
    of a queued task allows. `engine` is that of the tasks that name none. Raises UsageError if the
    number is neither valid nor `auto`.
    """
    if text is None and "gitorch.jobs" not in site.repository.git_config:
        return _by_engine(site, engine)
    chosen = site.repository.settings.jobs if text is None else text
    if chosen == "auto":
        return Jobs(os.cpu_count() or 1)
    is_number = chosen.isascii() and chosen.isdecimal()
    if not is_number or not 1 <= int(chosen[:20]) <= MOST_JOBS:
        raise UsageError(
            f"-j takes a number from 1 to {MOST_JOBS}, or auto; not {chosen!r}",
            hint="gitorch run -j 2",
        )
    return Jobs(int(chosen))


def _by_engine(site: Site, default: str) -> Jobs:
    found = {default: _most(default, site)}
    for name in site.queue.engines():
        if name not in found:
            found[name] = 1
            with suppress(GitorchError):  # the tasks of this engine will say it
                found[name] = _most(name, site)
    if len(found) == 1:
        return Jobs(found[default])
    return Jobs(min(sum(found.values()), MOST_JOBS), found)


def _most(engine: str, site: Site) -> int:
    """Return what an engine allows, 1 if it does not say. Raises GitorchError."""
    return min(most_at_once(engine, site.settings.dask) or 1, MOST_JOBS)
