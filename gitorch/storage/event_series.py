"""The series in the events of an attempt, read in one pass and reduced on the way.

A file of 2 million events is read in less than two seconds. While the attempt runs, the file grows,
and only what is new in it is read.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import BinaryIO

import msgspec
from msgspec import Struct

from gitorch.model.numbers import is_number
from gitorch.model.run.series import Number, Series, SeriesPoint, bounded
from gitorch.model.workspace import AttemptDirectory
from gitorch.runner.reduction import KEPT_POINTS, Reductions
from gitorch.storage.events import LONGEST_EVENT, MOST_EVENTS
from gitorch.tools.untrusted import blocks, in_mebibytes, open_file

# Points of all series of one attempt together, if they are reduced.
MOST_POINTS = 100_000
_BLOCK = 1 << 20
_LARGE = 1 << 20  # bytes


class MetricEvent(Struct, gc=False):
    """A line of the events that reports a value. Other lines have no `metric`."""

    metric: str | None = None
    value: Number = None
    step: Number = None
    time: Number = None


_decoder = msgspec.json.Decoder(MetricEvent)


class EventSeries:
    """The series in the lines that were read so far. `notes` says what was not read.

    Each series has at most `points` points; None keeps all. `names` are those of the series that
    are wanted; None wants all. A line without its end is kept for the next call of `read`.
    """

    def __init__(
        self, points: int | None, names: Collection[str] | None = None
    ) -> None:
        self.notes: list[str] = []
        self._series = Reductions(points, MOST_POINTS)
        self._names = names
        self._line = b""  # the beginning of a line
        self._is_skipping = False  # the rest of a line that is too long

    def read(self, file: BinaryIO, patience: float | None = None) -> bool:
        """Read the rest of a file up to its current end, or for `patience` seconds.

        Return True if it was read to the end.
        """
        unread = os.fstat(file.fileno()).st_size - file.tell() - MOST_EVENTS
        if unread > 0:
            self.notes.append(
                f"the first {in_mebibytes(unread)} of the events are not read"
            )
            file.seek(unread, os.SEEK_CUR)
        started = time.monotonic()
        for block in blocks(file, _BLOCK):
            self.add(block)
            if patience is not None and time.monotonic() - started >= patience:
                return len(block) < _BLOCK
        return True

    def add(self, data: bytes) -> None:
        """Add the next bytes of the file."""
        lines, end, rest = data.rpartition(b"\n")
        if end:
            whole = self._line + lines + end
            if self._is_skipping:
                _, _, whole = whole.partition(b"\n")
            self._is_skipping = False
            self._line = rest
            self._add_events(_events(whole))
        else:
            self._line += rest
        if len(self._line) > LONGEST_EVENT:
            self._is_skipping = True
        if self._is_skipping:
            self._line = b""

    def end(self) -> None:
        """Add the last line, which has no end. Nothing more will be written."""
        line, self._line = self._line, b""
        if not self._is_skipping:
            self._add_events(_events(line))

    @property
    def series(self) -> dict[str, Series]:
        """Return the series by name, as far as they were read."""
        found = {}
        for name, reduction in self._series.by_name.items():
            points = map(_point, reduction.points)
            found[name] = Series.of(name, points, total=reduction.total)
        return found

    @property
    def left_out(self) -> int:
        """Return the number of values without a series, since there are too many names."""
        return self._series.left_out

    def _add_events(self, events: Iterable[MetricEvent]) -> None:
        by_name: defaultdict[str | None, list[MetricEvent]] = defaultdict(list)
        for event in events:
            by_name[event.metric].append(event)
        by_name.pop(None, None)
        for name, of_name in by_name.items():
            if name is not None and (self._names is None or name in self._names):
                self._series.add(name, of_name)


class LiveEvents:
    """The events of an attempt that runs, read as they are written.

    `patience` is the longest time of one call in seconds, None for no limit. `is_behind` tells that
    the next call continues.
    """

    def __init__(
        self,
        directory: AttemptDirectory,
        points: int | None,
        names: Collection[str] | None = None,
        patience: float | None = None,
    ) -> None:
        self.read = EventSeries(points, names)
        self.is_behind = False
        self._patience = patience
        self._directory = directory
        self._points = points
        self._names = names
        self._inode = 0
        self._position = 0

    def update(self) -> bool:
        """Read what was written since the last call. Return True if there was anything.

        If the file was replaced or cut, it is read again. Raises OSError.
        """
        directory = self._directory
        try:
            file = open_file(directory.events, below=directory.workspace)
        except FileNotFoundError:
            return False
        with file:
            state = os.fstat(file.fileno())
            is_same = state.st_ino == self._inode
            if not is_same or state.st_size < self._position:
                self.read = EventSeries(self._points, self._names)
                self._position = 0
            self._inode = state.st_ino
            if state.st_size == self._position:
                return False
            file.seek(self._position)
            self.is_behind = not self.read.read(file, self._patience)
            self._position = file.tell()
        return True


def large_series(directory: AttemptDirectory) -> dict[str, Series]:
    """Return the series of an attempt whose events are a large file, reduced; else none.

    A large file takes a second to read, and a clone may lack it: its series are kept beside it.
    """
    try:
        with open_file(directory.events, below=directory.workspace) as file:
            if os.fstat(file.fileno()).st_size <= _LARGE:
                return {}
            read = EventSeries(KEPT_POINTS)
            read.read(file)
            read.end()
            return read.series
    except OSError:
        return {}


def _events(lines: bytes) -> Iterable[MetricEvent]:
    """Return the events of whole lines. Lines that are no such events are skipped."""
    try:
        events: list[MetricEvent] = _decoder.decode_lines(lines)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return list(_sound_events(lines))
    return events


def _sound_events(lines: bytes) -> Iterator[MetricEvent]:
    """Yield the events of lines of which at least one is not as `MetricEvent` says."""
    for line in lines.split(b"\n"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(event, dict) or not isinstance(event.get("metric"), str):
            continue
        value = event.get("value")
        if value is None or is_number(value):
            yield MetricEvent(
                event["metric"],
                bounded(value),
                bounded(event.get("step")),
                bounded(event.get("time")),
            )


def _point(event: MetricEvent) -> SeriesPoint:
    return SeriesPoint(
        bounded(event.step), bounded(event.value), bounded(event.time)
    )
