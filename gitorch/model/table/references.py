"""Which run is meant: by id, by a prefix of it, by name, by label, `@` the latest, `@~1` the one before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gitorch.errors import NotFound, UsageError
from gitorch.model.run.ids import SHORTEST_PREFIX, is_id_prefix

_LATEST = re.compile(r"@(?:~(\d+))?\Z")


class Named(NamedTuple):
    """What a run can be called by."""

    id: str
    name: str
    label: str
    created: str


class RunNames(Protocol):
    """All runs, as far as is needed to find one."""

    def __len__(self) -> int: ...

    def newest(self, back: int) -> str | None:
        """The id of the latest run (0), of the one before (1), and so on."""
        ...

    def called(self, name: str) -> str | None:
        """The id of the newest run with this id, label or name."""
        ...

    def beginning(self, prefix: str) -> Sequence[Named]:
        """The runs whose ids begin so, newest first."""
        ...


def find(reference: str, runs: RunNames) -> str:
    """The id of the run that `reference` means.

    Raises NotFound, and UsageError with the candidates where it is ambiguous.
    """
    if match := _LATEST.match(reference):
        if run := runs.newest(int(match[1] or 0)):
            return run
    elif run := runs.called(reference):
        return run
    elif is_id_prefix(reference):
        found = runs.beginning(reference)
        if len(found) == 1:
            return found[0].id
        if found:
            lines = "\n".join(f"  {run.id}  {run.label}  {run.created}" for run in found)
            raise UsageError(
                f"{reference} is the beginning of {len(found)} runs:\n{lines}",
                hint="give more of the id",
            )
    raise _not_found(reference, len(runs))


def _not_found(reference: str, count: int) -> NotFound:
    if not count:
        return NotFound(
            f"no run is called {reference!r}: there are no runs yet", hint="gitorch ready"
        )
    hint = "gitorch list shows what there is"
    if _LATEST.match(reference):
        return NotFound(f"there is no {reference}, only {count} runs", hint=hint)
    if len(reference) < SHORTEST_PREFIX:
        hint = f"a prefix of an id takes {SHORTEST_PREFIX} digits or more; {hint}"
    return NotFound(f"no run is called {reference!r}", hint=hint)
