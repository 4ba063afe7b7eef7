"""The one way to change records: results first, queue second, both under one lock.

A record on the results branch is the truth about a run. The queue holds what follows from the
records of the live runs, and remembers the commit of the branch up to which it is current, its tip.
Everything that changes a record does it in a `recording`, which takes three steps:

1. Take the lock of the results branch, and read the records as they are now.
2. Commit the changed records. The commit is durable when this step ends.
3. Bring the queue to the records, in one transaction that also advances the queue's tip to the
   commit.

No other program commits between the steps. Therefore two changes of one record reach the queue in
the order in which they were committed. A crash between step 2 and step 3 leaves a queue whose tip
is behind the branch. `catch_up` detects this state by comparing two commit ids, and repeats step 3
for the runs that differ. Every step may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from gitorch.database.values import AttemptEnd, NewRun, NewTask, Tip
from gitorch.git import pins
from gitorch.git.store.branch_edit import BranchEdit, RunsChanged
from gitorch.model.branch_layout import RunPaths, environment_path, killed_mark
from gitorch.model.numbers import LARGEST_PRIORITY, clamped
from gitorch.model.run.environment import digest_of, render_environment
from gitorch.model.run.payload import Payload
from gitorch.model.run.record import Record, RecordBroken, TaskRecord
from gitorch.model.run.spec import Resources, TaskSpec
from gitorch.model.run.status import LIVE, Status
from gitorch.model.text.masking import mask_addresses, mask_addresses_in_bytes
from gitorch.storage import ledger
from gitorch.storage.queued_last import note_queued_last
from gitorch.storage.records import read_record
from gitorch.storage.site import Site

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

# A change is given up on after so many tries, if another program changes the same runs each time.
_TRIES = 5


class Recording:
    """Records that are changed together. Made by `recording`.

    Files of a run other than its record are put and removed with `branch`.
    """

    def __init__(self, site: Site, branch: BranchEdit) -> None:
        self.branch = branch
        self._site = site
        self._trailers: list[tuple[str, str]] = []
        self._environments: list[Mapping[str, Any]] = []
        self._followed: dict[str, Record | None] = {}
        self._latest: str | None = None

    def record(self, run_id: str) -> Record | None:
        """Return the run's record as it is now, uncommitted changes included.

        Raises GitorchError if it is broken.
        """
        return read_record(self.branch, run_id)

    def put(self, record: Record) -> None:
        """Change or add a record."""
        self.branch.put_record(_as_stored(record))
        self._trailers += _trailers(record, str(record.status))
        self.follow(record.id, record)

    def put_environment(self, environment: Mapping[str, Any]) -> None:
        """Put an environment that a record names, unless it is unknown or the branch has it."""
        if not environment or environment in self._environments:
            return
        self._environments.append(environment)
        text = render_environment(environment)
        path = environment_path(digest_of(text))
        if self.branch.read(path) != text:
            self.branch.put(path, text)

    def put_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Put the files of a config beside the record, by their names."""
        for name, data in files.items():
            masked = mask_addresses_in_bytes(data)
            self.branch.put(RunPaths.of(run_id).file(name), masked)

    def remove(self, record: Record, *, mark: bytes) -> None:
        """Remove a killed run with all its files.

        `mark` says who killed it, and stays on the branch.
        """
        self.branch.remove(RunPaths.of(record.id).directory)
        self.branch.put(killed_mark(record.id), mark)
        self._trailers += _trailers(record, "killed")
        self.follow(record.id, None)

    def follow(self, run_id: str, record: Record | None) -> None:
        """Bring the queue to this record when the recording is committed, or in `bring_queue`.

        None means that the run no longer has a record.
        """
        self._followed[run_id] = record
        if record is not None:
            self.note_time(record)

    def note_time(self, record: Record) -> None:
        """Note the time by which a run is sorted, for the runs that are created after it."""
        self._latest = max(self._latest or "", record.sorted_at or record.created)

    def commit(self, subject: str) -> None:
        """Commit the changed records, then bring the queue to them.

        A live run is queued as its record says, and its running tasks stay with their workers. Any
        other run leaves the queue. The ledger has the live runs before the commit.
        """
        ledger.note_queued(self._site, self._live())
        self._bring_queue(self._live(), self._committed(subject))

    def commit_ends(
        self, subject: str, ends: Sequence[AttemptEnd]
    ) -> list[AttemptEnd]:
        """Commit the changed records, then end the attempts in the queue that they complete.

        Return the ends of attempts that the queue did not know as current any more. The queue knows
        more about a running task than its record does, so it ends the attempt instead of being
        brought to the record. Only a run whose attempt it did not know is brought to its record.
        """
        known = self._site.queue.finish(ends, tip=self._committed(subject))
        accepted = {end.token for end in known}
        unknown = [end for end in ends if end.token not in accepted]
        if unknown:
            runs = {end.run for end in unknown}
            self._followed = {
                run_id: self._followed[run_id]
                for run_id in runs & self._followed.keys()
            }
            self.bring_queue()
        return unknown

    def bring_queue(self, tip: Tip = None) -> None:
        """Bring the queue to the records that were put, removed or followed.

        A live run that this clone has not queued as it is leaves the queue: see `ledger.py`. `tip`
        has the newest commit of the results branch before and after a change, see `Queue.finish`.
        """
        live = self._live()
        queued_here = ledger.queued_here(self._site, live)
        self._bring_queue(
            [record for record in live if record.id in queued_here], tip
        )

    def _live(self) -> list[Record]:
        """Return the followed records whose runs are live."""
        live = []
        for record in self._followed.values():
            if record is not None and record.status in LIVE:
                live.append(record)
        return live

    def _bring_queue(self, live: Sequence[Record], tip: Tip) -> None:
        """Queue these runs as their records say. The other followed runs leave the queue."""
        over = self._followed.keys() - {record.id for record in live}
        entries = [queue_entry(record) for record in live]
        self._site.queue.bring(
            entries, over=sorted(over), tip=tip, latest=self._latest
        )

    def _committed(self, subject: str) -> Tip:
        """Return the new commit, and the commit that it really was made on.

        If another git program has moved the branch meanwhile, the latter is not the tip that the
        queue follows. The queue's tip then stays, and the next recording brings the queue to
        everything that is new.
        """
        return self.branch.commit(subject, self._trailers)


