"""Pieces of a log, for a reader that shows a part of a log of any length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import BinaryIO

from msgspec import Struct

from gitorch.actions.logs import LoggedAttempt, last_log, running_attempts
from gitorch.actions.records import find_record
from gitorch.errors import NotFound, UsageError
from gitorch.model.run.record import Record
from gitorch.model.text.masking import MaskedStream
from gitorch.storage.kept_logs import open_kept_log
from gitorch.storage.live_log import LiveLog, live_masking
from gitorch.storage.site import Site

LONGEST = 256 << 10  # bytes of one piece
_CHUNK = 1 << 20
_MOST_FOUND = 200  # places
_SEARCHED = 1 << 28  # bytes in one call: about half a second


class LogPiece(Struct, frozen=True, kw_only=True):
    """The bytes of a log from `start` to `end`, and the size of the whole log so far.

    The piece begins at the start of a line, unless the line is longer than the piece.
    """

    task: str
    attempt: int
    start: int
    end: int
    size: int
    data: bytes
    is_live: bool


class FoundInLog(Struct, frozen=True, kw_only=True):
    """The offsets of the lines that have the text that was searched.

    `searched` is where the search ended, None if it reached the end of the log.
    """

    offsets: tuple[int, ...]
    searched: int | None


def log_piece(
    site: Site,
    reference: str,
    *,
    task: str | None = None,
    attempt: int | None = None,
    start: int | None = None,
    length: int = LONGEST,
    environment: Mapping[str, str],
) -> LogPiece:
    """Return a piece of the log of an attempt, without secrets. `start` is None for the tail.

    The default is the newest attempt of the task that is running, or that was attempted last.
    Raises NotFound, UsageError.
    """
    length = min(length, LONGEST)
    record = find_record(site, reference)
    logged = _attempt(site, record, task, attempt)
    with _opened(site, record, logged, environment) as (file, masking):
        size = file.seek(0, 2)
        begin = max(0, size - length) if start is None else min(start, size)
        data, skipped = _whole_lines(file, begin, length, is_tail=start is None)
        held = 0
        if masking is not None:
            shown = masking.shown(data)
            held = masking.held  # it may be the beginning of a secret
        else:
            shown = data
        return LogPiece(
            task=logged.task_id,
            attempt=logged.number,
            start=begin + skipped,
            end=begin + skipped + len(data) - held,
            size=size,
            data=shown,
            is_live=masking is not None,
        )


def _whole_lines(
    file: BinaryIO, begin: int, length: int, *, is_tail: bool
) -> tuple[bytes, int]:
    """Return the bytes from `begin` on, and how many were skipped.

    A tail begins with the first whole line. Another piece ends with a whole line, if it has one, so
    that no secret is cut in two.
    """
    file.seek(begin)
    data = file.read(length)
    if is_tail:
        skipped = data.find(b"\n") + 1 if begin > 0 else 0
        return data[skipped:], skipped
    if len(data) == length:
        end = data.rfind(b"\n") + 1
        data = data[: end or length]
    return data, 0


def search_log(
    site: Site,
    reference: str,
    text: str,
    *,
    task: str | None = None,
    attempt: int | None = None,
    start: int = 0,
    environment: Mapping[str, str],
) -> FoundInLog:
    """Return the lines of a log in which `text` occurs, in any case. Raises NotFound, UsageError.

    A secret is not found: the search would tell whether it is there.
    """
    if not text:
        raise UsageError("the text to search for is empty")
    record = find_record(site, reference)
    logged = _attempt(site, record, task, attempt)
    # The case of other letters than ASCII is not ignored, since bytes are compared.
    wanted = text.encode("utf-8", "replace").lower()
    with _opened(site, record, logged, environment) as (file, masking):
        size = file.seek(0, 2)
        file.seek(min(start, size))
        return _search(file, wanted, min(start, size), masking)


def _search(
    file: BinaryIO,
    wanted: bytes,
    start: int,
    masking: MaskedStream | None,
) -> FoundInLog:
    """Search the log from `start` on, until enough was searched or found."""
    offsets: dict[int, None] = {}
    for position, whole in _blocks_of_lines(file, start):
        if position - start >= _SEARCHED or len(offsets) >= _MOST_FOUND:
            return FoundInLog(offsets=tuple(offsets), searched=position)
        shown = whole if masking is None else masking.shown(whole)
        # Masked text can have another length: the places are then those of their block.
        is_exact = len(shown) == len(whole)
        for line in _lines_with(wanted, shown):
            offsets[position + line if is_exact else position] = None
    return FoundInLog(offsets=tuple(offsets), searched=None)


def _lines_with(wanted: bytes, block: bytes) -> Iterator[int]:
    """Yield the start of each line of a block that has `wanted`, in any case.

    `lower` and `find` are twenty times faster than a regular expression that ignores the case.
    """
    lowered = block.lower()
    found = lowered.find(wanted)
    while found >= 0:
        yield lowered.rfind(b"\n", 0, found) + 1
        end = lowered.find(b"\n", found)
        if end < 0:
            return
        found = lowered.find(wanted, end)


def _blocks_of_lines(file: BinaryIO, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines with their offsets. A line longer than a chunk is divided."""
    position = start
    rest = b""
    while data := file.read(_CHUNK):
        block = rest + data
        end = block.rfind(b"\n") + 1 or len(block)
        yield position, block[:end]
        position += end
        rest = block[end:]
    yield position, rest


@contextmanager
def _opened(
    site: Site,
    record: Record,
    logged: LoggedAttempt,
    environment: Mapping[str, str],
) -> Iterator[tuple[BinaryIO, MaskedStream | None]]:
    """Open the kept log, or the live one, with what masks the secrets in it."""
    kept = open_kept_log(site, *logged)
    if kept is not None:
        with closing(kept):
            yield kept, None
        return
    masking = live_masking(site, record, environment)
    try:
        live = LiveLog.open(site, *logged, masking)
    except OSError:
        raise NotFound(
            f"{logged.task_id} of {record.label} has no log yet"
        ) from None
    with closing(live):
        yield live.file, MaskedStream(masking)


def _attempt(
    site: Site, record: Record, task_id: str | None, number: int | None
) -> LoggedAttempt:
    """Return the attempt that is asked for, or the newest one. Raises NotFound."""
    task_ids = [task.id for task in record.tasks]
    if task_id is not None:
        if task_id not in task_ids:
            raise NotFound(
                f"{record.label} has no task {task_id!r}",
                hint=f"its tasks are: {', '.join(task_ids)}",
            )
        task_ids = [task_id]
        if number is not None:
            return LoggedAttempt(record.id, task_id, number)
    newest = _newest_attempt(site, record, task_ids)
    return newest if number is None else newest._replace(number=number)


def _newest_attempt(
    site: Site, record: Record, task_ids: Sequence[str]
) -> LoggedAttempt:
    running = running_attempts(site, record.id)
    for known in task_ids:
        if known in running:
            return running[known]
    for known in reversed(task_ids):
        logged = last_log(site, record, known)
        if logged is not None:
            return logged
    raise NotFound(f"{record.label} has no log yet: it is {record.status}")
