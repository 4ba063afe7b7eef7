"""Series of any length, reduced while they are read to few points that draw the same curve.

The points are divided into buckets of equal size in the order in which they were measured. Of each
bucket, the points with the lowest and the highest value are kept, and one without a value, which is
a gap. A peak of a single point is therefore never lost. When there are too many buckets, each two
become one, so that the memory does not depend on the length of the series.
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

MOST_NAMES = 1000  # as in gitorch/model/run/metrics.py
LONGEST_NAME = 500  # characters
FEWEST_POINTS = 16
KEPT_POINTS = 1000  # of one series that is kept
MOST_KEPT = 20_000  # points of all kept series, unless there are very many
_AT_ONCE = 5000  # points
_KEPT_ASIDE = 5  # the first and the last point, and the bucket that is not full


class Reduction:
    """One series of at most `limit` points, each with a finite number or None as its `value`.

    `total` is the number of points that the series has had. A limit of None keeps all points.
    """

    def __init__(self, limit: int | None) -> None:
        self.total = 0
        self._limit = limit
        self._size = 0  # points in full buckets
        self._buckets: List[Sequence[Any]] = []
        self._pending: List[Any] = []  # a bucket that is not full
        self._bucket_size = 1
        self._first: List[Any] = []
        self._last: List[Any] = []

    def extend(self, points: Sequence[Any]) -> None:
        if not points:
            return
        self.total += len(points)
        if not self._first:
            self._first = [points[0]]
        self._last = [points[-1]]
        self._pending.extend(points)
        if self._limit is None:
            return
        if len(self._pending) >= self._bucket_size:
            self._fill()
            self._shrink()

    def limit(self, limit: int | None) -> None:
        """Keep at most this many points from now on."""
        self._limit = limit
        self._fill()
        self._shrink()

    @property
    def points(self) -> List[Any]:
        """Return the points in the order in which they were measured."""
        if self._limit is None:
            return self._pending
        found = list(self._first)
        for bucket in [*self._buckets, reduced(self._pending), self._last]:
            for point in bucket:
                if point is not found[-1]:
                    found.append(point)
        return found

    def _fill(self) -> None:
        """Move full buckets from the pending points to the others."""
        size = self._bucket_size
        pending = self._pending
        end = len(pending) - len(pending) % size
        for start in range(0, end, size):
            bucket = reduced(pending[start : start + size])
            self._buckets.append(bucket)
            self._size += len(bucket)
        self._pending = pending[end:]

    def _shrink(self) -> None:
        """Make one bucket of each two, as often as needed."""
        if self._limit is None:
            return
        most = max(self._limit, FEWEST_POINTS) - _KEPT_ASIDE
        while self._size > most:
            buckets = self._buckets
            if len(buckets) % 2:
                self._pending = [*buckets.pop(), *self._pending]
            merged = []
            for at in range(0, len(buckets), 2):
                merged.append(reduced([*buckets[at], *buckets[at + 1]]))
            self._buckets = merged
            self._bucket_size *= 2
            self._size = sum(map(len, merged))


def reduced(points: Sequence[Any]) -> Sequence[Any]:
    """Return the lowest, the highest and one missing point of these, in their order."""
    if len(points) < 2:
        return points
    values = [point.value for point in points]
    kept = set()
    if None in values:
        kept.add(values.index(None))
        finite = [value for value in values if value is not None]
    else:
        finite = values
    if finite:
        kept.add(values.index(min(finite)))
        kept.add(values.index(max(finite)))
    return [points[at] for at in sorted(kept)]


class Reductions:
    """The series of one source by name. What exceeds the limits is counted in `left_out`.

    Each series has at most `points`, and all of them together have about `most`. None: no limit.
    """

    def __init__(self, points: int | None, most: int | None) -> None:
        self.left_out = 0
        self.by_name: Dict[str, Reduction] = {}
        self._points = points
        self._most = most
        self._current = points

    def add(self, name: str, points: Sequence[Any]) -> None:
        series = self.by_name.get(name)
        if series is None:
            if len(self.by_name) >= MOST_NAMES or len(name) > LONGEST_NAME:
                self.left_out += len(points)
                return
            series = self.by_name[name] = Reduction(self._current)
            self._divide()
        series.extend(points)

    def _divide(self) -> None:
        """Divide the points among the series, if there are too many series for their limit."""
        if self._points is None or self._most is None:
            return
        current = min(self._points, self._most // len(self.by_name))
        # Not for each new name: a new limit takes time for all series.
        if current * 2 <= (self._current or 0):
            self._current = current
            for series in self.by_name.values():
                series.limit(current)


class Collected:
    """The series of a file that is read point by point."""

    def __init__(self) -> None:
        self._reductions = Reductions(KEPT_POINTS, MOST_KEPT)
        self._pending: Dict[str, List[Any]] = {}
        self._count = 0

    def add(self, name: str, point: Any) -> None:
        """Add a point, a NamedTuple of `value`, `step` and `seconds`."""
        if point.value - point.value != 0:  # NaN or infinite
            point = point._replace(value=None)
        pending = self._pending.get(name)
        if pending is None:
            pending = self._pending[name] = []
        pending.append(point)
        self._count += 1
        if self._count % _AT_ONCE == 0:
            self._reduce()

    def series(self) -> Dict[str, Any]:
        """Return the number of points, the steps, the times and the values of each series."""
        self._reduce()
        found = {}
        for name, series in self._reductions.by_name.items():
            points = series.points
            steps = [point.step for point in points]
            times = [point.seconds for point in points]
            values = [point.value for point in points]
            found[name] = (series.total, steps, times, values)
        return found

    def _reduce(self) -> None:
        for name, points in self._pending.items():
            if points:
                self._reductions.add(name, points)
                self._pending[name] = []
