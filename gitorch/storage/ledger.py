"""The ledger: what this clone has queued. No other run is executed unless a user asks for it.

A record can come from anywhere: by fetch, by merge, or in a commit made by hand. Its clone id and
its status are only claims. Therefore the ledger has a line `<run id> <digest>` for each run that
this clone has queued, with the digest of what the run executes, and a record becomes an entry of
the queue only if the ledger has its line. The line is durable before the record is committed.

The file is in the state directory, beside the clone id. Lines are only appended.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from gitorch.model.run.payload import Payload
from gitorch.model.run.record import Record, RecordBroken
from gitorch.model.run.status import LIVE
from gitorch.storage.site import Site
from gitorch.tools.faults import boundary
from gitorch.tools.files import write_aside
from gitorch.tools.untrusted import open_file


def has_queued(site: Site, record: Record) -> bool:
    """Return True if this clone has queued the run, and the run has not been changed elsewhere."""
    is_own = record.clone == site.repository.clone_id()
    return is_own and _line(record.id, Payload.of(record)) in _lines(site)


def queued_here(site: Site, records: Iterable[Record]) -> set[str]:
    """Return the ids of the records for which `has_queued` is true. The ledger is read once."""
    clone = site.repository.clone_id()
    lines = _lines(site)
    ids = set()
    for record in records:
        if record.clone == clone and _line(record.id, Payload.of(record)) in lines:
            ids.add(record.id)
    return ids


def note_queued(site: Site, records: Iterable[Record]) -> None:
    """Note that this clone queues these runs; for a caller that holds the branch's lock.

    The notes are durable when this returns.
    """
    begin(site)
    known = _lines(site)
    added = []
    for record in records:
        line = _line(record.id, Payload.of(record))
        if line not in known:
            added.append(line)
    if added:
        _append(_path(site), b"".join(line + b"\n" for line in added))


def exists(site: Site) -> bool:
    return _path(site).exists()


def begin(site: Site) -> None:
    """Create the ledger if it does not exist; for a caller that holds the branch's lock.

    A clone whose queue was made by a version without a ledger notes the runs of the queue and, as
    they can be resubmitted and rerun, its runs that are over.
    """
    if exists(site):
        return
    lines = []
    if site.queue_path.exists():
        lines = [*_of_queue(site), *_of_runs_that_are_over(site)]
    data = b"".join(line + b"\n" for line in lines)
    write_aside(_path(site), data, durable=True, mode=0o600)


def _path(site: Site) -> Path:
    return site.state / "queued-runs"


def _line(run_id: str, payload: Payload) -> bytes:
    return f"{run_id} {payload.digest}".encode()


def _lines(site: Site) -> frozenset[bytes]:
    """Return the lines of the ledger. A last line that a power cut has torn is equal to none."""
    path = _path(site)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return frozenset()
    return _lines_of(path, size)


@lru_cache(maxsize=1)
def _lines_of(path: Path, size: int) -> frozenset[bytes]:
    """Return the lines of a file to which lines are only appended, so that its size identifies it.

    The file is read once for all runs of a command.
    """
    with open_file(path) as file:
        return frozenset(file.read(size).split(b"\n"))


def _append(path: Path, data: bytes) -> None:
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            data = b"\n" + data  # after a line that was torn
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
        boundary()
    finally:
        os.close(descriptor)


def _of_queue(site: Site) -> Iterator[bytes]:
    for run in site.queue.runs():
        payload = site.queue.payload(run.id)
        if payload:
            yield _line(run.id, Payload.from_json(payload))


def _of_runs_that_are_over(site: Site) -> Iterator[bytes]:
    tip = site.queue.meta("tip")
    if tip is None or not site.results.has(tip):
        return
    clone = site.repository.clone_id()
    for document in site.results.records(tip):
        if document.get("clone") != clone or document.get("status") in LIVE:
            continue
        try:
            record = Record.from_json(document)
        except RecordBroken:
            continue
        yield _line(record.id, Payload.of(record))
