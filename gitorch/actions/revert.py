"""`gitorch revert`: put the user's own checkout back to a run's code.

No other verb changes the user's checkout. `revert` never loses uncommitted work.
"""

from __future__ import annotations

from gitorch.actions.records import find_record
from gitorch.errors import UsageError
from gitorch.git import pins
from gitorch.git.checkout import (
    Reverted,
    revert_detached,
    revert_files,
    revert_to_branch,
)
from gitorch.model.run.record import Record
from gitorch.storage.site import Site


def revert(
    site: Site,
    reference: str,
    *,
    branch: str | None = None,
    detach: bool = False,
    files: bool = False,
) -> tuple[Record, Reverted]:
    """Check out the code of a run on a new branch, by default `gitorch/<id>`.

    With `detach`, detach HEAD instead. With `files`, stage the differences on the current branch
    instead.
    Raises Refused if uncommitted work would be lost, and NotFound if the run's commit is not in
    this clone.
    """
    options = [branch is not None, detach, files]
    if options.count(True) > 1:
        raise UsageError(
            "--branch, --detach and --files exclude each other",
            hint="give one of them, or none",
        )
    record = find_record(site, reference)
    commit = record.pin.commit
    pins.require(site.repository, commit)
    if files:
        return record, revert_files(site.repository, commit)
    if detach:
        return record, revert_detached(site.repository, commit)
    return record, revert_to_branch(
        site.repository, commit, branch or f"gitorch/{record.id}"
    )
