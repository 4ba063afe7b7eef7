"""Which run is meant: by id, by a prefix of it, by name, by label, `@` the latest, `@~1` the one before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from gitorch.errors import NotFound, UsageError
from gitorch.model.ids import SHORTEST_PREFIX, is_id_prefix

_LATEST = re.compile(r"@(?:~(\d+))?\Z")


class Named(NamedTuple):
    """What a run can be called by."""

    id: str
    name: str
    label: str
    created: str


def find(reference: str, runs: Sequence[Named]) -> str:
    """The id of the run that `reference` means; `runs` are newest first.

    Raises NotFound, and UsageError with the candidates where it is ambiguous.
    """
    if not runs:
        raise NotFound(f"no run is called {reference!r}: there are no runs yet", hint="gitorch ready")
    if match := _LATEST.match(reference):
        back = int(match[1] or 0)
        if back >= len(runs):
            raise NotFound(f"there is no {reference}, only {len(runs)} runs", hint="gitorch list shows them")
        return runs[back].id
    for run in runs:
        if reference in (run.id, run.label, run.name):
            return run.id
    if is_id_prefix(reference):
        found = [run for run in runs if run.id.startswith(reference)]
        if len(found) == 1:
            return found[0].id
        if found:
            lines = "\n".join(f"  {run.id}  {run.label}  {run.created}" for run in found)
            raise UsageError(f"{reference} is the beginning of {len(found)} runs:\n{lines}", hint="give more of the id")
    hint = "gitorch list shows what there is"
    if len(reference) < SHORTEST_PREFIX:
        hint = f"a prefix of an id takes {SHORTEST_PREFIX} digits or more; {hint}"
    raise NotFound(f"no run is called {reference!r}", hint=hint)
