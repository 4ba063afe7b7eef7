"""The series of an attempt that runs, which can be read again and again."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from gitorch.database.values import Claim
from gitorch.model.run.payload import Payload
from gitorch.model.run.record import Record
from gitorch.model.run.series import Series
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.event_series import LiveEvents
from gitorch.storage.json_files import JsonReader
from gitorch.storage.series import FoundSeries, last_values, selected
from gitorch.storage.site import Site
from gitorch.tools.untrusted import reason

# The files that `metrics:` names are read again after this time: a process reads all of them.
_PAUSE_S = 5.0


class LiveSeries:
    """The series of one attempt, from its events and the files that `metrics:` names."""

    def __init__(
        self,
        site: Site,
        record: Record,
        task_id: str,
        number: int,
        *,
        points: int | None,
        names: Collection[str] | None,
        patience: float | None = None,
    ) -> None:
        """`patience` is the longest time in seconds that one reading of the events takes."""
        run = site.directory(record.id)
        claim = Claim(
            run=record.id,
            task=task_id,
            number=number,
            token="",
            started="",
            payload={},
        )
        self._attempt = ClaimedAttempt(
            claim=claim,
            payload=Payload.of(record),
            run=run,
            directory=run.attempt(task_id, number),
        )
        self._events = LiveEvents(self._attempt.directory, points, names, patience)
        self._points = points
        self._names = names
        self._declared: Mapping[str, Series] = {}
        self._declared_at = float("-inf")

    @property
    def exists(self) -> bool:
        """Return True if the attempt has files."""
        return self._attempt.directory.path.is_dir()

    def read(self) -> FoundSeries:
        """Return the series as they are now. Of the events, only what is new is read."""
        notes: list[str] = []
        try:
            self._events.update()
        except OSError as error:
            notes.append(f"the events are not read: {reason(error)}")
        notes += self._events.read.notes
        if self._events.is_behind:
            notes.append("the rest of the events is being read")
        now = time.monotonic()
        is_due = now - self._declared_at >= _PAUSE_S
        if self._attempt.task.declared_metrics and is_due:
            self._declared_at = now
            self._declared = self._read_declared()
        found = {**self._events.read.series, **self._declared}
        return FoundSeries(selected(found, self._names, self._points), tuple(notes))

    def _read_declared(self) -> dict[str, Series]:
        # 2 ms, which a run without such files does not need
        from gitorch.storage.metric_files import read_declared_metrics  # noqa: PLC0415

        declared = read_declared_metrics(
            self._attempt, JsonReader(), has_succeeded=False
        )
        found: dict[str, Series] = {}
        for measured in declared.measured:
            found |= last_values(measured.metrics)
        return found | declared.series
