"""The messages of check, ready, run and demo about configs and the runs they expand to."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from gitorch.actions.made_anew import MadeAnew
from gitorch.actions.pinning import Snapshot
from gitorch.actions.ready import Ready, Skipped
from gitorch.actions.validate import Validated
from gitorch.cli.fit import Column, dropped_line, fitted_table, room
from gitorch.cli.problems import render_problems
from gitorch.cli.render_code import changed_files
from gitorch.cli.style import has_colors, in_line, put, say
from gitorch.model.run.record import Record
from gitorch.model.run.spec import render_value
from gitorch.model.text.phrases import counted, some

_MOST_FILES = 3  # in a line
_MOST_NAMED = 10  # more skipped runs than these are counted instead of named


def show_ready(readied: Ready, *, dry_run: bool, quiet: bool = False) -> None:
    """Say what `ready` did, and print the queued runs, or all runs as a table for a dry run.

    `quiet` prints nothing on stdout.
    """
    for text in render_problems(readied.problems, colors=has_colors(sys.stderr)):
        say(text)
    say_notes(readied.validated)
    if readied.snapshot:
        _say_snapshot(readied.snapshot)
    say_expanded(readied.validated)
    if not dry_run:
        _say_skipped(readied.skipped)
    _say_queued(readied, dry_run=dry_run)
    if dry_run:
        _print_expansion(readied.points)
    elif not quiet:
        for record in readied.queued:
            put(f"{record.id}  {in_line(record.label)}")


def say_notes(validated: Validated) -> None:
    """Say what the `validate()` of tasks printed, and the notes of the validation."""
    for file, text in validated.printed.items():
        for line in text.splitlines():
            say(f"{in_line(file)}: {in_line(line)}")
    for note in validated.notes:
        say(f"note: {in_line(note)}")


def _say_snapshot(snapshot: Snapshot) -> None:
    """Say which changes the snapshot took, and what it left out."""
    changes = snapshot.changes
    files = counted(len(changes.files), "changed file")
    say(f"Took a snapshot of {files} on {changes.parent[:12]}")
    for line in changed_files(changes.files, _MOST_NAMED):
        say(line)
    if snapshot.ignored:
        say(
            f"left out, since git ignores them: {in_line(some(snapshot.ignored, _MOST_NAMED))}"
        )


def say_expanded(validated: Validated) -> None:
    """Say how many runs the sweeps expand to; a single sweep is named by its dimensions."""
    sweeps = [config for config in validated.valid if config.dimensions]
    if not sweeps:
        return
    configs = counted(len(sweeps), "config")
    runs = counted(sum(len(config.specs) for config in sweeps), "run")
    dimensions = ""
    if len(sweeps) == 1:
        dimensions = f" ({in_line(' x '.join(sweeps[0].dimensions))})"
    say(f"Expanded {configs} to {runs}{dimensions}")


def _say_queued(readied: Ready, *, dry_run: bool) -> None:
    if readied.skipped and not readied.queued:
        say("nothing new to queue; with --again, existing runs are queued again")
    invalid = len(readied.validated.configs) - len(readied.validated.valid)
    if invalid:
        say(f"Nothing was queued from {counted(invalid, 'config')} with problems")
    if readied.queued and readied.pin:
        verb = "Would queue" if dry_run else "Queued"
        runs = counted(len(readied.queued), "run")
        say(f"{verb} {runs} at {readied.pin.commit[:12]}")
        _say_made_anew(readied.made_anew)


def _say_made_anew(groups: Sequence[MadeAnew]) -> None:
    """Say which files are the reason that runs which exist at earlier commits are made anew."""
    for group in groups:
        queued = "was queued" if group.count == 1 else "were queued"
        verb = "ran" if group.ran else queued
        say(
            f"{group.count} of these {verb} at {group.commit[:12]}; "
            f"{_difference(group)}"
        )


def _difference(group: MadeAnew) -> str:
    """Say which files differ: those that the earlier runs used, if it is known that any did."""
    files = group.used or group.files
    named = in_line(some(files, _MOST_FILES))
    differ = "differs" if len(files) == 1 else "differ"
    if group.used is None:
        return f"{named} {differ}"
    if not group.used:
        what = "it" if len(files) == 1 else "them"
        return f"{named} {differ}; no task read {what}: `code:` says what counts"
    unused = len(group.files) - len(files)
    others = f", and {counted(unused, 'unused file')}" if unused else ""
    return f"{named} {differ}{others}"


def _say_skipped(skipped: Sequence[Skipped]) -> None:
    """Say which runs were skipped and why: each of a few runs, or how many."""
    if len(skipped) <= _MOST_NAMED:
        for run in skipped:
            say(f"Skipped {in_line(run.spec.label)}: {in_line(run.why)}")
        return
    existing = Counter(str(run.status) for run in skipped if run.status)
    if existing:
        statuses = ", ".join(
            f"{count} {status}" for status, count in existing.items()
        )
        say(f"Skipped {existing.total()} runs that exist already ({statuses})")
    duplicates = len(skipped) - existing.total()
    if duplicates:
        say(f"Skipped {duplicates} runs that are the same as another")


def _print_expansion(points: Sequence[Record | Skipped]) -> None:
    """Print a table of all runs: the swept values, and whether the run is new."""
    if not points:
        return
    keys = list(
        dict.fromkeys(key for point in points for key in point.spec.distinctive)
    )
    rows = [_expansion_row(point, keys) for point in points]
    columns = [
        Column("name", 0, is_text=True),
        *(Column(in_line(key), 1, is_text=True) for key in keys),
        Column("", 0, is_text=True),
    ]
    width = room(sys.stdout)
    fitted = fitted_table(rows, columns, width=width, colors=has_colors(sys.stdout))
    for line in (*fitted.lines, *dropped_line(fitted, width, option="")):
        put(line)


def _expansion_row(point: Record | Skipped, keys: Sequence[str]) -> list[str]:
    cells = [point.spec.name]
    for key in keys:
        if key in point.spec.distinctive:
            cells.append(render_value(point.spec.value(key)))
        else:
            cells.append("")
    cells.append(point.why if isinstance(point, Skipped) else "new")
    return [in_line(cell) for cell in cells]
