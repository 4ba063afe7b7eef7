"""The verdict on a rerun as a few lines, for `rerun --verify`."""

from __future__ import annotations

from collections.abc import Iterator

from gitorch.cli.render_comparison import change
from gitorch.cli.render_run import size
from gitorch.cli.style import in_line, number, padded
from gitorch.model.run.verdict import OutputChange, Verdict
from gitorch.model.text.phrases import counted, some

_MOST_NAMED = 5  # metrics, and outputs
_WIDEST = 40  # of the names of metrics and outputs that are put below each other


def render_verdict(verdict: Verdict, *, in_full: bool = True) -> str:
    """Return one line, and if results differ and it is `in_full`, the largest differences."""
    lines = [f"{verdict.id} repeats {verdict.of}: {_in_words(verdict)}"]
    if verdict.volatile:
        names = in_line(some(verdict.volatile, _MOST_NAMED))
        lines[0] += f" (volatile, not compared: {names})"
    if in_full and not verdict.same:
        lines += _largest(verdict)
    if not verdict.same:
        lines += [f"  {line}" for line in _explanation(verdict)]
    if in_full and not verdict.same:
        lines.append(
            f"  all differences: gitorch compare {verdict.of} {verdict.id}"
        )
    return "\n".join(lines)


def _in_words(verdict: Verdict) -> str:
    if verdict.is_empty:
        return "nothing to compare, since it has no metrics and no outputs"
    if verdict.same:
        return "all metrics and outputs are the same"
    kinds = []
    if verdict.metrics:
        kinds.append(counted(len(verdict.metrics), "metric"))
    if verdict.outputs:
        kinds.append(counted(len(verdict.outputs), "output"))
    verb = (
        "differs" if len(verdict.metrics) + len(verdict.outputs) == 1 else "differ"
    )
    return f"{' and '.join(kinds)} {verb}"


def _largest(verdict: Verdict) -> Iterator[str]:
    rows = []
    for metric in verdict.metrics[:_MOST_NAMED]:
        before, after = metric.before, metric.after
        shown = f"{_metric(before)} -> {_metric(after)}"
        by = change(before, after)
        rows.append((in_line(metric.name), f"{shown}  {by}".rstrip()))
    for output in verdict.outputs[:_MOST_NAMED]:
        rows.append((in_line(output.path), _output(output)))
    width = min(max(len(name) for name, _ in rows), _WIDEST)
    for position, (name, difference) in enumerate(rows, start=1):
        yield f"  {padded(name, width)}  {difference}"
        if position == len(verdict.metrics[:_MOST_NAMED]):
            yield from _more(len(verdict.metrics), "metrics")
    yield from _more(len(verdict.outputs), "outputs")


def _more(count: int, what: str) -> Iterator[str]:
    if count > _MOST_NAMED:
        yield f"  and {count - _MOST_NAMED} more {what}, which differ less"


def _metric(value: object) -> str:
    return "-" if value is None else in_line(number(value))


def _output(output: OutputChange) -> str:
    if output.before is None:
        return f"new, {size(output.after or 0)}"
    if output.after is None:
        return f"missing, it had {size(output.before)}"
    sizes = f"{size(output.before)} -> {size(output.after)}"
    if output.before == output.after:
        sizes = f"{size(output.after)}, other content"
    if output.lines is None:
        return sizes
    added, deleted = output.lines
    return f"{sizes}, lines +{added} -{deleted}"


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
