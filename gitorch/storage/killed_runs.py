"""Killed runs: their marks on the results branch say when, by whom and why they were killed."""

from __future__ import annotations

from gitorch.errors import NotFound
from gitorch.model.branch_layout import RunPaths, killed_mark
from gitorch.model.run.ids import is_id_prefix, is_run_id
from gitorch.storage.site import Site


def explained(site: Site, reference: str, error: NotFound) -> NotFound:
    """Return the error with which a reference was not found, or that its run was killed."""
    if not is_id_prefix(reference):
        return error
    directory = killed_mark(reference).rsplit("/", 1)[0]
    killed = []
    for name in site.results.names(directory):
        if name.startswith(reference) and is_run_id(name):
            killed.append(name)
    if len(killed) != 1:
        return error
    [run_id] = killed
    mark = site.results.read(killed_mark(run_id)) or b""
    at, _, by = mark.decode("utf-8", "replace").strip().partition(" ")
    return NotFound(
        f"the run {run_id} was killed at {at} by {by.removesuffix(': killed')}",
        f"git log -p {site.results.name} -- {RunPaths.of(run_id).directory} "
        "shows its record and its logs",
    )