@contextmanager
def recording(site: Site) -> Iterator[Recording]:
    """Yield a recording, and hold the lock of the results branch for it.

    The queue is first brought to what it does not know of the branch. Changes that are not
    committed when the block ends are given up. Raises Refused if the branch cannot be gitorch's,
    and Busy if another program holds the lock for long.
    """
    with site.results.changing() as branch:
        changes = Recording(site, branch)
        _catch_up(site, changes)
        yield Recording(site, branch)


def repeated_if_runs_change(
    change: Callable[Parameters, Answer],
) -> Callable[Parameters, Answer]:
    """Call a function with a `recording` again if another git program has changed its runs.

    The function then sees the records as they are by now. It must be safe to repeat.
    """

    @wraps(change)
    def repeated(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Answer:
        for _ in range(_TRIES - 1):
            with suppress(RunsChanged):
                return change(*args, **kwargs)
        return change(*args, **kwargs)

    return repeated


@repeated_if_runs_change
def queue_records(
    site: Site,
    records: Sequence[Record],
    files: Sequence[Mapping[str, bytes]],
    subject: str,
) -> None:
    """Commit new records with the files of their configs, then queue them.

    Their pins are kept before anything names them. They are sorted behind all runs on the branch.
    """
    for commit in {record.pin.commit for record in records}:
        pins.keep(site.repository, commit)
    with recording(site) as changes:
        for record, kept in zip(records, files, strict=True):
            changes.put_files(record.id, kept)
            changes.put(record)
        changes.commit(subject)
        if site.queue.meta("latest") is None:
            newest = max(record.sorted_at or record.created for record in records)
            site.queue.begin_latest(newest)
    note_queued_last(site, [record.id for record in records])


def catch_up(site: Site) -> None:
    """Restore what the branch has lost, and bring the queue to records that it does not know.

    There are such records if a program died between commit and queue, if another git program has
    changed the branch, or if queue.db was deleted or replaced by an older copy. Records from
    elsewhere are not queued: see `ledger.py`.
    """
    tip, known = site.results.tip(), site.queue.meta("tip")
    is_current = tip == known and (tip is None or ledger.exists(site))
    if not is_current:
        with recording(site):
            pass  # it begins with catching up


def _catch_up(site: Site, changes: Recording) -> None:
    """Bring the queue to the runs that differ between its tip and that of the branch."""
    known = site.queue.meta("tip")
    if known is not None and known != changes.branch.tip:
        changes.branch.include(known)
    tip = changes.branch.tip
    if tip is None:
        return
    ledger.begin(site)
    if tip == known:
        return
    for run_id in site.results.changed_runs(known, tip):
        _follow(site, changes, run_id)
    changes.bring_queue((None, tip))


def drop_foreign(site: Site) -> None:
    """Remove the runs of other clones, which a copied queue has, from the queue."""
    clone = site.repository.clone_id()
    with recording(site) as changes:
        for run in site.queue.runs():
            with suppress(RecordBroken):  # `catch_up` removes it
                record = changes.record(run.id)
                is_foreign = record is not None and record.clone != clone
                if is_foreign and not run.is_running:
                    changes.follow(run.id, record)
        changes.bring_queue()


def _follow(site: Site, changes: Recording, run_id: str) -> None:
    """Bring the queue to a record that was committed without its knowledge."""
    try:
        record = changes.record(run_id)
    except RecordBroken:
        # A run without a record that can be read is not executed. `gitorch doctor` explains it.
        record = None
    if record is not None:
        changes.note_time(record)
    entry = site.queue.run(run_id)
    is_foreign = record is not None and record.clone != site.repository.clone_id()
    if is_foreign and entry is None:
        return
    # A running task is left to its worker, which may be about to end the task, or to the recovery
    # if the worker is dead.
    is_running = entry is not None and entry.is_running
    if not is_running or _is_queued(site, record):
        changes.follow(run_id, record)


def _is_queued(site: Site, record: Record | None) -> bool:
    """Return True if the run belongs into the queue."""
    is_live = record is not None and record.status in LIVE
    return record is not None and is_live and ledger.has_queued(site, record)


def queue_entry(record: Record) -> NewRun:
    """Return the queue entry of a live record, made from the record alone."""
    unfinished = [
        task for task in record.tasks if task.status is not Status.COMPLETE
    ]
    return NewRun(
        id=record.id,
        payload=Payload.of(record).to_json(),
        held=record.hold is not None,
        begun=record.started is not None,
        tasks=tuple(_queue_task(record, task) for task in unfinished),
    )


def _queue_task(record: Record, task: TaskRecord) -> NewTask:
    """Return the queue entry of an unfinished task.

    A task that was running waits again, or is held with its run.
    """
    spec = record.spec.task(task.id)
    priority = spec.priority if record.priority is None else record.priority
    outcome = None
    status = Status.HOLD if record.hold is not None else Status.WAITING
    if task.status is Status.ERROR:
        status = Status.ERROR
        if task.attempts:
            outcome = task.attempts[-1].outcome
    return NewTask(
        id=task.id,
        needs=spec.needs,
        status=status,
        priority=clamped(priority, LARGEST_PRIORITY),
        resources=_counted(spec),
        attempts=task.attempt_count,
        outcome=outcome,
    )


def _counted(spec: TaskSpec) -> Resources:
    """Return the resources that a task takes of the worker's own machine."""
    is_local = spec.engine in (None, "local")
    return spec.resources if is_local else Resources()


def _as_stored(record: Record) -> dict[str, Any]:
    """Return the record as it is stored.

    It is without the passwords in the address of the repository, and without an environment that
    the branch has under its digest.
    """
    document = record.to_json()
    if record.environment_sha256 is not None:
        document["environment"] = {}
    own = document["spec"]["document"]
    address = own.get("githubRepository")
    if isinstance(address, str):
        masked = {**own, "githubRepository": mask_addresses(address)}
        document["spec"] = {**document["spec"], "document": masked}
    if record.overrides:
        document["overrides"] = [mask_addresses(text) for text in record.overrides]
    return document


def _trailers(record: Record, status: str) -> list[tuple[str, str]]:
    """Return the trailers with which a commit names a run that it changes."""
    return [
        ("Gitorch-Run", record.id),
        ("Gitorch-Status", status),
        ("Gitorch-Commit", record.pin.commit),
    ]
