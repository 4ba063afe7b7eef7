"""The selection of the entries in a run's data that an input names."""

from __future__ import annotations

from collections.abc import Sequence

from gitorch.model.run.record import Data
from gitorch.model.text.globs import matcher


def entries_of(pattern: str, data: Sequence[Data]) -> tuple[Data, ...]:
    """Return the entries of `data` that the input `pattern` names.

    The result has one entry for each file, or one entry for all files of a glob or a directory. The
    result is empty only if the run was readied without this input.
    """
    for entry in data:
        if entry.files is not None and entry.path == pattern:
            return (entry,)
    matches = matcher(pattern).fullmatch
    entries = []
    for entry in data:
        if entry.files is None and matches(entry.path):
            entries.append(entry)
    return tuple(entries)
