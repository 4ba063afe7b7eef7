"""Checks of the results branch: its reference, its records, its checkouts, and locks in its way."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gitorch.errors import Busy
from gitorch.git.repository import Repository
from gitorch.git.store.branch_state import BranchState
from gitorch.git.store.lock import is_held, locked
from gitorch.git.store.refs import old_locks, remove_old_lock
from gitorch.health.checkup import Checkup, Finding
from gitorch.model.branch_layout import RECORD, RunPaths, environment_path
from gitorch.model.run.record import Record
from gitorch.model.text.phrases import counted, some
from gitorch.storage.attempts import earlier_attempts
from gitorch.storage.environments import with_environments
from gitorch.storage.site import Site

_DAMAGES = {
    BranchState.WHOLE: "lacks runs that this clone has had; they were kept",
    BranchState.MISSING: "is gone; what it held was kept",
    BranchState.BEHIND: "went backwards; what it held was kept",
    BranchState.BROKEN: "leads nowhere: its reference is damaged",
    BranchState.DIVERGED: "was replaced by another history; what it held was kept",
}


_NAMED = 3  # runs in a finding


def check_git_locks(checkup: Checkup) -> Iterator[Finding]:
    """Find lock files of killed git programs: as long as they exist, nothing can be written."""
    repository = checkup.site.repository
    for lock in old_locks(repository, checkup.site.results.ref):
        message = f"{lock} was left by a git that was killed"
        repair = partial(_remove_lock, repository, lock)
        yield checkup.repairable("git-lock", message, repair=repair)


def _remove_lock(repository: Repository, lock: Path) -> None:
    if is_held(repository):
        raise Busy(
            "another program is writing to the repository just now", "try again"
        )
    with locked(repository):
        remove_old_lock(lock)


def check_branch(checkup: Checkup) -> Iterator[Finding]:
    """Find a results branch that lost runs, and former histories that have more runs."""
    results = checkup.site.results
    state = results.state()
    lost: tuple[str, ...] = ()
    if state is not BranchState.BROKEN:
        lost = results.lost_runs()
    if lost or state is BranchState.BROKEN:
        message = f"the results branch {results.name} {_DAMAGES[state]}"
        if lost:
            message += f" ({counted(len(lost), 'run')} can be restored)"
        what = "lacks-runs" if state is BranchState.WHOLE else state.value
        yield checkup.repairable(f"branch-{what}", message, repair=results.restore)
    for ref, runs in results.former_histories().items():
        message = f"{ref} has {counted(len(runs), 'run')} that {results.name} lacks"
        yield checkup.repairable("branch-diverged", message, repair=results.restore)


def is_readable(site: Site) -> bool:
    """Return True if the results branch has commits that can be read, or does not exist."""
    return site.results.state() is not BranchState.BROKEN


def check_checkout(checkup: Checkup) -> Iterator[Finding]:
    """Find a worktree in which the results branch is checked out."""
    path = checkup.site.results.checked_out_at()
    if path is not None:
        yield Finding(
            what="branch-checked-out",
            message=f"the results branch is checked out at {path}, "
            "where new results look like staged changes",
            hint=f"git -C {shlex.quote(str(path))} switch -  (git worktree list shows all)",
        )


def check_records(checkup: Checkup) -> Iterator[Finding]:
    """Find records that cannot be read, and what is in the place of records."""
    results = checkup.site.results
    for run_id, broken in checkup.broken_records.items():
        directory = RunPaths.of(run_id).directory
        if broken.is_newer:
            yield Finding(
                what="record-newer",
                message=f"the record of {run_id} at {directory}/{RECORD}: {broken.reason}",
                hint=broken.hint,
            )
            continue
        yield Finding(
            what="record-unreadable",
            message=f"the record of {run_id} cannot be read: {broken.reason} "
            f"({directory}/{RECORD} on {results.name})",
            hint=f"git log {results.name} -- {directory} shows earlier ones; "
            f"git checkout COMMIT -- {directory} in a worktree of {results.name} brings one back",
        )
    for path in results.strays():
        yield Finding(
            what="branch-stray",
            message=f"{path} on {results.name} belongs to no run, and is ignored",
            hint=f"git log {results.name} -- {shlex.quote(path)} shows where it comes from",
        )


def check_attempts(checkup: Checkup) -> Iterator[Finding]:
    """Find attempts before the last one that cannot be read, so that `show` leaves them out."""
    results = checkup.site.results
    for found in earlier_attempts(checkup.site, *checkup.sound_records):
        if found.attempt is None:
            yield Finding(
                what="attempt-unreadable",
                message=f"{found.path} on {results.name} cannot be read; it is left out by show",
                hint=f"git log {results.name} -- {shlex.quote(found.path)} shows earlier ones",
            )


def check_environments(checkup: Checkup) -> Iterator[Finding]:
    """Find environments that records name and that cannot be read."""
    results = checkup.site.results
    for digest, records in _unread_environments(checkup).items():
        path = environment_path(digest)
        runs = some([record.id for record in records], _NAMED)
        yield Finding(
            what="environment-unreadable",
            message=f"{path} on {results.name} cannot be read; it is the environment of {runs}",
            hint=f"git log {results.name} -- {path} shows earlier ones; "
            f"git checkout COMMIT -- {path} in a worktree of {results.name} brings one back",
        )


def _unread_environments(checkup: Checkup) -> dict[str, list[Record]]:
    """Return the records whose environment cannot be read, by the digest that they name."""
    unread: dict[str, list[Record]] = {}
    for record in with_environments(checkup.site, checkup.sound_records):
        if record.environment_sha256 is not None and not record.environment:
            unread.setdefault(record.environment_sha256, []).append(record)
    return unread
