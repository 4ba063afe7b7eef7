"""The logs of attempts on the results branch."""

from __future__ import annotations

from typing import BinaryIO

from gitorch.git.store import artifacts
from gitorch.model.branch_layout import ATTEMPT, LOG, RunPaths
from gitorch.model.run.record_file import read_attempt
from gitorch.storage.site import Site


def open_kept_log(
    site: Site, run_id: str, task_id: str, number: int
) -> BinaryIO | None:
    """Open the log of an attempt. Return None if the branch does not have it.

    The log may be a large file. Raises NotFound if the large file is not in this clone.
    """
    paths = RunPaths.of(run_id).attempt(task_id, number)
    log, description = site.results.read_all([paths.log, paths.file(ATTEMPT)])
    if log is None:
        return None
    return artifacts.open_kept(site.repository, log, stored_as(description, LOG))


def stored_as(description: bytes | None, name: str) -> str | None:
    """Return how a file of an attempt is stored: "git" or "lfs".

    `description` is the attempt's `attempt.json`. Return None if it does not say so, because an
    earlier version wrote it.
    """
    attempt = read_attempt(description or b"")
    if attempt is None or attempt.stored is None:
        return None
    return attempt.stored.get(name)
