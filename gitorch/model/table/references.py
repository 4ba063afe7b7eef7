"""Finding the run to which a reference refers.

A reference is an id, a prefix of an id, a name, a label, `@` (the latest run) or `@~1` (the one
before it).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gitorch.errors import NotFound, UsageError
from gitorch.model.run.ids import SHORTEST_PREFIX, is_id_prefix
from gitorch.model.run.record import RecordBroken

_LATEST = re.compile(r"@(?:~([0-9]{1,18}))?\Z")


class Named(NamedTuple):
    """The names of a run, and when it was created."""

    id: str
    name: str
    label: str
    created: str


class RunNames(Protocol):
    """The questions about all runs by which one of them is found."""

    def __len__(self) -> int: ...

    def newest(self, back: int) -> str | None:
        """Return the id of the latest run (0), of the one before it (1), and so on."""
        ...

    def called(self, name: str) -> str | None:
        """Return the id of the newest run with this id, label or name."""
        ...

    def beginning(self, prefix: str) -> Sequence[Named]:
        """Return the runs whose ids begin with `prefix`, newest first."""
        ...

    def unreadable(self) -> Sequence[RecordBroken]:
        """Return the runs whose records cannot be read."""
        ...


def find(reference: str, runs: RunNames) -> str:
    """Return the id of the run to which `reference` refers.

    Raises NotFound, RecordBroken if the record of that run cannot be read, and UsageError with the
    candidates if the reference is ambiguous.
    """
    latest = _LATEST.match(reference)
    if latest:
        back = int(latest[1] or 0)
        run_id = runs.newest(back)
    else:
        run_id = runs.called(reference)
    if run_id:
        return run_id
    if not latest and is_id_prefix(reference):
        run_id = _with_prefix(reference, runs)
        if run_id:
            return run_id
    raise _not_found(reference, len(runs))


def _with_prefix(prefix: str, runs: RunNames) -> str | None:
    """Return the id that begins with `prefix`, or None if there is none. Raises as `find`."""
    broken = []
    for error in runs.unreadable():
        if error.run_id.startswith(prefix):
            broken.append(error)
    readable = runs.beginning(prefix)
    if broken and not readable:
        raise broken[0]
    candidates = [*readable, *map(_unreadable, broken)]
    if len(candidates) > 1:
        raise _ambiguous(prefix, candidates)
    return candidates[0].id if candidates else None


def refers_to_one(reference: str, run_id: str) -> bool:
    """Return True if `reference`, which means this run, is not the label or name of several."""
    is_prefix = is_id_prefix(reference) and run_id.startswith(reference)
    return is_prefix or _LATEST.match(reference) is not None


def _unreadable(error: RecordBroken) -> Named:
    return Named(error.run_id, "", "(its record cannot be read)", "")


def _ambiguous(reference: str, candidates: Sequence[Named]) -> UsageError:
    lines = [f"  {run.id}  {run.label}  {run.created}" for run in candidates]
    return UsageError(
        "\n".join(
            [f"{reference} is the beginning of {len(candidates)} runs:", *lines]
        ),
        hint="give more of the id",
    )


def _not_found(reference: str, count: int) -> NotFound:
    if not count:
        return NotFound(
            f"no run is called {reference!r}: there are no runs yet",
            hint="gitorch ready",
        )
    hint = "gitorch list shows all runs"
    if _LATEST.match(reference):
        return NotFound(f"there is no {reference}, only {count} runs", hint=hint)
    if len(reference) < SHORTEST_PREFIX:
        hint = f"a prefix of an id needs at least {SHORTEST_PREFIX} digits; {hint}"
    return NotFound(f"no run is called {reference!r}", hint=hint)
