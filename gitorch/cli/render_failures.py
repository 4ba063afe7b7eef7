"""The failures of many runs as text: similar ones together, with the commands to type next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitorch.actions.failures import MOST_EXPLAINED, FailureGroup
from gitorch.cli.announcements import next_commands, render_reason
from gitorch.cli.style import in_line, paint
from gitorch.model.run.spec import render_value
from gitorch.model.text.phrases import counted

_MOST_LISTED = 3  # runs of one cause


def render_failures(groups: Sequence[FailureGroup], *, colors: bool) -> str:
    """Return a paragraph for each cause, the most frequent first."""
    lines = [""]
    for group in groups[:MOST_EXPLAINED]:
        lines += [*_group(group, colors), ""]
    others = groups[MOST_EXPLAINED:]
    if others:
        runs = counted(sum(len(group.similar.run_ids) for group in others), "run")
        causes = counted(len(others), "other cause")
        lines += [f"{runs} failed for {causes}: gitorch status", ""]
    return "\n".join(lines)


def _group(group: FailureGroup, colors: bool) -> Iterator[str]:
    similar = group.similar
    first = similar.first
    runs = paint(counted(len(similar.run_ids), "run"), "bold", on=colors)
    yield f"{runs} failed in {first.task}: {render_reason(first, colors=colors)}"
    if len(similar.run_ids) > 1 and group.common:
        yield f"  all with {_common(group)}"
    labels = {failure.run_id: failure.label for failure in similar.failures}
    for run_id in similar.run_ids[:_MOST_LISTED]:
        yield f"  {run_id}  {in_line(labels[run_id])}"
    more = len(similar.run_ids) - _MOST_LISTED
    if more > 0:
        yield f"  … and {more} more"
    yield from next_commands(first, group.selection)


def _common(group: FailureGroup) -> str:
    """Return the values that the failed runs share, and whether other runs share them too."""
    values = " ".join(
        f"{in_line(key)}={in_line(render_value(value))}"
        for key, value in group.common.items()
    )
    if not group.others:
        return f"{values}, and no other run"
    have = "has" if group.others == 1 else "have"
    return f"{values}; {counted(group.others, 'other run')} {have} these values too"
