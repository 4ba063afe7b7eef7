"""Which of a run's data an input stands for."""

from __future__ import annotations

from collections.abc import Sequence

from gitorch.model.run.record import Data
from gitorch.model.text.globs import matcher


def entries_of(pattern: str, data: Sequence[Data]) -> tuple[Data, ...]:
    """What the input was when the run was readied: one entry for each of its files, or a single one for all of them.

    None only where the run was readied without that input.
    """
    for entry in data:
        if entry.files is not None and entry.path == pattern:
            return (entry,)
    names = matcher(pattern).fullmatch
    return tuple(entry for entry in data if entry.files is None and names(entry.path))
