"""The verdict on a rerun: what came out differently, how differently, and the likely cause.

A cause is named only if it is known: the records of the two runs differ in it. If they differ in
nothing, what is left is what no record has, such as the clock and random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from gitorch.model.run.compare import ChangedFile, Comparison
from gitorch.model.run.record import Record
from gitorch.model.run.spec import render_value
from gitorch.model.text.phrases import some

_NAMED = 3  # values of one cause
_INTERPRETER = ("python", "interpreter")
_MACHINE = ("platform", "machine", "cpus", "memory_bytes", "gpus")


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

    @property
    def rank(self) -> tuple[int, int, int]:
        """Return a key that is larger for a larger difference."""
        before, after = self.before or 0, self.after or 0
        return abs(after - before), sum(self.lines or ()), max(before, after)


class Cause(Struct, frozen=True, kw_only=True):
    """Something else in which the two runs differ: its kind, and the difference in words."""

    kind: str
    words: str


class Verdict(Struct, frozen=True, kw_only=True):
    """The differences in metrics and outputs, the largest first, and what can explain them.

    `examined` are the kinds of causes that both records tell about, and `unrecorded` the linked
    paths whose content no record has. `is_empty` means that neither run
    has any metrics or outputs, so that nothing could be compared.
    """

    id: str
    of: str
    metrics: tuple[MetricDifference, ...] = ()
    outputs: tuple[OutputChange, ...] = ()
    causes: tuple[Cause, ...] = ()
    examined: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()
    is_empty: bool = False
    volatile: tuple[str, ...] = ()  # outputs that were not compared

    @property
    def same(self) -> bool:
        return not (self.metrics or self.outputs)

    def to_json(self) -> dict[str, Any]:
        metrics = [metric.name for metric in self.metrics]
        outputs = [output.path for output in self.outputs]
        causes = [cause.kind for cause in self.causes]
        return {"same": self.same, "differs": metrics + outputs, "also": causes}


def verdict_on(
    original: Record,
    repetition: Record,
    comparison: Comparison,
    lines: Mapping[str, ChangedFile],
) -> Verdict:
    """Return the verdict. `lines` has the changed lines of outputs, by path, if git knows them."""
    metrics = []
    for name, (before, after) in comparison.metrics.changed.items():
        metrics.append(MetricDifference(name=name, before=before, after=after))
    metrics.sort(key=lambda metric: metric.share, reverse=True)
    outputs = list(_output_changes(original, repetition, comparison, lines))
    outputs.sort(key=lambda output: output.rank, reverse=True)
    return Verdict(
        id=repetition.id,
        of=original.id,
        metrics=tuple(metrics),
        outputs=tuple(outputs),
        causes=tuple(_causes(original, repetition, comparison)),
        examined=tuple(_examined(comparison)),
        unrecorded=comparison.data.not_recorded,
        volatile=tuple(comparison.outputs.volatile),
        is_empty={"metrics", "outputs"} <= comparison.empty,
    )


def _output_changes(
    original: Record,
    repetition: Record,
    comparison: Comparison,
    lines: Mapping[str, ChangedFile],
) -> Iterator[OutputChange]:
    before = {output.path: output.size for output in original.outputs}
    after = {output.path: output.size for output in repetition.outputs}
    difference = comparison.outputs
    for path in (*difference.changed, *difference.added, *difference.removed):
        counts = None
        file = lines.get(path)
        if file and file.added is not None and file.deleted is not None:
            counts = file.added, file.deleted
        yield OutputChange(
            path=path, before=before.get(path), after=after.get(path), lines=counts
        )


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
    hosts = _hosts(original), _hosts(repetition)
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


def _hosts(record: Record) -> list[str]:
    return _unique(task.attempts[-1].host for task in record.tasks if task.attempts)


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
