"""`gitorch metrics`: the series of a run, once or again and again while it runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.logs import LoggedAttempt, last_attempts, require_task
from gitorch.actions.records import find_record
from gitorch.errors import NotFound
from gitorch.model.run.record import Record
from gitorch.model.run.series import Series
from gitorch.model.table.fields import metric_named
from gitorch.model.text.masking import Masking
from gitorch.model.text.spelling import did_you_mean
from gitorch.storage.live_log import live_masking
from gitorch.storage.live_series import LiveSeries
from gitorch.storage.series import FoundSeries, read_kept_series
from gitorch.storage.site import Site

# Enough for any screen.
POINTS = 1000


class TaskSeries(Struct, frozen=True, kw_only=True):
    """The series that one attempt at a task has reported, by the name of the metric.

    `run` is the run that the attempt belongs to. It is another one if the results are reused.
    """

    task: str
    run: str
    attempt: int
    is_running: bool
    series: Mapping[str, Series]
    notes: tuple[str, ...] = ()


class RunSeries(Struct, frozen=True, kw_only=True):
    """The series of a run, task by task."""

    record: Record
    tasks: tuple[TaskSeries, ...]

    @property
    def series(self) -> dict[str, Series]:
        """Return the series by name. If two tasks have the same name, the later task's is used."""
        found: dict[str, Series] = {}
        for task in self.tasks:
            found.update(task.series)
        return found

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what was not read, each text once."""
        return tuple(dict.fromkeys(chain(*(task.notes for task in self.tasks))))

    @property
    def is_running(self) -> bool:
        return any(task.is_running for task in self.tasks)

    def to_json(self) -> dict[str, Any]:
        tasks = []
        for task in self.tasks:
            tasks.append(
                {
                    "id": task.task,
                    "run": task.run,
                    "attempt": task.attempt,
                    "running": task.is_running,
                    "metrics": list(task.series),
                    "notes": list(task.notes),
                }
            )
        series, totals, sources = {}, {}, {}
        for name, one in self.series.items():
            series[name] = list(one.points)
            totals[name] = one.total
            sources[name] = one.source
        return {
            "schema": "gitorch/metrics/v1",
            "id": self.record.id,
            "label": self.record.label,
            "series": series,
            "totals": totals,
            "sources": sources,
            "tasks": tasks,
        }


class SeriesReader:
    """The series of one run, which can be read again while it runs.

    Only what was added to the events since the last reading is read again.
    """

    def __init__(
        self,
        site: Site,
        run_id: str,
        environment: Mapping[str, str],
        *,
        names: Collection[str] | None = None,
        task: str | None = None,
        attempt: int | None = None,
        points: int | None = POINTS,
        patience: float | None = None,
    ) -> None:
        """`environment` is the caller's. The other parameters are those of `find_series`.

        One call of `read` reads the events of a running attempt for at most `patience` seconds. The
        next call continues.
        """
        self._patience = patience
        self._site = site
        self._run_id = run_id
        self._environment = environment
        self._names = names
        self._task = task
        self._attempt = attempt
        self._points = points
        self._kept: dict[LoggedAttempt, FoundSeries] = {}
        self._live: dict[LoggedAttempt, LiveSeries] = {}
        self._masking: Masking | None = None

    def read(self, record: Record | None = None) -> RunSeries:
        """Return the series as they are now. `record` is the current one, if it is known.

        Raises NotFound if the run is gone.
        """
        if record is None:
            record = find_record(self._site, self._run_id)
        tasks = []
        for task_id, last in last_attempts(self._site, record, self._task).items():
            logged = last
            if self._attempt is not None:
                logged = LoggedAttempt(record.id, task_id, self._attempt)
            found = self._kept_series(logged)
            is_running = found is None
            if found is None:
                found = self._live_series(record, logged)
            if found is None:
                continue
            tasks.append(
                TaskSeries(
                    task=task_id,
                    run=logged.run_id,
                    attempt=logged.number,
                    is_running=is_running,
                    series=found.series,
                    notes=found.notes,
                )
            )
        return RunSeries(record=record, tasks=tuple(tasks))

    def _kept_series(self, logged: LoggedAttempt) -> FoundSeries | None:
        if logged not in self._kept:
            found = read_kept_series(
                self._site, *logged, points=self._points, names=self._names
            )
            if found is None:
                return None
            self._kept[logged] = found
            self._live.pop(logged, None)
        return self._kept[logged]

    def _live_series(
        self, record: Record, logged: LoggedAttempt
    ) -> FoundSeries | None:
        """Return the series of an attempt that is not on the branch, None if it has no files."""
        if logged.run_id != record.id:
            return None
        if logged not in self._live:
            self._live[logged] = LiveSeries(
                self._site,
                record,
                logged.task_id,
                logged.number,
                points=self._points,
                names=self._names,
                patience=self._patience,
            )
        live = self._live[logged]
        if not live.exists:
            return None
        found = live.read()
        return found._replace(series=_masked(found.series, self._mask(record)))

    def _mask(self, record: Record) -> Masking:
        if self._masking is None:
            self._masking = live_masking(self._site, record, self._environment)
        return self._masking


def find_series(
    site: Site,
    reference: str,
    *,
    names: Sequence[str] = (),
    task: str | None = None,
    attempt: int | None = None,
    points: int | None = POINTS,
    environment: Mapping[str, str],
) -> RunSeries:
    """Return the series of the metrics `names` of a run, by default of all.

    The series are those of the last attempt at each task, or of the `attempt` and of the `task`
    that are given. Each has at most `points` points, which keep the lowest and the highest values;
    None keeps all. `environment` is the caller's.
    A name may be the end of a metric's name, as in `list --sort`.

    Raises NotFound if the run, the task, the attempt or a metric does not exist. Raises UsageError
    if a name is ambiguous.
    """
    record = find_record(site, reference)
    require_task(record, task)

    def read(of: Collection[str]) -> RunSeries:
        reader = SeriesReader(
            site,
            record.id,
            environment,
            names=frozenset(of) or None,
            task=task,
            attempt=attempt,
            points=points,
        )
        return reader.read(record)

    found = read(names)
    if attempt is not None and not found.tasks:
        of_task = f" of {task}" if task else ""
        raise NotFound(f"{record.label} has no attempt {attempt}{of_task}")
    if all(name in found.series for name in names):
        return found
    known = read(()).series
    return read([_whole_name(record, name, known) for name in names])


def _whole_name(record: Record, name: str, known: Collection[str]) -> str:
    """Return the metric that `name` names. Raises NotFound, and UsageError if it is ambiguous."""
    if whole := metric_named(name, known):
        return whole
    hint = f"gitorch metrics {record.id} lists its metrics"
    if not known:
        hint = "it has none"
    raise NotFound(
        f"{record.label} has no metric {name!r}{did_you_mean(name, known)}", hint
    )


def _masked(found: Mapping[str, Series], masking: Masking) -> dict[str, Series]:
    """Return the series without secrets in their names."""
    masked = {}
    for name, series in found.items():
        shown = masking.text(name)
        if shown != name:
            series = replace(series, name=shown)
        masked[shown] = series
    return masked
