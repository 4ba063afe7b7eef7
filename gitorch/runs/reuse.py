"""Results that another run has computed already, taken instead of computing them again.

A task that has `cache` is asked for its key when it is claimed. Where a complete task has that key,
its results are this one's as well: the branch holds them, so nothing runs, and files are read only
to see that they are there. Where a task with that key is just being computed, this one is given
back to the queue until that has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import starmap
from pathlib import PurePosixPath

from msgspec import Struct, field
from msgspec.structs import replace

from gitorch.errors import GitorchError
from gitorch.git.store import artifacts
from gitorch.git.store.branch_content import BranchView
from gitorch.git.store.trees import TreeEntry
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.cache import Dependencies, dependencies, digest_of, outputs_of
from gitorch.model.run.record import CacheEntry, CacheSource, Output, Record
from gitorch.model.run.record_changes import AttemptResult, Reuse
from gitorch.model.run.status import Status
from gitorch.runs.catalog import Catalog
from gitorch.runs.claimed_attempt import ClaimedAttempt
from gitorch.runs.records import read_record
from gitorch.runs.site import Site
from gitorch.tools.clock import now


class Reused(Struct, frozen=True, kw_only=True):
    """A claimed task that need not run: the results it is given, and their files as the branch has
    them, by path.

    Without `reuse` its record has them already: whoever committed them died before the queue was
    told.
    """

    attempt: ClaimedAttempt
    reuse: Reuse | None
    files: Mapping[str, TreeEntry] = field(default_factory=dict)


class Reuser:
    """Looks for results to reuse, for the preparers of one worker; `takes`: else whatever runs is
    computed anew.
    """

    def __init__(self, site: Site, *, takes: bool) -> None:
        self._site = site
        self._catalog = Catalog(site)
        self._takes = takes
        self._sources: dict[str, CacheSource] = {}  # where results were found last, by key
        self._intact: set[tuple[bytes, str]] = (
            set()
        )  # blobs, and the SHA-256 that the files had which they stand for

    def settle(self, attempt: ClaimedAttempt) -> ClaimedAttempt | Reused | None:
        """What is to be done about a claimed task: to run it, to reuse results; None: nothing, it
        was given back.
        """
        if attempt.task.cache is None:
            return attempt
        queue, claim = self._site.queue, attempt.claim
        look = self._site.results.view()
        record = _record(look, claim.run)
        depends = record and depends_on(self._site, record, attempt)
        if not (look and record and depends):
            return attempt
        if not self._takes or record.rerun_of is not None:
            queue.compute(claim, depends.key, alongside=True)
            return replace(attempt, claim=replace(claim, key=depends.key))
        if queue.give_way(claim, depends.key):
            return None
        if found := self._find(look, attempt, depends):
            return found
        if not queue.compute(claim, depends.key):
            return None
        newer = (
            self._site.results.view()
        )  # whoever computed it may have committed it before it was our turn
        if newer and newer.tip != look.tip and (found := self._find(newer, attempt, depends)):
            return found
        return replace(attempt, claim=replace(claim, key=depends.key))

    def _find(
        self, look: BranchView, attempt: ClaimedAttempt, depends: Dependencies
    ) -> Reused | None:
        """Results that are all still there; whatever is wrong with some, others are looked at."""
        known = self._sources.get(depends.key)
        if known and (found := self._reused(look, known, attempt, depends)):
            return found
        for source in starmap(CacheSource, self._catalog.computed(depends.key)):
            if found := self._reused(look, source, attempt, depends):
                self._sources[depends.key] = source
                return found
        return None

    def _reused(
        self, look: BranchView, source: CacheSource, attempt: ClaimedAttempt, depends: Dependencies
    ) -> Reused | None:
        try:
            return self._taken(look, source, attempt, depends)
        except (
            GitorchError,
            OSError,
            ValueError,
            KeyError,
        ):  # somebody else's record may be of any shape
            return None

    def _taken(
        self, look: BranchView, source: CacheSource, attempt: ClaimedAttempt, depends: Dependencies
    ) -> Reused | None:
        record = _record(look, source.run)
        task = record.task(source.task) if record else None
        if not (
            record
            and task
            and task.cache
            and task.status is Status.COMPLETE
            and task.cache.key == depends.key
        ):
            return None
        outputs = outputs_of(record, task.id)
        if digest_of(outputs) != task.cache.produced:  # a later task has changed some of them
            return None
        files = {
            output.path: look.entry(RunPaths.of(source.run).output(output.path))
            for output in outputs
        }
        if not all(self._is_intact(look, output, files[output.path]) for output in outputs):
            return None
        if not all(_is_inside(path) for path in (*files, *task.cache.removed)):
            return None
        reuse = Reuse(
            task=attempt.claim.task,
            pin=attempt.payload.pin,
            at=now(),
            result=task.result,
            metrics=task.metrics,
            outputs=outputs,
            discarded=tuple(found for found in record.discarded if found.task == task.id),
            environment=record.environment,
            cache=replace(
                task.cache,
                code=depends.code,
                before=depends.before,
                source=task.cache.source or source,
            ),
        )
        return Reused(
            attempt=attempt,
            reuse=reuse,
            files={path: entry for path, entry in files.items() if entry},
        )

    def _is_intact(self, look: BranchView, output: Output, entry: TreeEntry | None) -> bool:
        if entry is None:
            return False
        known = entry.oid, output.sha256
        if known not in self._intact and artifacts.is_intact(
            self._site.repository, output, look.read(entry.oid)
        ):
            self._intact.add(known)
        return known in self._intact


def depends_on(site: Site, record: Record, attempt: ClaimedAttempt) -> Dependencies | None:
    """What the results of a task that has `cache` will depend on, as `record` is now."""
    task = attempt.task
    if task.cache is None:
        return None
    code = site.code.of(attempt.payload.pin.tree, task.cache.code, frozenset(record.bases))
    return dependencies(record, task, code)


def entry_of(
    site: Site, before: Record, attempt: ClaimedAttempt, collected: AttemptResult
) -> CacheEntry | None:
    """Under what key the results of an ended attempt can be reused; `before` is the record without
    it.

    None where they cannot be: what they depend on has changed meanwhile, something could not be
    kept, an attempt before it has left something under another key, or other tasks have written
    into the output directory at the same time.
    """
    claim = attempt.claim
    if claim.key is None or collected.attempt.notes:
        return None
    left = before.task(claim.task).cache
    if outputs_of(before, claim.task) and not (left and left.key == claim.key):
        return None
    depends = depends_on(site, before, attempt)
    if depends is None or depends.key != claim.key or _ran_beside(site, before, attempt, collected):
        return None
    there = {output.path for output in collected.outputs}
    return CacheEntry(
        key=claim.key,
        code=depends.code,
        before=depends.before,
        produced=digest_of(output for output in collected.outputs if output.task == claim.task),
        removed=tuple(
            output.path
            for output in before.outputs
            if output.path not in there and output.task != claim.task
        ),
    )


def recorded(site: Site, attempt: ClaimedAttempt) -> Reused | None:
    """The reuse that a dead worker has committed for its claim, if that is how it ended."""
    record = _record(site.results.view(), attempt.claim.run)
    task = record and record.task(attempt.claim.task)
    is_reused = task and task.status is Status.COMPLETE and task.cache and task.cache.source
    return Reused(attempt=attempt, reuse=None) if is_reused else None


def _record(look: BranchView | None, run: str) -> Record | None:
    return None if look is None else read_record(look, run)


def _ran_beside(
    site: Site, before: Record, attempt: ClaimedAttempt, collected: AttemptResult
) -> bool:
    """Whether another task of the run was at work at the same time."""
    beside = {other.id for other in before.spec.beside(attempt.task)}
    if not beside:
        return False
    began, ended = collected.attempt.started, collected.attempt.ended
    return any(
        claim.task in beside for claim, _ in site.queue.running_in(attempt.claim.run)
    ) or any(
        other.started < ended and began < other.ended
        for task in before.tasks
        if task.id in beside
        for other in task.attempts
    )


def _is_inside(path: str) -> bool:
    """Whether a path, perhaps of somebody else's record, stays in the directory that it is relative
    to.
    """
    return not path.startswith("/") and ".." not in PurePosixPath(path).parts
