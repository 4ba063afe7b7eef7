"""The results branch: there, whole, nobody's checkout, its records readable; and no lock left in its way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gitorch.errors import Busy
from gitorch.git.store.lock import is_held, locked
from gitorch.git.store.refs import old_locks, remove_old_lock
from gitorch.git.store.standing import Standing
from gitorch.health.checkup import Checkup, Finding
from gitorch.model.branch_layout import RunPaths
from gitorch.runs.site import Site

_STANDINGS = {
    Standing.MISSING: "is gone; what it held was kept",
    Standing.BEHIND: "went backwards; what it held was kept",
    Standing.BROKEN: "leads nowhere: its reference is damaged",
    Standing.DIVERGED: "was replaced by another history; what it held was kept",
}


def check_git_locks(checkup: Checkup) -> Iterator[Finding]:
    """What a git that was killed leaves for ever, so that nothing can be written any more."""
    repository = checkup.site.repository
    for lock in old_locks(repository, checkup.site.results.ref):

        def mend(lock: Path = lock) -> None:
            if is_held(repository):
                raise Busy("somebody is writing to the repository just now", "try again")
            with locked(repository):
                remove_old_lock(lock)

        yield checkup.found("git-lock", f"{lock} was left by a git that was killed", repair=mend)


def check_branch(checkup: Checkup) -> Iterator[Finding]:
    results = checkup.site.results
    standing = results.standing()
    if standing is not Standing.WHOLE:
        message = f"the results branch {results.name} {_STANDINGS[standing]}"
        if standing is not Standing.DIVERGED:
            yield checkup.found(f"branch-{standing.value}", message, repair=results.restore)
        elif checkup.fix:
            results.restore()  # keeps it under a name of its own, from where it is reported
    for ref in results.kept_aside():
        yield Finding(
            what="branch-diverged",
            message=f"{ref} has results that {results.name} does not",
            hint=f"git log {results.name}..{ref} shows them",
        )


def is_readable(site: Site) -> bool:
    return site.results.standing() is not Standing.BROKEN


def check_checkout(checkup: Checkup) -> Iterator[Finding]:
    place = checkup.site.results.checked_out_at()
    if place is not None:
        yield Finding(
            what="branch-checked-out",
            message=f"the results branch is checked out at {place}, where new results look like staged changes",
            hint=f"git -C {place} switch -  (git worktree list shows all)",
        )


def check_records(checkup: Checkup) -> Iterator[Finding]:
    name = checkup.site.results.name
    for run, reason in checkup.broken_records.items():
        yield Finding(
            what="record-unreadable",
            message=f"the record of {run} cannot be read: {reason}",
            hint=f"git log {name} -- {RunPaths.of(run).directory} shows earlier ones",
        )
