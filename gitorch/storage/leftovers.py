"""Directories that nothing needs any more, left by crashes and by runs that ended elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitorch.errors import Refused
from gitorch.git.worktree.trash import trash
from gitorch.model.branch_layout import killed_mark
from gitorch.model.run.ids import is_run_id
from gitorch.model.run.record import Record
from gitorch.model.run.status import LIVE
from gitorch.storage import fetched
from gitorch.storage.catalog import Catalog
from gitorch.storage.environments import with_environments
from gitorch.storage.recording import recording
from gitorch.storage.records import read_sound_records
from gitorch.storage.run_directories import has_unkept_files, payload_of
from gitorch.storage.site import Site
from gitorch.tools import clock
from gitorch.tools.files import delete
from gitorch.tools.locks import is_held
from gitorch.tools.private import change_mode
from gitorch.tools.random_names import random_hex

# Below the workspace, see `locked_environments.py`.
ENVIRONMENTS = "environments"
# Held while `ready` makes runs.
READY_LOCK = "ready.lock"
# Held in the directory of a check while it lasts.
SCRATCH_LOCK = "alive"
# A check or a snapshot takes less time than this. An older directory belongs to one that was
# killed.
_ABANDONED_S = 3600.0
_BEGINNING_S = 5.0


class Leftover(Struct, frozen=True, kw_only=True):
    """A directory, the reason why nothing needs it, and the run that it was made for."""

    path: Path
    why: str
    run: str | None = None


def find(site: Site) -> list[Leftover]:
    """Return the leftovers of this clone's finished and killed runs, and of killed programs.

    Nothing is changed. If some files of a run could not be stored on the results branch, the
    directory still has them: then only its worktree is a leftover.
    """
    run_ids = _unqueued_runs(site)
    records = read_sound_records(site, run_ids)
    without_record = [run_id for run_id in run_ids if run_id not in records]
    return [
        *_of_finished_runs(site, records),
        *_of_killed_runs(site, without_record),
        *_of_killed_programs(site),
        *_environments(site, are_complete=False),
    ]


def unneeded_caches(site: Site) -> list[Leftover]:
    """Return the environments of locks and the fetched data that no live run needs.

    They are sound, and the next run that needs them would save the time to make them again.
    """
    return [*_environments(site, are_complete=True), *_unused_data(site)]


def remove(site: Site, leftover: Leftover) -> bool:
    """Move a leftover to the trash. Return False if it is needed again."""
    if leftover.run is None:
        if leftover.path.parent.name == ENVIRONMENTS:
            return site.locked_environments.remove(
                leftover.path, _interpreters(site)
            )
        if leftover.path.is_relative_to(site.workspace):
            _throw_away(site, leftover.path, leftover.path / "tree")
        else:
            delete(leftover.path)
        return True
    # Under the lock: `resubmit` makes the run's directory only after its commit.
    with recording(site) as changes:
        record = changes.record(leftover.run)
        is_live = record is not None and record.status in LIVE
        if is_live or site.queue.run(leftover.run) is not None:
            return False
        _throw_away(site, leftover.path, site.directory(leftover.run).tree)
    return True


def count_trash(site: Site) -> int:
    """Return the number of things in the trash that are not deleted yet."""
    directory = site.workspace / "trash"
    if not directory.is_dir():
        return 0
    return len(list(directory.iterdir()))


def empty_trash(site: Site) -> None:
    site.worktrees.empty_trash()


def _of_finished_runs(
    site: Site, records: Mapping[str, Record]
) -> Iterator[Leftover]:
    clone = site.repository.clone_id()
    for run_id, record in records.items():
        if record.status in LIVE or record.clone != clone:
            continue
        path = _unneeded_directory(site, record)
        if path.exists():
            yield Leftover(path=path, why=str(record.status), run=run_id)


def _unneeded_directory(site: Site, record: Record) -> Path:
    """Return what can be removed of a finished run: its directory, or only the worktree in it."""
    directory = site.directory(record.id)
    return directory.tree if has_unkept_files(record) else directory.path


def _of_killed_runs(site: Site, run_ids: Sequence[str]) -> Iterator[Leftover]:
    """Yield the directories of runs that have no record and no use.

    A mark says who killed the run, or the run has never started: the `ready` that made its worktree
    was killed. Any other run is unknown, so its directory stays.
    """
    is_being_made = is_held(site.state / READY_LOCK)
    marks = site.results.read_all([killed_mark(run_id) for run_id in run_ids])
    for run_id, mark in zip(run_ids, marks, strict=True):
        if mark is not None:
            yield Leftover(
                path=site.directory(run_id).path, why="killed", run=run_id
            )
        elif not is_being_made and not _has_begun(site, run_id):
            yield Leftover(
                path=site.directory(run_id).path,
                why="its ready was killed",
                run=run_id,
            )


def _has_begun(site: Site, run_id: str) -> bool:
    """Return True if an attempt of the run may have written something."""
    directory = site.directory(run_id)
    return directory.log.exists() or directory.output.exists()


def _unqueued_runs(site: Site) -> list[str]:
    """Return the runs that have a directory in the workspace but are not in the queue."""
    run_ids = [
        path.name for path in _directories(site.workspace) if is_run_id(path.name)
    ]
    if not run_ids or not site.queue_path.exists():
        return run_ids
    queued = {run.id for run in site.queue.runs()}
    return [run_id for run_id in run_ids if run_id not in queued]


def _of_killed_programs(site: Site) -> Iterator[Leftover]:
    """Yield what killed programs began: worktrees of checks, snapshots, and other worktrees."""
    store = site.repository.store_dir
    begun = {
        "a check": site.workspace / "scratch",
        "a snapshot": store / "snapshots",
        "a worktree": store / "tmp",
    }
    for what, parent in begun.items():
        for path in _directories(parent):
            age_s = time.time() - clock.jump_s() - path.stat().st_mtime
            # The worktree of a check is locked while it is used.
            is_unused = (
                what == "a check"
                and age_s > _BEGINNING_S
                and not is_held(path / SCRATCH_LOCK)
            )
            if is_unused or age_s > _ABANDONED_S:
                yield Leftover(path=path, why=f"{what} that was killed")


def _environments(site: Site, *, are_complete: bool) -> Iterator[Leftover]:
    """Yield the complete, or the half-built, environments that no live run needs."""
    if not _directories(site.workspace / ENVIRONMENTS):
        return
    for found in site.locked_environments.unneeded(_interpreters(site)):
        if found.is_complete == are_complete:
            yield Leftover(path=found.path, why=found.why)


def _interpreters(site: Site) -> Iterator[str]:
    """Yield the interpreters of the live runs of this clone, some more than once."""
    live, _ = Catalog(site).standing()
    records = read_sound_records(site, [row.id for row in live])
    for record in with_environments(site, list(records.values())):
        yield record.interpreter
        yield str(record.environment.get("interpreter", ""))


def _unused_data(site: Site) -> Iterator[Leftover]:
    """Yield the fetched data that no run in the queue needs, and no run used for a while."""
    if not fetched.directory_of(site).is_dir():
        return
    needed = []
    for queued in site.queue.runs():
        payload = payload_of(site, queued.id)
        if payload is not None:
            needed.append(payload.spec)
    for path in fetched.unused(site, needed):
        yield Leftover(path=path, why="fetched data that was not used lately")


def _directories(parent: Path) -> list[Path]:
    if parent.is_symlink():
        return []
    try:
        entries = sorted(parent.iterdir())
    except FileNotFoundError:
        return []
    return [entry for entry in entries if entry.is_dir() and not entry.is_symlink()]


def _throw_away(site: Site, path: Path, tree: Path) -> None:
    """Move `path` to the trash. It is or contains the worktree `tree`."""
    # Refused: a task has put something else in place of the worktree. It lies in the workspace, so
    # it goes as well.
    with suppress(Refused):
        site.worktrees.discard(tree)
    with suppress(FileNotFoundError):
        # A directory without write permission cannot be moved either.
        change_mode(path, path.lstat().st_mode | 0o700)
        path.rename(trash(site.repository) / f"{path.name}.{random_hex(6)}")
