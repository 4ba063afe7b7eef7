"""The question before runs are changed: on a terminal it is asked, in a script `--yes` answers it.

Runs that the user names are those that the user means, and nothing is asked. Runs that are
selected by their properties can be others than the user thinks: a terminal asks, and without one,
what cannot be undone needs `--yes`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from gitorch.cli.style import in_line, say
from gitorch.errors import GitorchError, Refused
from gitorch.model.text.phrases import counted, some

if TYPE_CHECKING:
    from gitorch.actions.selection import Selection
    from gitorch.model.table.row import Row
    from gitorch.storage.site import Site

_NAMED = 5  # more runs than these are only counted


class Effect(NamedTuple):
    """What a verb does to `{runs}` (and `{their_records}`), and what undoes it (None: nothing)."""

    does: str
    undo: str | None


EFFECTS = {
    "hold": Effect("starts no more tasks of {runs}", "gitorch release ID"),
    "release": Effect("lets {runs} continue", "gitorch hold ID"),
    "kill": Effect("ends {runs} and removes {their_records}", None),
    "retry": Effect("lets {runs} continue", "gitorch hold ID"),
    "fail": Effect("gives up {runs}", "gitorch resubmit ID"),
    "resubmit": Effect("queues {runs} again", "gitorch hold ID"),
}


def confirm(site: Site, verb: str, selection: Selection, *, yes: bool) -> Selection:
    """Ask before `verb` changes the selected runs, and return a selection of just those runs.

    Runs that are queued while the question waits are therefore not changed. If `verb` can change
    none of the runs, nothing is asked.
    Raises Refused if the answer is needed and there is no terminal, and GitorchError if it is no.
    """
    from gitorch.actions.changeable import select_changeable

    if yes or selection.is_named:
        return selection
    can_be_undone = EFFECTS[verb].undo is not None
    if can_be_undone and not _has_terminal():
        return selection
    rows, _ = select_changeable(site, verb, selection)
    if not rows:
        return selection
    _ask(verb, _consequence(verb, len(rows)), rows)
    return replace(selection, among=frozenset(row.id for row in rows))


def _consequence(verb: str, count: int) -> str:
    """Return what the verb does to so many runs."""
    effect = EFFECTS[verb]
    does = effect.does.format(
        runs=counted(count, "run"),
        their_records="its record" if count == 1 else "their records",
    )
    if effect.undo is None:
        does += "; this cannot be undone"
    return f"{verb} {does}"


def _ask(verb: str, consequence: str, rows: Sequence[Row]) -> None:
    """Ask whether `verb` may change the runs. Raises Refused or GitorchError if not."""
    if not _has_terminal():
        labels = [f"{row.label} ({row.id})" for row in rows]
        raise Refused(f"{consequence}: {some(labels, _NAMED)}", _with_yes(verb))
    say(f"{consequence}:")
    for row in rows[:_NAMED]:
        say(f"  {row.id}  {in_line(row.label)}  {row.status}")
    if len(rows) > _NAMED:
        say(f"  and {len(rows) - _NAMED} more")
    if not _is_answered_yes(f"{verb} {'it' if len(rows) == 1 else 'them'}?"):
        raise GitorchError("nothing was changed")


def _has_terminal() -> bool:
    """Return True if a question can be seen and answered."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _with_yes(verb: str) -> str:
    """Return the command of the user with `--yes`."""
    words = sys.argv[1:]
    after_verb = words.index(verb) + 1 if verb in words else 0
    words.insert(after_verb, "--yes")
    return f"if you mean it: {shlex.join(['gitorch', *words])}"


def _is_answered_yes(question: str) -> bool:
    """Ask until the answer is yes or no. No answer (Enter, Ctrl-D) is no; Ctrl-C interrupts."""
    while True:
        say(f"{question} [y/N] ", end="")
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            say()  # the message begins a line of its own
            raise
        if not line:
            say()
        answer = line.strip().lower()
        if answer in ("y", "yes"):
            return True
        if answer in ("", "n", "no"):
            return False
        say("answer y or n")
