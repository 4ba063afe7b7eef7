"""`gitorch run`: work as a worker until nothing is left to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gitorch.actions.changeable import (
    refusal_of_foreign_run,
    refusal_of_unqueued_run,
)
from gitorch.actions.collect import fail_overdue, retention_of
from gitorch.actions.jobs import Jobs
from gitorch.actions.run_targets import RUNNABLE
from gitorch.database.values import Worker
from gitorch.engines.several import Engines
from gitorch.errors import Busy, GitorchError, Refused
from gitorch.model.json_struct import without_empty
from gitorch.model.run.announcement import (
    Announcement,
    AttemptRefused,
    Listener,
    Noticed,
)
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.model.text.phrases import counted, some
from gitorch.storage import ledger
from gitorch.storage.catalog import Catalog
from gitorch.storage.liveness import WorkerFiles, note_jobs, this_worker
from gitorch.storage.records import read_sound_records
from gitorch.storage.site import Site
from gitorch.storage.worker_secrets import keep_secrets
from gitorch.tools import clock
from gitorch.tools.locks import how_to_free, taken
from gitorch.tools.random_names import random_hex
from gitorch.worker.capacity import of_machine
from gitorch.worker.pool import Pool
from gitorch.worker.pool_options import LOCAL, PoolOptions
from gitorch.worker.recover import recover
from gitorch.worker.summary import Summary
from gitorch.worker.surroundings import Surroundings

if TYPE_CHECKING:
    from gitorch.actions.failures import FailureGroup

_CHECKED_OUT = (
    "note: {branch} is checked out in {path}, where new results appear as staged changes; "
    "git reset --hard there shows the results, if you have no changes of your own there"
)
# A program that looks for living workers holds the lock of a worker for a moment.
_READERS_S = 5.0
_NAMED = 5  # runs in a message


class RunEnd(Struct, frozen=True, kw_only=True):
    """A run and its status when the worker stopped."""

    id: str
    label: str
    status: Status


class Worked(Struct, frozen=True, kw_only=True):
    """The runs whose tasks this worker executed."""

    runs: tuple[RunEnd, ...]
    interrupted: bool
    refused: tuple[AttemptRefused, ...] = ()  # without those of killed runs
    killed: Mapping[
        str, str
    ] = {}  # while they were executed or waited: labels, by id
    failures: tuple[FailureGroup, ...] = ()  # gathered if there were several runs

    @property
    def complete(self) -> set[str]:
        """The ids of the complete runs."""
        return {run.id for run in self.runs if run.status is Status.COMPLETE}

    @property
    def failed(self) -> bool:
        """Return True if a run failed or was killed, or if an end was not accepted."""
        has_error = any(run.status is Status.ERROR for run in self.runs)
        return has_error or bool(self.refused) or bool(self.killed)

    def to_json(self) -> dict[str, Any]:
        runs = [
            {"id": run.id, "label": run.label, "status": str(run.status)}
            for run in self.runs
        ]
        failures = [group.to_json() for group in self.failures]
        refused = []
        for end in self.refused:
            refused.append(
                {
                    "id": end.run_id,
                    "task": end.task,
                    "attempt": end.number,
                    "why": end.why,
                    "files": end.files and str(end.files),
                }
            )
        killed = [
            {"id": run_id, "label": label} for run_id, label in self.killed.items()
        ]
        others = {"not_accepted": refused, "killed": killed, "failures": failures}
        return {"schema": "gitorch/run/v1", "runs": runs, **without_empty(others)}


def run(
    site: Site,
    references: Sequence[str],
    listener: Listener,
    *,
    jobs: Jobs,
    environment: Mapping[str, str],
    engine: str = LOCAL,
    stop_after: int | None = None,
    watch: bool = False,
    reuse: bool = True,
    begin: Callable[[Worker], object] = id,
    detaches: bool = False,
) -> Worked:
    """Run the queue, or only the named runs.

    Attempts of dead workers are committed first, and their runs are in the result. Without `reuse`,
    no result is taken from the cache. `begin` is called with the worker before it takes its first
    task, unless there is nothing to do. With `detaches`, it closes the streams of the terminal, so
    no process that would keep them open starts before.
    Raises Refused if a named run cannot be run, Busy, and other subclasses of GitorchError.
    """
    retention_of(site)  # reports an invalid setting before the work
    surroundings = Surroundings(site, environment)
    named: list[Row] = []
    only = None
    if references:  # before the recovery, which may end some of these runs
        named = _runnable(site, references)
        only = [row.id for row in named]
    recovered = _recover(site, surroundings, listener)
    has_work = watch or _has_work(site, only)
    with (
        _registered(site, surroundings, jobs.total) as (worker, files),
        _engines(jobs, engine, files, has_work and not detaches) as engines,
    ):
        _warn(site, listener)
        pool = Pool(
            site,
            engines,
            worker,
            listener,
            surroundings=surroundings,
            by=f"worker {worker.host}:{worker.pid}",
            files=files,
            options=PoolOptions(
                only=only,
                stop_after=stop_after,
                watch=watch,
                reuse=reuse,
                engine=engine,
                slots_of=jobs.of_engine,
            ),
        )
        if has_work:
            begin(worker)
        summary = pool.work()
    _fail_overdue(site, listener)
    summary.runs = recovered.runs | summary.runs
    summary.refused = recovered.refused + summary.refused
    return _worked(site, summary, named)


def _runnable(site: Site, references: Sequence[str]) -> list[Row]:
    """Return the runs with these names. Raises Refused if one of them cannot be run."""
    named = Catalog.of(site).named(references)
    _require_live(named)
    _require_own(site, named)
    return named


def _require_live(named: Sequence[Row]) -> None:
    """Raise Refused if one of these runs cannot be run as it is."""
    for row in named:
        if row.status in RUNNABLE:
            continue
        hints = {
            Status.COMPLETE: f"gitorch rerun {row.id} repeats it as a new run",
            Status.ERROR: f"gitorch retry {row.id} lets it continue where it failed",
            Status.HOLD: f"gitorch release {row.id} lets it run",
            Status.FAILED: f"gitorch resubmit {row.id} queues it again",
        }
        message = f"{row.label} ({row.id}) is {row.status} and cannot be run"
        raise Refused(message, hint=hints[row.status])


def _require_own(site: Site, named: Sequence[Row]) -> None:
    """Raise Refused if this clone has not queued one of these runs."""
    for row in named:
        foreign = refusal_of_foreign_run(site, "run", row)
        if foreign is not None:
            raise Refused(*foreign)
    if not named:
        return
    for record in read_sound_records(site, [row.id for row in named]).values():
        unqueued = refusal_of_unqueued_run(site, record)
        if unqueued is not None:
            raise Refused(*unqueued)


def _recover(site: Site, surroundings: Surroundings, listener: Listener) -> Summary:
    """Commit the attempts of dead workers. Return what became of them."""
    recovered = Summary()

    def hear(heard: Announcement) -> None:
        recovered.note(heard)
        listener(heard)

    recover(site, surroundings, hear)
    return recovered


def _warn(site: Site, listener: Listener) -> None:
    _warn_of_checkout(site, listener)
    _warn_of_unqueued(site, listener)


def _warn_of_checkout(site: Site, listener: Listener) -> None:
    path = site.results.checked_out_at()
    if path:
        message = _CHECKED_OUT.format(branch=site.results.name, path=path)
        listener(Noticed(message=message))


def _warn_of_unqueued(site: Site, listener: Listener) -> None:
    """Say that runs bear this clone's id, but are not executed: see `ledger.py`."""
    clone = site.repository.clone_id()
    rows = [row for row in Catalog.of(site).not_queued() if row.clone == clone]
    records = read_sound_records(site, [row.id for row in rows])
    queued_here = ledger.queued_here(site, records.values())
    unqueued = [run_id for run_id in records if run_id not in queued_here]
    if unqueued:
        message = (
            f"note: {counted(len(unqueued), 'run')} not executed, since this clone did not queue "
            f"what the record says: {some(unqueued, _NAMED)}; "
            f"gitorch show {unqueued[0]} shows it, gitorch adopt {unqueued[0]} takes it over"
        )
        listener(Noticed(message=message))


