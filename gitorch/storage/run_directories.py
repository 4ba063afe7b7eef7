"""The directories of runs in the workspace: made before they are needed, removed afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from gitorch.errors import GitorchError, NotFound
from gitorch.git import pins
from gitorch.git.worktree.trash import move_to_trash
from gitorch.model.run.payload import Payload
from gitorch.model.run.record import Record
from gitorch.storage.records import read_record
from gitorch.storage.site import Site


def materialise_next(site: Site, only: Sequence[str] | None = None) -> None:
    """Make the missing worktrees of the runs that will start next, of the runs `only` if given.

    A worktree that cannot be made holds back no other. The run's first task tries again, and
    reports the reason.
    """
    for run_id in site.queue.next_runs(site.settings.worktrees_ahead, only):
        with suppress(GitorchError, OSError):
            payload = payload_of(site, run_id)
            if payload is not None:
                materialise(site, run_id, payload)


def payload_of(site: Site, run_id: str) -> Payload | None:
    """Return what the queue carries for a run, or None if the run has left the queue."""
    payload = site.queue.payload(run_id)
    return None if payload is None else read_payload(site, run_id, payload)


def read_payload(site: Site, run_id: str, value: Mapping[str, Any]) -> Payload:
    """Return the payload with this JSON, or the payload of the record if the JSON is damaged.

    Raises RecordBroken, and NotFound if there is no record either.
    """
    try:
        return Payload.from_json(value)
    except ValueError:
        record = read_record(site.results, run_id)
    if record is None:
        raise NotFound(
            f"neither the queue nor the results describe the run {run_id}"
        )
    return Payload.of(record)


def materialise(site: Site, run_id: str, payload: Payload) -> None:
    """Make the run's worktree if the run has not started yet.

    The worktree of a run that has started, and lost its worktree since, is left to the next
    attempt, which knows what was in it.
    """
    directory = site.directory(run_id)
    has_started = directory.log.exists()
    if not has_started and not site.worktrees.is_present(directory.tree):
        pins.secure(site.repository, payload.pin.commit)
        spec = payload.spec
        site.worktrees.materialise(
            payload.pin.commit, directory.tree, link=spec.link, sparse=spec.sparse
        )


def has_unkept_files(record: Record) -> bool:
    """Return True if the workspace has files of the run that the results branch does not have."""
    return any(attempt.notes for task in record.tasks for attempt in task.attempts)


def clear_away(site: Site, run_id: str, *, keep_files: bool = False) -> None:
    """Remove the run's directory from the workspace.

    With `keep_files`, only its worktree is removed: the other files are nowhere else.
    """
    directory = site.directory(run_id)
    site.worktrees.discard(directory.tree)
    if not keep_files:
        move_to_trash(site.repository, directory.path)
