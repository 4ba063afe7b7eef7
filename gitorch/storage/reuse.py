"""Reuse of results that another run has already computed.

When a task that has `cache` is claimed, its cache key is determined. If a complete task has the
same key, its results are also the results of the claimed task. The results branch has them, so
nothing runs: only their files are checked. If a task with the same key has failed, the claimed task
fails in the same way (`known_failure`). If another task with the same key is being computed, the
claimed task is given back to the queue until the other task has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from msgspec import Struct, field
from msgspec.structs import replace

from gitorch.errors import GitorchError
from gitorch.git.store import artifacts
from gitorch.git.store.branch_content import BranchView
from gitorch.git.store.trees import TreeEntry
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.cache import (
    Dependencies,
    dependencies,
    digest_of,
    outputs_of,
)
from gitorch.model.run.record import (
    CacheEntry,
    CacheSource,
    Output,
    Record,
    TaskRecord,
)
from gitorch.model.run.record_changes import AttemptResult, Reuse
from gitorch.model.run.status import Status
from gitorch.storage.catalog import Catalog
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.known_failure import KnownFailure, known_failure
from gitorch.storage.output_files import is_volatile
from gitorch.storage.records import read_record
from gitorch.storage.site import Site
from gitorch.tools.clock import now


class Reused(Struct, frozen=True, kw_only=True):
    """A claimed task that does not run: the results that it reuses, and their files by path.

    `reuse` is None if the record already has the results: a worker committed them, and died before
    it could update the queue.
    """

    attempt: ClaimedAttempt
    reuse: Reuse | None
    files: Mapping[str, TreeEntry] = field(default_factory=dict)


class Reuser:
    """The search for reusable results, which all preparers of one worker share.

    If `is_enabled` is False, every task is computed and nothing is reused.
    """

    def __init__(self, site: Site, *, is_enabled: bool) -> None:
        self._site = site
        self._catalog = Catalog(site)
        self._is_enabled = is_enabled
        self._last_sources: dict[str, CacheSource] = {}  # by key
        # Checked (blob id, expected SHA-256) pairs.
        self._intact: set[tuple[bytes, str]] = set()

    def settle(
        self, attempt: ClaimedAttempt
    ) -> ClaimedAttempt | Reused | KnownFailure | None:
        """Decide how a claimed task gets its results.

        Return the attempt if it must run, or the results or the failure that it reuses. Return None
        if the claim was given back because another task is computing the same results.
        """
        if attempt.task.cache is None:
            return attempt
        view = self._site.results.view()
        record = _record(view, attempt)
        if view is None or record is None:
            return attempt
        depends = depends_on(self._site, record, attempt)
        if depends is None:
            return attempt
        if not self._is_enabled or record.rerun_of is not None:
            self._site.queue.compute(attempt.claim, depends.key, alongside=True)
            return _computing(attempt, depends)
        return self._reuse_or_compute(view, record, attempt, depends)

    def _reuse_or_compute(
        self,
        view: BranchView,
        record: Record,
        attempt: ClaimedAttempt,
        depends: Dependencies,
    ) -> ClaimedAttempt | Reused | KnownFailure | None:
        queue, claim = self._site.queue, attempt.claim
        if queue.give_way(claim, depends.key):
            return None
        reused = self._find(view, attempt, depends)
        if reused is not None:
            return reused
        failure = known_failure(self._site, attempt, depends.key, record.created)
        if failure is not None:
            return failure
        if not queue.compute(claim, depends.key):
            return None
        # Another task may have committed the same results between the search and `compute`.
        newer = self._site.results.view()
        if newer is not None and newer.tip != view.tip:
            reused = self._find(newer, attempt, depends)
            if reused is not None:
                return reused
        return _computing(attempt, depends)

    def _find(
        self, view: BranchView, attempt: ClaimedAttempt, depends: Dependencies
    ) -> Reused | None:
        """Return the results of the newest task with this key whose results are all intact."""
        last = self._last_sources.get(depends.key)
        if last is not None:
            reused = self._reused(view, last, attempt, depends)
            if reused is not None:
                return reused
        for run_id, task_id in self._catalog.computed(depends.key):
            source = CacheSource(run_id, task_id)
            reused = self._reused(view, source, attempt, depends)
            if reused is not None:
                self._last_sources[depends.key] = source
                return reused
        return None

    def _reused(
        self,
        view: BranchView,
        source: CacheSource,
        attempt: ClaimedAttempt,
        depends: Dependencies,
    ) -> Reused | None:
        """Return the results of `source`, or None if they cannot be reused."""
        try:
            record = read_record(view, source.run)
            if record is None or record.invalidation is not None:
                return None
            task = record.task(source.task)
            cache = _usable_entry(record, task, depends.key)
            if cache is None or _is_invalid(view, cache.source):
                return None
            if not all(_is_inside(path) for path in cache.removed):
                return None
            files = self._intact_files(
                view, source.run, outputs_of(record, task.id)
            )
        except (GitorchError, OSError, ValueError, KeyError):
            return None  # a record can come from another clone, and be broken in any way
        if files is None:
            return None
        used = replace(
            cache,
            code=depends.code,
            before=depends.before,
            source=cache.source or source,
        )
        reuse = _reuse(attempt, record, task, used)
        return Reused(attempt=attempt, reuse=reuse, files=files)

    def _intact_files(
        self, view: BranchView, run_id: str, outputs: Sequence[Output]
    ) -> dict[str, TreeEntry] | None:
        """Return the tree entries of a run's outputs, by path.

        Return None if an output is not intact, or if its path leads out of the output directory.
        """
        paths = RunPaths.of(run_id)
        files = {}
        for output in outputs:
            entry = view.entry(paths.output(output.path))
            if entry is None or not _is_inside(output.path):
                return None
            if not self._is_intact(view, output, entry):
                return None
            files[output.path] = entry
        return files

    def _is_intact(
        self, view: BranchView, output: Output, entry: TreeEntry
    ) -> bool:
        """Return True if this clone has the content of an output, and it is as recorded."""
        checked = entry.oid, output.sha256
        if checked in self._intact:
            return True
        if artifacts.is_intact(self._site.repository, output, view.read(entry.oid)):
            self._intact.add(checked)
            return True
        return False


def _record(view: BranchView | None, attempt: ClaimedAttempt) -> Record | None:
    return None if view is None else read_record(view, attempt.claim.run)


def _computing(attempt: ClaimedAttempt, depends: Dependencies) -> ClaimedAttempt:
    """Return the attempt with the key that it computes."""
    return replace(attempt, claim=replace(attempt.claim, key=depends.key))


def _usable_entry(record: Record, task: TaskRecord, key: str) -> CacheEntry | None:
    """Return the task's cache entry if it has this key and the task's results can be reused.

    They cannot be reused if a later task has changed some of the outputs.
    """
    entry = task.cache
    if task.status is not Status.COMPLETE or entry is None or entry.key != key:
        return None
    has_all_outputs = digest_of(outputs_of(record, task.id)) == entry.produced
    return entry if has_all_outputs else None


def _is_invalid(view: BranchView, source: CacheSource | None) -> bool:
    """Return True if the run that computed the results is marked as not to be trusted."""
    if source is None:
        return False
    record = read_record(view, source.run)
    return record is not None and record.invalidation is not None


def _reuse(
    attempt: ClaimedAttempt, record: Record, task: TaskRecord, cache: CacheEntry
) -> Reuse:
    """Return the results of `task`, a task of `record`, for the task of `attempt`."""
    discarded = [entry for entry in record.discarded if entry.task == task.id]
    outputs = []
    for output in outputs_of(record, task.id):
        is_marked = is_volatile(output.path, attempt.task.volatile)
        outputs.append(replace(output, volatile=is_marked))
    return Reuse(
        task=attempt.claim.task,
        pin=attempt.payload.pin,
        at=now(),
        result=task.result,
        metrics=task.metrics,
        outputs=tuple(outputs),
        discarded=tuple(discarded),
        environment=record.environment,
        environment_sha256=record.environment_sha256,
        cache=cache,
    )


def depends_on(
    site: Site, record: Record, attempt: ClaimedAttempt
) -> Dependencies | None:
    """Return what the results of the attempt's task depend on; None if the task has no `cache`."""
    task = attempt.task
    if task.cache is None:
        return None
    code = site.code.of(
        attempt.payload.pin.tree, task.cache.code, frozenset(record.bases)
    )
    return dependencies(record, task, code)


