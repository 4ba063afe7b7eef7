"""Finding the run to which a reference refers.

A reference is an id, a prefix of an id, a name, a label, words of a label (`penguins seed=2`), `@`
(the latest run) or `@~1` (the one before it). `NAME~1` is the run of that name before the latest.
A name refers to the latest run of that name. A label refers to the latest of its runs if they are
repetitions of each other, and is ambiguous otherwise.
`@last` refers to several runs: those that this clone queued last, with one command.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gitorch.errors import NotFound, UsageError
from gitorch.model.run.ids import LAST, SHORTEST_PREFIX, is_id_prefix
from gitorch.model.run.record import RecordBroken
from gitorch.model.text.phrases import counted

_LATEST = re.compile(r"@(?:~([0-9]{1,18}))?\Z")
_EARLIER = re.compile(r"(.+)~([0-9]{1,18})\Z", re.DOTALL)
_LISTED = 20  # candidates in a message


class Named(NamedTuple):
    """The names of a run, its identity (see `run_identity`), and when it was created."""

    id: str
    name: str
    label: str
    identity: str
    created: str


class RunNames(Protocol):
    """The questions about all runs by which one of them is found."""

    def __len__(self) -> int: ...

    def newest(self, back: int) -> str | None:
        """Return the id of the latest run (0), of the one before it (1), and so on."""
        ...

    def called(self, name: str) -> str | None:
        """Return the id of the newest run with this id or name."""
        ...

    def all_labelled(self, label: str) -> Sequence[Named]:
        """Return the runs with this label, newest first."""
        ...

    def all_called(self, name: str) -> Sequence[str]:
        """Return the ids of the runs with this label or name, newest first."""
        ...

    def labelled_with(self, words: Sequence[str]) -> Sequence[Named]:
        """Return the runs whose labels have all these words, newest first."""
        ...

    def queued_last(self) -> Sequence[Named]:
        """Return the runs that this clone queued last, newest first."""
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
    run_id = _found(reference, runs)
    if run_id is None:
        raise _not_found(reference, len(runs))
    return run_id


def find_all(reference: str, runs: RunNames) -> list[str]:
    """Return the ids of the runs to which `reference` refers, newest first. Raises as `find`."""
    if reference != LAST:
        return [find(reference, runs)]
    queued = runs.queued_last()
    if not queued:
        raise _not_found(reference, len(runs))
    return [run.id for run in queued]


def _found(reference: str, runs: RunNames) -> str | None:
    """Return the id of the run, or None if there is none. Raises as `find`."""
    latest = _LATEST.match(reference)
    if latest:
        return runs.newest(int(latest[1] or 0))
    run_id = runs.called(reference)
    if run_id is None:
        labelled = _newest_of_each(runs.all_labelled(reference))
        run_id = _only(reference, labelled, "have this label")
    if run_id is None and is_id_prefix(reference):
        run_id = _with_prefix(reference, runs)
    if run_id is None and reference == LAST:
        return _only(reference, runs.queued_last(), "were queued last")
    if run_id is None:
        run_id = _earlier(reference, runs)
    return run_id or _with_words(reference, runs)


def _earlier(reference: str, runs: RunNames) -> str | None:
    """Return the run to which `NAME~N` refers, or None. Raises NotFound if the name has too few."""
    earlier = _EARLIER.match(reference)
    if earlier is None:
        return None
    name, back = earlier[1], int(earlier[2])
    called = runs.all_called(name)
    if called and back >= len(called):
        count = counted(len(called), "run")
        raise NotFound(
            f"there is no {reference}: {count} called {name!r}",
            hint="gitorch list shows all runs",
        )
    return called[back] if called else None


def _with_words(reference: str, runs: RunNames) -> str | None:
    """Return the newest run whose label has the words of `reference`, or None.

    One word must give the value of a parameter. Raises UsageError if different runs have them.
    """
    if "=" not in reference:
        return None
    labelled = _newest_of_each(runs.labelled_with(reference.split()))
    return _only(reference, labelled, "have this in their labels")


def _newest_of_each(runs: Sequence[Named]) -> list[Named]:
    """Return the newest of the runs that repeat each other, in the order of `runs`."""
    newest: dict[tuple[str, str], Named] = {}
    for run in runs:
        newest.setdefault((run.label, run.identity), run)
    return list(newest.values())


def _only(reference: str, candidates: Sequence[Named], what: str) -> str | None:
    """Return the id of the only candidate, or None if there is none. Raises UsageError."""
    if len(candidates) > 1:
        message = f"{reference} is ambiguous: {len(candidates)} runs {what}"
        raise _ambiguous(message, candidates, "name one of them by its id")
    return candidates[0].id if candidates else None


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
        message = f"{prefix} is the beginning of {len(candidates)} runs"
        raise _ambiguous(message, candidates, "give more of the id")
    return candidates[0].id if candidates else None


def refers_to_one(reference: str, run_id: str) -> bool:
    """Return True if `reference`, which means this run, is not the label or name of several."""
    is_prefix = is_id_prefix(reference) and run_id.startswith(reference)
    if is_prefix or reference == LAST:
        return True
    return any(form.match(reference) for form in (_LATEST, _EARLIER))


def _unreadable(error: RecordBroken) -> Named:
    return Named(error.run_id, "", "(its record cannot be read)", "", "")


def _ambiguous(message: str, candidates: Sequence[Named], hint: str) -> UsageError:
    lines = [f"{message}:"]
    for run in candidates[:_LISTED]:
        lines.append(f"  {run.id}  {run.label}  {run.created}")
    if len(candidates) > _LISTED:
        lines.append(f"  and {len(candidates) - _LISTED} more")
    return UsageError("\n".join(lines), hint=hint)


def _not_found(reference: str, count: int) -> NotFound:
    if not count:
        return NotFound(
            f"no run is called {reference!r}: there are no runs yet",
            hint="gitorch ready",
        )
    hint = "gitorch list shows all runs"
    if reference == LAST:
        return NotFound("this clone has no run that it queued last", hint=hint)
    if _LATEST.match(reference):
        return NotFound(f"there is no {reference}, only {count} runs", hint=hint)
    if len(reference) < SHORTEST_PREFIX:
        hint = f"a prefix of an id needs at least {SHORTEST_PREFIX} digits; {hint}"
    return NotFound(f"no run is called {reference!r}", hint=hint)
