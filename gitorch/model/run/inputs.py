"""The data of a run that an input names."""

from __future__ import annotations

from collections.abc import Sequence

from gitorch.model.run.record import Data
from gitorch.model.text.globs import matcher


def entries_of(pattern: str, data: Sequence[Data]) -> tuple[Data, ...]:
    """Return the input as it was when the run was readied.

    The result has one entry for each file, or one entry for all files of a glob or a directory. It
    is empty only if the run was readied without this input.
    """
    for entry in data:
        if entry.files is not None and entry.path == pattern:
            return (entry,)
    matches = matcher(pattern).fullmatch
    return tuple(
        entry for entry in data if entry.files is None and matches(entry.path)
    )
