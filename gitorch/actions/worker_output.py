"""`gitorch logs --worker`: what the workers in the background have printed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import BinaryIO

from msgspec import Struct

from gitorch.actions.logs import skip_to_tail
from gitorch.errors import NotFound, Refused
from gitorch.storage.site import Site
from gitorch.storage.worker_logs import WorkerLog, worker_logs
from gitorch.tools.untrusted import blocks, open_file

_CHUNK = 1 << 16  # bytes
_PAUSE_S = 0.2


class WorkerOutput(Struct, frozen=True):
    """A piece of a worker's log. The first piece of each log has `begins` set and is empty."""

    pid: int
    is_alive: bool
    data: bytes
    begins: bool = False


def worker_output(
    site: Site,
    name: str | None,
    *,
    follow: bool = False,
    lines: int | None = None,
) -> Iterator[WorkerOutput]:
    """Yield the log of the worker with the pid `name`, which may have ended.

    Without a name, yield the logs of all living workers in the background, else of the last one.
    With `follow`, continue until these workers end. With `lines`, skip all but so many lines at the
    end of each log.
    Raises NotFound, and Refused if a log cannot be read.
    """
    chosen = _chosen(site, name)
    with ExitStack() as opened:
        files: dict[WorkerLog, BinaryIO] = {}
        for log in chosen:
            files[log] = opened.enter_context(_opened(log))
            skip_to_tail(files[log], lines)
        written = {log for log in chosen if log.is_written()}
        for log, file in files.items():
            yield WorkerOutput(log.pid, log in written, b"", begins=True)
            for data in blocks(file, _CHUNK):
                yield WorkerOutput(log.pid, log in written, data)
        while follow and written:
            time.sleep(_PAUSE_S)
            # Before the logs, so that their ends are read.
            written = {log for log in chosen if log.is_written()}
            for log, file in files.items():
                for data in blocks(file, _CHUNK):
                    yield WorkerOutput(log.pid, log in written, data)


def _opened(log: WorkerLog) -> BinaryIO:
    try:
        return open_file(log.path)
    except OSError as error:
        raise Refused(f"the log of the worker cannot be read: {error}") from error


def _chosen(site: Site, name: str | None) -> list[WorkerLog]:
    """Return the logs to show, the oldest first. Raises NotFound."""
    logs = worker_logs(site)
    if name is not None:
        logs = [log for log in logs if str(log.pid) == name.rpartition(":")[2]]
        if not logs:
            raise NotFound(
                f"no worker in the background has, or had, the pid {name}",
                hint="gitorch status shows the workers; one without --detach prints "
                "to its own terminal",
            )
    if not logs:
        raise NotFound(
            "no worker has run in the background yet",
            hint="gitorch run --detach starts one",
        )
    written = [log for log in logs if log.is_written()]
    return written[::-1] or logs[:1]