def entry_of(
    site: Site, before: Record, attempt: ClaimedAttempt, result: AttemptResult
) -> CacheEntry | None:
    """Return the cache entry under which the results of an ended attempt can be reused.

    `before` is the record without the attempt. Return None if the results cannot be reused: what
    they depend on has changed since the claim, something could not be stored, an earlier attempt
    has left outputs under another key, or another task may have written into the output directory
    at the same time.
    """
    claim = attempt.claim
    if claim.key is None or result.attempt.notes or result.outputs is None:
        return None
    earlier = before.task(claim.task).cache
    has_same_key = earlier is not None and earlier.key == claim.key
    if outputs_of(before, claim.task) and not has_same_key:
        return None
    depends = depends_on(site, before, attempt)
    if depends is None or depends.key != claim.key:
        return None
    if _ran_beside(site, before, attempt, result):
        return None
    own_outputs = [output for output in result.outputs if output.task == claim.task]
    removed = _removed_by(claim.task, before.outputs, result.outputs)
    return CacheEntry(
        key=claim.key,
        code=depends.code,
        before=depends.before,
        produced=digest_of(own_outputs),
        removed=tuple(removed),
    )


def _removed_by(
    task_id: str, before: Iterable[Output], after: Iterable[Output]
) -> Iterator[str]:
    """Yield the outputs of other tasks that an attempt of the task has removed."""
    kept = {output.path for output in after}
    for output in before:
        if output.path not in kept and output.task != task_id:
            yield output.path


def recorded_reuse(site: Site, attempt: ClaimedAttempt) -> Reused | None:
    """Return the reuse that a dead worker committed for its claim, or None."""
    record = _record(site.results.view(), attempt)
    if record is None:
        return None
    task = record.task(attempt.claim.task)
    is_reused = task.cache is not None and task.cache.source is not None
    if task.status is not Status.COMPLETE or not is_reused:
        return None
    return Reused(attempt=attempt, reuse=None)


def _ran_beside(
    site: Site, before: Record, attempt: ClaimedAttempt, result: AttemptResult
) -> bool:
    """Return True if another task of the run was running at the same time."""
    beside = {other.id for other in before.spec.beside(attempt.task)}
    if not beside:
        return False
    for claim, _ in site.queue.running_in(attempt.claim.run):
        if claim.task in beside:
            return True
    started, ended = result.attempt.started, result.attempt.ended
    for task in before.tasks:
        if task.id not in beside:
            continue
        for other in task.attempts:
            if other.started < ended and started < other.ended:
                return True
    return False


def _is_inside(path: str) -> bool:
    """Return True if the path of an output does not lead out of its directory.

    The path can come from the record of another clone.
    """
    return not path.startswith("/") and ".." not in PurePosixPath(path).parts
