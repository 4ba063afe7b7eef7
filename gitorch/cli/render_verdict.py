"""The verdict on a repetition as a few lines, for `verify` and `rerun --verify`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gitorch.cli.render_comparison import change
from gitorch.cli.render_run import size
from gitorch.cli.style import in_line, number, padded
from gitorch.model.run.by_value import ByValue, DifferingPlace
from gitorch.model.run.verdict import (
    OtherDifference,
    OutputChange,
    Verdict,
    VerdictKind,
)
from gitorch.model.text.phrases import all_of, counted, some

_MOST_NAMED = 5  # metrics, and outputs
_WIDEST = 40  # of the names of metrics and outputs that are put below each other


def render_verdict(verdict: Verdict, *, in_full: bool = True) -> str:
    """Return one line, and if results differ and it is `in_full`, the largest differences."""
    lines = [f"{verdict.id} repeats {verdict.of}: {_in_words(verdict)}"]
    if verdict.volatile:
        names = in_line(some(verdict.volatile, _MOST_NAMED))
        lines[0] += f" (volatile, not compared: {names})"
    if verdict.kind is VerdictKind.DIFFERS:
        if in_full:
            lines += _largest(verdict)
        lines += [f"  {line}" for line in _explanation(verdict)]
        if in_full:
            lines.append(
                f"  all differences: gitorch compare {verdict.of} {verdict.id}"
            )
    elif in_full:
        lines += [f"  {line}" for line in _remarks(verdict)]
    return "\n".join(lines)


def _in_words(verdict: Verdict) -> str:
    match verdict.kind:
        case VerdictKind.NOTHING:
            return "nothing to compare, since it has no metrics and no outputs"
        case VerdictKind.IDENTICAL:
            return "identical: all metrics, outputs, results and logs are the same"
        case VerdictKind.WITHIN:
            return f"within tolerance ({verdict.tolerance})"
    kinds = []
    if verdict.metrics:
        kinds.append(counted(len(verdict.metrics), "metric"))
    if verdict.outputs:
        kinds.append(counted(len(verdict.outputs), "output"))
    for kind, others in _by_kind(verdict.others).items():
        kinds.append(counted(len(others), kind))
    verb = "differs" if len(verdict.differs) == 1 else "differ"
    return f"{all_of(kinds)} {verb}"


def _by_kind(
    others: Iterable[OtherDifference],
) -> dict[str, list[OtherDifference]]:
    by_kind: dict[str, list[OtherDifference]] = {}
    for other in others:
        by_kind.setdefault(other.kind, []).append(other)
    return by_kind


def _largest(verdict: Verdict) -> Iterator[str]:
    """Yield the largest differences of each kind, and how many more there are."""
    metrics = []
    for metric in verdict.metrics:
        before, after = metric.before, metric.after
        text = f"{_values(before, after)}  {change(before, after)}"
        metrics.append((metric.name, text.rstrip()))
    outputs = [(output.path, _output(output)) for output in verdict.outputs]
    groups = {"metrics": metrics, "outputs": outputs}
    for kind, others in _by_kind(verdict.others).items():
        groups[f"{kind}s"] = [(other.name, _first(other.found)) for other in others]
    named = [row for rows in groups.values() for row in rows[:_MOST_NAMED]]
    width = min(max(len(in_line(name)) for name, _ in named), _WIDEST)
    for what, rows in groups.items():
        for name, difference in rows[:_MOST_NAMED]:
            yield f"  {padded(in_line(name), width)}  {in_line(difference)}"
        yield from _more(len(rows), what)


def _more(count: int, what: str) -> Iterator[str]:
    if count > _MOST_NAMED:
        yield f"  and {count - _MOST_NAMED} more {what}, which differ less"


def _values(before: object, after: object) -> str:
    """Return two values that differ, with all digits if six do not tell them apart."""
    texts = [_shown(value, number) for value in (before, after)]
    if texts[0] == texts[1]:
        texts = [_shown(value, repr) for value in (before, after)]
    return " -> ".join(texts)


def _shown(value: object, render: Callable[[object], str]) -> str:
    return "-" if value is None else in_line(render(value))


def _output(output: OutputChange) -> str:
    if output.before is None:
        return f"new, {size(output.after or 0)}"
    if output.after is None:
        return f"missing, it had {size(output.before)}"
    text = f"{size(output.before)} -> {size(output.after)}"
    if output.before == output.after:
        text = f"{size(output.after)}, other content"
    if output.lines is not None:
        added, deleted = output.lines
        text += f", lines +{added} -{deleted}"
    if output.first is not None:
        text += f", first {_place(output.first)}"
    if output.note:
        text += f" (not compared by value: {output.note})"
    return text


def _first(found: ByValue) -> str:
    """Return the first place that differs, and how many more there are."""
    if not found.beyond:
        return found.note or "-"
    text = _place(found.beyond[0])
    if found.count > 1:
        text += f", and {counted(found.count - 1, 'more place', 'more places')}"
    return text


def _place(place: DifferingPlace) -> str:
    at = f"at {place.at}: " if place.at else ""
    return f"{at}{_values(place.before, place.after)}"


def _remarks(verdict: Verdict) -> Iterator[str]:
    """Yield by how much the results differ within the tolerance, and what else differs."""
    for allowed in verdict.allowed[:_MOST_NAMED]:
        found = allowed.found
        at = f", the largest at {found.largest_at}" if found.largest_at else ""
        yield in_line(
            f"{allowed.name}: {counted(found.within, 'number')} by up to "
            f"{found.largest_absolute:.2g} (relative {found.largest_relative:.2g}){at}"
        )
    if len(verdict.allowed) > _MOST_NAMED:
        yield f"and {len(verdict.allowed) - _MOST_NAMED} more, which differ less"
    if verdict.same_values:
        names = in_line(some(verdict.same_values, _MOST_NAMED))
        yield f"other bytes, but the same values: {names}"
    for cause in verdict.causes:
        yield f"also differs: the {cause.kind}: {in_line(cause.words)}"


def _explanation(verdict: Verdict) -> Iterator[str]:
    """Yield what the records say about the cause, and only that."""
    for cause in verdict.causes:
        yield f"likely cause: the {cause.kind}: {in_line(cause.words)}"
    links = in_line(", ".join(verdict.unrecorded))
    if verdict.causes:
        if links:
            yield f"not recorded: data (link: {links})"
        return
    yield f"nothing else that is recorded differs: {', '.join(verdict.examined)}"
    others = (
        "the clock, random numbers without a seed, or the order of parallel work"
    )
    if links:
        others = f"the data in {links}, which is not recorded; {others}"
    yield f"likely cause: {others}"
