"""The verdict on a repetition: what came out differently, how differently, and the likely cause.

A cause is named only if it is known: the records of the two runs differ in it. If they differ in
nothing, what is left is what no record has, such as the clock and random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct, to_builtins

from gitorch.model.run.by_value import ByValue, DifferingPlace, Evidence
from gitorch.model.run.compare import ChangedFile, Comparison
from gitorch.model.run.record import Record, TaskRecord
from gitorch.model.run.spec import render_value
from gitorch.model.run.tolerance import Tolerance
from gitorch.model.text.phrases import some

_NAMED = 3  # values of one cause
_NOT_COMPARED = ByValue(
    note=""
)  # the content of a file that is of no kind with values
_INTERPRETER = ("python", "interpreter")
_MACHINE = ("platform", "machine", "cpu", "cpus", "memory_bytes", "gpus", "cuda")


class MetricDifference(Struct, frozen=True, kw_only=True):
    """A metric with another value; None: the run does not have it, or it was not a number."""

    name: str
    before: Any
    after: Any

    @property
    def share(self) -> float:
        """Return the change relative to the earlier value. It is infinite without a number."""
        values = (self.before, self.after)
        if not all(isinstance(value, int | float) for value in values):
            return math.inf
        if not self.before:
            return math.inf
        change: float = abs((self.after - self.before) / self.before)
        return change


class OutputChange(Struct, frozen=True, kw_only=True):
    """An output with other content, by its sizes in bytes; None: the run does not have it.

    `lines` is the number of added and deleted lines, None if it is unknown or not a text.
    """

    path: str
    before: int | None
    after: int | None
    lines: tuple[int, int] | None = None
    first: DifferingPlace | None = (
        None  # the first value that differs, if it is known
    )
    note: str | None = None  # why the values could not be compared

    @property
    def rank(self) -> tuple[int, int, int]:
        """Return a key that is larger for a larger difference."""
        before, after = self.before or 0, self.after or 0
        return abs(after - before), sum(self.lines or ()), max(before, after)


class Cause(Struct, frozen=True, kw_only=True):
    """Something else in which the two runs differ: its kind, and the difference in words."""

    kind: str
    words: str


class OtherDifference(Struct, frozen=True, kw_only=True):
    """A difference in the result, the exit code or the log of a task."""

    kind: str
    task: str
    found: ByValue

    @property
    def name(self) -> str:
        return f"{self.kind} of {self.task}"


class Allowed(Struct, frozen=True, kw_only=True):
    """Something in which numbers differ, all of them within the tolerance."""

    name: str
    found: ByValue


class VerdictKind(StrEnum):
    """The verdict in a word."""

    IDENTICAL = "identical"
    WITHIN = "within-tolerance"
    DIFFERS = "differs"
    NOTHING = "nothing-to-compare"


class Verdict(Struct, frozen=True, kw_only=True):
    """The differences between two runs, the largest first, and what can explain them.

    `allowed` are differences within the `tolerance`, the largest first. `same_values` are outputs
    with other bytes, but with the same values. `examined` are the kinds of causes that both records
    tell about, and `unrecorded` the linked paths whose content no record has. `is_empty` means that
    neither run has any metrics, results or outputs, so that nothing could be compared.
    """

    id: str
    of: str
    tolerance: Tolerance = Tolerance()
    metrics: tuple[MetricDifference, ...] = ()
    outputs: tuple[OutputChange, ...] = ()
    others: tuple[OtherDifference, ...] = ()
    allowed: tuple[Allowed, ...] = ()
    same_values: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    examined: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()
    is_empty: bool = False
    volatile: tuple[str, ...] = ()  # outputs that were not compared

    @property
    def kind(self) -> VerdictKind:
        if self.is_empty:
            return VerdictKind.NOTHING
        if self.metrics or self.outputs or self.others:
            return VerdictKind.DIFFERS
        return VerdictKind.WITHIN if self.allowed else VerdictKind.IDENTICAL

    @property
    def is_reproduced(self) -> bool:
        return self.kind in (VerdictKind.IDENTICAL, VerdictKind.WITHIN)

    @property
    def differs(self) -> list[str]:
        """Return the names of all differences, by kind."""
        metrics = [metric.name for metric in self.metrics]
        outputs = [output.path for output in self.outputs]
        return metrics + outputs + [other.name for other in self.others]

    def to_json(self) -> dict[str, Any]:
        within = {entry.name: entry.found.to_json() for entry in self.allowed}
        also = [cause.kind for cause in self.causes]
        return {
            "id": self.id,
            "of": self.of,
            "verdict": str(self.kind),
            "differs": self.differs,
            "also": also,
            "causes": to_builtins(self.causes),
            "tolerance": self.tolerance._asdict(),
            "within": within,
            "first": dict(self._first_places()),
        }

    def _first_places(self) -> Iterator[tuple[str, Any]]:
        """Yield the first place of each difference for which it is known."""
        for output in self.outputs:
            if output.first is not None:
                yield output.path, output.first.to_json()
        for other in self.others:
            if other.found.beyond:
                yield other.name, other.found.beyond[0].to_json()


def verdict_on(
    original: Record,
    repetition: Record,
    comparison: Comparison,
    evidence: Evidence,
    tolerance: Tolerance,
) -> Verdict:
    """Return the verdict on two COMPLETE runs."""
    metrics = list(_metric_differences(comparison, evidence))
    metrics.sort(key=lambda metric: metric.share, reverse=True)
    outputs = list(_output_changes(original, repetition, comparison, evidence))
    outputs.sort(key=lambda output: output.rank, reverse=True)
    others = list(_other_differences(original, repetition, evidence))
    same_values = []
    for path, found in evidence.outputs.items():
        if not found.differs and not found.within:
            same_values.append(path)
    records = (original, repetition)
    return Verdict(
        id=repetition.id,
        of=original.id,
        tolerance=tolerance,
        metrics=tuple(metrics),
        outputs=tuple(outputs),
        others=tuple(others),
        allowed=tuple(_allowed(evidence)),
        same_values=tuple(same_values),
        causes=tuple(_causes(original, repetition, comparison)),
        examined=tuple(_examined(comparison)),
        unrecorded=comparison.data.not_recorded,
        volatile=tuple(comparison.outputs.volatile),
        is_empty=not any(map(_has_kept_anything, records)),
    )


def _has_kept_anything(record: Record) -> bool:
    """Return True if the record has something that a repetition can be compared with."""
    has_results = any(task.result is not None for task in record.tasks)
    has_outputs = any(not output.volatile for output in record.outputs)
    return bool(record.metrics) or has_results or has_outputs


def _metric_differences(
    comparison: Comparison, evidence: Evidence
) -> Iterator[MetricDifference]:
    beyond = {place.at for place in evidence.metrics.beyond}
    for name, (before, after) in comparison.metrics.changed.items():
        if evidence.metrics.note or name in beyond:
            yield MetricDifference(name=name, before=before, after=after)


def _output_changes(
    original: Record,
    repetition: Record,
    comparison: Comparison,
    evidence: Evidence,
) -> Iterator[OutputChange]:
    before = {output.path: output.size for output in original.outputs}
    after = {output.path: output.size for output in repetition.outputs}
    difference = comparison.outputs
    for path in (*difference.changed, *difference.added, *difference.removed):
        found = evidence.outputs.get(path, _NOT_COMPARED)
        if found.differs:
            yield OutputChange(
                path=path,
                before=before.get(path),
                after=after.get(path),
                lines=_line_counts(evidence.lines.get(path)),
                first=next(iter(found.beyond), None),
                note=found.note or None,
            )


def _line_counts(file: ChangedFile | None) -> tuple[int, int] | None:
    if file is None or file.added is None or file.deleted is None:
        return None
    return file.added, file.deleted


def _other_differences(
    original: Record, repetition: Record, evidence: Evidence
) -> Iterator[OtherDifference]:
    for task, found in evidence.results.items():
        if found.differs:
            yield OtherDifference(kind="result", task=task, found=found)
    after = {task.id: _ending(task) for task in repetition.tasks}
    for task_record in original.tasks:
        endings = _ending(task_record), after.get(task_record.id)
        if None not in endings and endings[0] != endings[1]:
            place = DifferingPlace(at="", before=endings[0], after=endings[1])
            ended = ByValue(count=1, beyond=(place,))
            yield OtherDifference(
                kind="exit code", task=task_record.id, found=ended
            )
    for task, found in evidence.logs.items():
        if found.differs:
            yield OtherDifference(kind="log", task=task, found=found)


def _ending(task: TaskRecord) -> str | None:
    """Return how the task ended, None if the record does not say so."""
    return str(task.attempts[-1].outcome) if task.attempts else None


def _allowed(evidence: Evidence) -> list[Allowed]:
    """Return what differs within the tolerance, the largest difference first."""
    found = [Allowed(name="metrics", found=evidence.metrics)]
    for path, values in evidence.outputs.items():
        found.append(Allowed(name=path, found=values))
    for task, values in evidence.results.items():
        found.append(Allowed(name=f"result of {task}", found=values))
    for task, values in evidence.logs.items():
        found.append(Allowed(name=f"log of {task}", found=values))
    allowed = [
        entry for entry in found if entry.found.within and not entry.found.differs
    ]
    allowed.sort(key=lambda entry: entry.found.largest_relative, reverse=True)
    return allowed


def _examined(comparison: Comparison) -> Iterator[str]:
    yield "code"
    if "environment" not in comparison.empty:
        yield from ("environment", "machine")
    if "data" not in comparison.empty:
        yield "inputs"


def _causes(
    original: Record, repetition: Record, comparison: Comparison
) -> Iterator[Cause]:
    if not comparison.code.same:
        yield Cause(kind="code", words="its tasks ran at other commits")
    changed = comparison.environment.changed
    if original.environment and repetition.environment:
        yield from _causes_in_environment(changed)
    is_named = any(key in changed for key in _INTERPRETER)
    if not is_named and original.interpreter != repetition.interpreter:
        words = f"{original.interpreter} -> {repetition.interpreter}"
        yield Cause(kind="interpreter", words=words)
    hosts = original.hosts, repetition.hosts
    if hosts[0] and hosts[1] and hosts[0] != hosts[1]:
        yield Cause(kind="machine", words=f"{some(hosts[0])} -> {some(hosts[1])}")
    if comparison.data.changed:
        yield Cause(kind="data", words=some(list(comparison.data.changed), _NAMED))


def _causes_in_environment(
    changed: Mapping[str, tuple[Any, ...]],
) -> Iterator[Cause]:
    """Yield the causes in the environment, which are the interpreter, the machine and the rest."""
    by_kind: dict[str, list[str]] = {}
    for key, (before, after) in changed.items():
        kind = "environment"
        if key in _INTERPRETER:
            kind = "interpreter"
        elif key in _MACHINE:
            kind = "machine"
        name = key.removeprefix("packages.").removeprefix("variables.")
        difference = f"{name} {_value(before)} -> {_value(after)}"
        by_kind.setdefault(kind, []).append(difference)
    for kind, differences in by_kind.items():
        yield Cause(kind=kind, words=some(differences, _NAMED))


def _value(value: Any) -> str:
    return "-" if value is None else render_value(value)


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
