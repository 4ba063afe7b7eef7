"""`gitorch revert`: the user's own checkout back at a run's code. The only verb that touches it; it loses nothing."""

from __future__ import annotations

from gitorch.actions.records import find_record
from gitorch.errors import UsageError
from gitorch.git import pins
from gitorch.git.checkout import Reverted, revert_detached, revert_files, revert_to_branch
from gitorch.model.run.record import Record
from gitorch.runs.site import Site


def revert(
    site: Site,
    reference: str,
    *,
    branch: str | None = None,
    detach: bool = False,
    files: bool = False,
) -> tuple[Record, Reverted]:
    """On a new branch (`gitorch/<id>` unless named), with a detached HEAD, or as staged changes where one is.

    Raises Refused whenever something uncommitted would be lost, NotFound where the run's commit is not in this clone.
    """
    if sum((branch is not None, detach, files)) > 1:
        raise UsageError(
            "--branch, --detach and --files exclude each other", hint="give one of them, or none"
        )
    record = find_record(site, reference)
    commit = record.pin.commit
    pins.require(site.repository, commit)
    if files:
        return record, revert_files(site.repository, commit)
    if detach:
        return record, revert_detached(site.repository, commit)
    return record, revert_to_branch(site.repository, commit, branch or f"gitorch/{record.id}")
