"""`gitorch revert`: put the user's own checkout back to a run's code.

No other verb changes the user's checkout. `revert` never loses uncommitted work.
"""

from __future__ import annotations

from typing import NamedTuple

from gitorch.actions.lacking import warnings_about, ways_to_complete
from gitorch.actions.records import find_record
from gitorch.errors import UsageError
from gitorch.git import pins
from gitorch.git.checkout import (
    Reverted,
    find_lacking,
    revert_detached,
    revert_files,
    revert_to_branch,
)
from gitorch.model.run.record import Record
from gitorch.storage.site import Site


class Restored(NamedTuple):
    """A run whose code is checked out, a warning for each thing that it lacks, and commands."""

    record: Record
    reverted: Reverted
    warnings: tuple[str, ...]
    hints: tuple[str, ...]


def revert(
    site: Site,
    reference: str,
    *,
    branch: str | None = None,
    detach: bool = False,
    files: bool = False,
) -> Restored:
    """Check out the code of a run on a new branch, by default `gitorch/<id>`.

    With `detach`, detach HEAD instead. With `files`, stage the differences on the current branch
    instead. Large files and submodules that cannot be fetched hold back nothing else.
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
    repo = site.repository
    if files:
        reverted = revert_files(repo, commit)
    elif detach:
        reverted = revert_detached(repo, commit)
    else:
        reverted = revert_to_branch(repo, commit, branch or f"gitorch/{record.id}")
    lacking = find_lacking(repo, commit)
    hints = [*ways_to_complete(repo, lacking, commit)]
    if lacking.files:
        hints.append("git lfs checkout, after the large files were fetched")
    return Restored(
        record,
        reverted,
        tuple(warnings_about(lacking)),
        tuple(hints),
    )
