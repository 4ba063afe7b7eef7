"""Comparison of a run's inputs with the data that the run was readied with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gitorch.errors import GitorchError
from gitorch.model.run.inputs import entries_of
from gitorch.model.run.payload import Payload
from gitorch.model.run.record import Data, Record
from gitorch.model.run.spec import TaskSpec
from gitorch.storage.contents import CommittedFile, PointedContent, Unusable
from gitorch.storage.inputs import Inputs, is_converted
from gitorch.storage.pointed_data import has_arrived
from gitorch.storage.site import Site

_DIGITS = 12  # of a digest in a message


class InputChanged(GitorchError):
    """An input that is not as it was when the run was readied."""

    kind = "input"

    def __init__(self, change: str) -> None:
        super().__init__(
            f"{change}; restore it and retry, or gitorch ready makes a run with the current data"
        )


def data_at(
    site: Site, record: Record, tree: str, worktree: Path | None = None
) -> tuple[Data, ...]:
    """Return the data of a run that goes on at another commit, which has the tree `tree`.

    Files of that commit are as the commit has them, or as a `worktree` of it has them. All other
    files stay as they were recorded.
    Raises Unusable if the commit does not have an input that the earlier commit has.
    """
    if not record.data:
        return ()
    inputs = Inputs(site, tree, record.spec.link)
    if worktree is not None:
        inputs.hash(record.spec.reads, worktree)
    before = {entry.path: entry for entry in record.data}
    data: dict[str, Data] = {}
    for pattern in record.spec.reads:
        files = inputs.find(pattern).files
        is_committed = any(
            isinstance(location, CommittedFile | PointedContent)
            for location in files.values()
        )
        if not is_committed:
            for entry in entries_of(pattern, record.data):
                data[entry.path] = entry
            continue
        for entry in inputs.data(pattern):
            is_on_disk = isinstance(files.get(entry.path), Path)
            data[entry.path] = (
                before.get(entry.path, entry) if is_on_disk else entry
            )
    return tuple(data.values())


def require_unchanged(
    site: Site, payload: Payload, task: TaskSpec, worktree: Path
) -> None:
    """Raise InputChanged if what the task reads is not as it was when the run was readied.

    Committed files are read in the run's worktree, which is at the pin. They need not be read if a
    checkout does not convert them. Raises Unusable if an input can no longer be read.
    """
    if not task.reads:
        return
    inputs = Inputs(site, payload.pin.tree, payload.spec.link)
    is_read = is_converted(site, payload.pin.tree)
    for pattern in task.reads:
        entries = entries_of(pattern, payload.data)
        if not entries:
            continue  # the run was readied without this input
        try:
            found = inputs.find(pattern)
        except Unusable as error:
            raise InputChanged(
                f"input {pattern} was there when the run was readied: {error.message}"
            ) from None
        if has_arrived(found.files, entries):
            continue
        if is_read:
            inputs.hash([pattern], worktree)
        if entries[0].files is None:
            _require_same_files(inputs, pattern, entries, with_committed=is_read)
        else:
            _require_same_group(inputs, pattern, entries[0], with_committed=is_read)


def _require_same_files(
    inputs: Inputs, pattern: str, entries: Sequence[Data], *, with_committed: bool
) -> None:
    """Compare an input that has an entry for each file."""
    files = inputs.find(pattern).files
    before = {entry.path: entry for entry in entries}
    for name in before.keys() - files.keys():
        raise InputChanged(f"input {name} is gone since the run was readied")
    compared = {}
    for name, location in files.items():
        if with_committed or isinstance(location, Path):
            compared[name] = location
    for name in compared.keys() - before.keys():
        raise InputChanged(f"input {name} is new since the run was readied")
    if compared:
        inputs.hash([pattern])
    for name, location in compared.items():
        _require_same(
            f"input {name}",
            before[name].identity,
            inputs.content(location).identity,
        )


def _require_same_group(
    inputs: Inputs, pattern: str, before: Data, *, with_committed: bool
) -> None:
    """Compare an input that has one entry for all files."""
    files = inputs.find(pattern).files
    if len(files) != before.files:
        raise InputChanged(
            f"input {pattern} named {before.files} files when the run was readied, "
            f"and names {len(files)}"
        )
    if with_committed or any(
        isinstance(location, Path) for location in files.values()
    ):
        [now] = inputs.data(pattern)
        _require_same(
            f"input {pattern} ({before.files} files)", before.identity, now.identity
        )


def _require_same(what: str, before: str, now: str) -> None:
    if before != now:
        raise InputChanged(
            f"{what} changed since the run was readied (was {before[:_DIGITS]}, is {now[:_DIGITS]})"
        )