@contextmanager
def _registered(
    site: Site, surroundings: Surroundings, jobs: int
) -> Iterator[tuple[Worker, WorkerFiles]]:
    """Register this process as a worker, and hold the lock that shows that it is alive.

    The worker stays registered if tasks are still marked as running by it: recovery needs its
    entry.
    """
    worker = this_worker(random_hex(6))
    files = WorkerFiles.of(site.state, worker.id)
    with taken(files.alive, wait_s=_READERS_S) as is_taken:
        if not is_taken:
            raise Busy(
                f"another program holds the new lock of this worker: {files.alive}",
                hint=how_to_free(files.alive),
            )
        keep_secrets(files, surroundings.secrets)
        note_jobs(files, jobs)
        site.queue.register(worker)
        try:
            yield worker, files
        finally:
            if not site.queue.running_of(worker.id):
                site.queue.unregister(worker.id)
                files.remove()


def _has_work(site: Site, only: Sequence[str] | None) -> bool:
    return site.queue.claimable(only, of_machine(site.repository)) > 0


@contextmanager
def _engines(
    jobs: Jobs, engine: str, files: WorkerFiles, is_needed: bool
) -> Iterator[Engines]:
    """Yield the engines of a worker.

    The local one starts at once if it is needed: it takes some time, in which the worker reads new
    records. Otherwise it starts with the first order.
    """
    default = None if engine == LOCAL else engine
    engines = Engines(
        jobs.total, default, lambda name: jobs.engine(name, files.slots)
    )
    with closing(engines):
        if is_needed and engine == LOCAL:
            engines.named(LOCAL)
        yield engines


