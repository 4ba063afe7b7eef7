"""The environment of runs that are to run again: how it differs from the recorded one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gitorch.engines.order_files import MachineFacts
from gitorch.errors import GitorchError, Refused
from gitorch.model.run.environment_changes import (
    EnvironmentChange,
    environment_changes,
    lines_by_kind,
)
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Record
from gitorch.model.run.spec import RunSpec, TaskSpec
from gitorch.model.text.phrases import some
from gitorch.storage.environments import with_environments
from gitorch.storage.site import Site
from gitorch.worker.surroundings import Surroundings

_NAMED = 3  # runs in a note
# Facts of the pinned code, which stays the same, and the place of the interpreter.
_NOT_COMPARED: tuple[str, ...] = ("locks", "commands", "interpreter")
# Facts of the machine, which are not known yet if another one will execute the tasks.
_OF_MACHINE = MachineFacts.__struct_fields__


class Restart(NamedTuple):
    """A recorded run, and the config and the interpreter with which its tasks will start."""

    record: Record
    spec: RunSpec
    python: str
    pin: Pin


class _Note(NamedTuple):
    """A note on runs, whose ids come between two texts. `counts`: it is an obstacle to --strict."""

    before: str
    after: str
    counts: bool


def check_environments(
    site: Site,
    starts: Sequence[Restart],
    variables: Mapping[str, str],
    *,
    strict: bool,
) -> list[str]:
    """Return notes on how the environment differs from that of the recorded runs.

    Runs with the same difference share a note. `variables` are those of the caller. With `strict`,
    raises Refused if a difference counts, or if an environment cannot be compared.
    """
    surroundings = Surroundings(site, variables)
    records = with_environments(site, [start.record for start in starts])
    runs: dict[_Note, list[str]] = {}
    for start, record in zip(starts, records, strict=True):
        ignored = _NOT_COMPARED
        if any(_is_elsewhere(site, task) for task in start.spec.tasks):
            ignored += _OF_MACHINE
        for note in _notes(start, record.environment, surroundings, ignored):
            runs.setdefault(note, []).append(record.id)
    texts = []
    obstacles = []
    for note, run_ids in runs.items():
        text = f"{note.before} {some(run_ids, _NAMED)}{note.after}"
        texts.append(text)
        if note.counts:
            obstacles.append(f"\n  {text}")
    if strict and obstacles:
        raise Refused(
            f"nothing was queued, because of --strict:{''.join(obstacles)}",
            "gitorch env ID shows what was recorded; without --strict, this is only noted",
        )
    return texts


def _notes(
    start: Restart,
    recorded: Mapping[str, Any],
    surroundings: Surroundings,
    ignored: Sequence[str],
) -> Iterator[_Note]:
    if not recorded:
        # A run that has not ended a task has no environment: there is nothing to keep to.
        if any(task.attempts for task in start.record.tasks):
            yield _Note("the environment of", " was not recorded", counts=True)
        return
    has_python = "python" in recorded
    try:
        now = surroundings.describe_now(
            start.spec, start.python, start.pin, with_python=has_python
        )
    except GitorchError as error:
        yield _Note("the environment of", f": {error.message}", counts=True)
        return
    if has_python:
        yield from _on_interpreter(start, recorded, now)
    before, after = _without(recorded, ignored), _without(now, ignored)
    changes = environment_changes(before, after)
    for kind, line in lines_by_kind(changes).items():
        yield _Note(
            "environment differs from",
            f": {kind}: {line}",
            counts=_counts(changes, kind),
        )


def _on_interpreter(
    start: Restart, recorded: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[_Note]:
    """Yield a note if the interpreter that ran does not exist any more."""
    former = str(recorded.get("interpreter", start.record.interpreter))
    present = str(now.get("interpreter", start.python))
    if former != present and not Path(former).exists():
        yield _Note(
            "the interpreter of",
            f", {former}, no longer exists: {present} ({now['python']}) is used instead",
            counts=False,
        )


def _counts(changes: Sequence[EnvironmentChange], kind: str) -> bool:
    return any(change.counts for change in changes if change.kind == kind)


def _is_elsewhere(site: Site, task: TaskSpec) -> bool:
    return (task.engine or site.settings.engine) != "local"


def _without(
    environment: Mapping[str, Any], names: Sequence[str]
) -> dict[str, Any]:
    kept = dict(environment)
    for name in names:
        kept.pop(name, None)
    return kept
