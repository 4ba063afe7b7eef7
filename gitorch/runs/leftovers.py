"""What is still in the workspace though nothing needs it any more: of crashes, and of what was removed beside it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitorch.errors import Refused
from gitorch.git.worktree.trash import trash
from gitorch.model.branch_layout import RunPaths, killed_mark
from gitorch.model.run.ids import is_run_id
from gitorch.model.run.record import Record
from gitorch.model.run.status import LIVE
from gitorch.runs.recording import recording
from gitorch.runs.site import Site
from gitorch.tools.files import delete

# Longer than a check or a snapshot takes: a directory that is older was left by one that was killed.
_ABANDONED_S = 3600.0


class Leftover(Struct, frozen=True, kw_only=True):
    """A directory, why it is not needed, and the run it was for."""

    path: Path
    why: str
    run: str | None = None


def find(site: Site) -> list[Leftover]:
    """Of finished and killed runs of this clone, and of checks that were killed; changes nothing.

    A run's files that could not be kept on the results branch are needed: then only its worktree is left over.
    """
    return [*_of_runs(site), *_of_killed(site)]


def remove(site: Site, leftover: Leftover) -> bool:
    """Move it to the trash; False where it is needed again by now."""
    if leftover.run is None:
        if leftover.path.is_relative_to(site.workspace):
            _throw_away(site, leftover.path, leftover.path / "tree")
        else:
            delete(leftover.path)
        return True
    # Under the lock: a run that is queued again has its directory made anew only when that was committed.
    with recording(site) as changes:
        record = changes.record(leftover.run)
        if (record is not None and record.status in LIVE) or site.queue.run(
            leftover.run
        ) is not None:
            return False
        _throw_away(site, leftover.path, site.directory(leftover.run).tree)
    return True


def count_trash(site: Site) -> int:
    """How many things wait in the trash to be deleted."""
    directory = site.workspace / "trash"
    return sum(1 for _ in directory.iterdir()) if directory.is_dir() else 0


def empty_trash(site: Site) -> None:
    site.worktrees.empty_trash()


def keeps_files(record: Record) -> bool:
    """Whether the workspace has files of the run that the results branch does not."""
    return any(attempt.notes for task in record.tasks for attempt in task.attempts)


def _of_runs(site: Site) -> Iterator[Leftover]:
    runs = [path.name for path in _directories(site.workspace) if is_run_id(path.name)]
    queued = {run.id for run in site.queue.runs()} if runs and site.queue_path.exists() else set()
    clone = site.repository.clone_id()
    records = site.results.read_all([RunPaths.of(run).record for run in runs])
    killed = site.results.read_all([killed_mark(run) for run in runs])
    for run, data, mark in zip(runs, records, killed, strict=True):
        if run in queued:
            continue
        if data is None:
            if mark is not None:
                yield Leftover(path=site.directory(run).path, why="killed", run=run)
            continue  # of a run that nothing tells of, nobody knows whether it is needed
        record = Record.from_json(json.loads(data))
        if record.status in LIVE or record.clone != clone:
            continue
        directory = site.directory(run)
        path = directory.tree if keeps_files(record) else directory.path
        if path.exists():
            yield Leftover(path=path, why=str(record.status), run=run)


def _of_killed(site: Site) -> Iterator[Leftover]:
    """What programs that were killed had begun: checks their worktrees, others their snapshots and worktrees."""
    store = site.repository.store_dir
    begun = {
        "a check": site.workspace / "scratch",
        "a snapshot": store / "snapshots",
        "a worktree": store / "tmp",
    }
    for what, place in begun.items():
        for path in _directories(place):
            if path.stat().st_mtime < time.time() - _ABANDONED_S:
                yield Leftover(path=path, why=f"{what} that was killed")


def _directories(place: Path) -> list[Path]:
    try:
        return sorted(path for path in place.iterdir() if path.is_dir() and not path.is_symlink())
    except FileNotFoundError:
        return []


def _throw_away(site: Site, path: Path, tree: Path) -> None:
    """Move `path` to the trash, with the worktree `tree` that it is or holds."""
    with suppress(
        Refused
    ):  # a run has left something else in its place: what lies in the workspace is gitorch's
        site.worktrees.discard(tree)
    with suppress(FileNotFoundError):
        path.chmod(
            path.stat().st_mode | 0o700
        )  # a directory that may not be written cannot be moved either
        path.rename(trash(site.repository) / f"{path.name}.{secrets.token_hex(6)}")
