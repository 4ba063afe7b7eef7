"""The directories of runs in the workspace: made before they are needed, removed afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from gitorch.git.worktree.trash import move_to_trash
from gitorch.model.run.payload import Payload
from gitorch.runs.site import Site


def materialise_next(site: Site, only: Sequence[str] | None = None) -> None:
    """Make the worktrees of the runs that will be begun next, those that are not there yet.

    Raises GitorchError, OSError.
    """
    for run in site.queue.next_runs(site.settings.worktrees_ahead, only):
        if wanted := wanted_by(site, run):
            materialise(site, run, wanted)


def wanted_by(site: Site, run: str) -> Payload | None:
    """What is to be made ready; None if the run has left the queue."""
    payload = site.queue.payload(run)
    return Payload.from_json(payload) if payload else None


def materialise(site: Site, run: str, wanted: Payload) -> None:
    """A worktree that has been lost since the run was begun is left to the attempt, which knows what was in it."""
    directory = site.directory(run)
    if not (directory.log.exists() or site.worktrees.is_present(directory.tree)):
        site.worktrees.materialise(wanted.pin.commit, directory.tree, link=wanted.spec.link)


def clear_away(site: Site, run: str, *, keep_files: bool = False) -> None:
    """Remove what the workspace holds of a run: all of it is on the results branch. `keep_files`: only its worktree."""
    directory = site.directory(run)
    site.worktrees.discard(directory.tree)
    if not keep_files:
        move_to_trash(site.repository, directory.path)