def _fail_overdue(site: Site, listener: Listener) -> None:
    """Do the cheap part of `collect`. No result depends on it, so its errors are only reported.

    Nothing is done if the clock was set while this worker ran: a run that has just failed would
    seem to have been in ERROR for years.
    """
    jump_s = clock.jump_s()
    if jump_s:
        message = (
            f"the clock was set by {jump_s:+.0f} s while this worker ran: "
            "no run was failed because of its age"
        )
        listener(Noticed(message=message))
        return
    try:
        for record in fail_overdue(site):
            message = (
                f"{record.id}  {record.label}: FAILED, it was in ERROR for too long"
            )
            listener(Noticed(message=message))
    except GitorchError as error:
        listener(Noticed(message=error.message))


def _worked(site: Site, summary: Summary, named: Sequence[Row]) -> Worked:
    """Return the result; the status of each run that was stopped before its end is read again."""
    unsettled = {row.id: row.label for row in named}
    for run_id, (label, status) in summary.runs.items():
        if status is Status.RUNNING:
            unsettled[run_id] = label
    current = {}
    if unsettled:
        rows = Catalog.of(site).rows(list(unsettled))
        current = {row.id: row.status for row in rows}
    killed = _killed(summary, unsettled, current)
    runs = []
    for run_id, (label, status) in summary.runs.items():
        if run_id not in killed:
            status = current.get(run_id, status)
            runs.append(RunEnd(id=run_id, label=label, status=status))
    refused = [end for end in summary.refused if not end.was_killed]
    return Worked(
        runs=tuple(runs),
        interrupted=summary.interrupted,
        refused=tuple(refused),
        killed=killed,
        failures=_failures_of(site, runs),
    )


def _killed(
    summary: Summary, unsettled: Mapping[str, str], current: Mapping[str, Status]
) -> dict[str, str]:
    """Return the labels of the runs that were killed, by id.

    An unsettled run that does not exist any more was killed, too.
    """
    killed = {end.run_id: end.label for end in summary.refused if end.was_killed}
    for run_id, label in unsettled.items():
        if run_id not in current:
            killed[run_id] = label
    return killed


def _failures_of(site: Site, runs: Sequence[RunEnd]) -> tuple[FailureGroup, ...]:
    """Return the gathered failures, unless a single run was executed: its end was just shown."""
    ended = {run.id: run.status for run in runs}
    if len(ended) < 2 or Status.ERROR not in ended.values():
        return ()
    from gitorch.actions.failures import gather_failures  # noqa: PLC0415  only after a failure

    return gather_failures(site, ended)
