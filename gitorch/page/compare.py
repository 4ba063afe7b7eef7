"""The comparison of two to six runs: what differs, their curves, and the diff of their code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from gitorch.actions.compare import Compared, code_diffs
from gitorch.actions.compare import compare as compare_runs
from gitorch.actions.selection import Selection
from gitorch.errors import GitorchError, UsageError
from gitorch.model.run.compare import ValueDifference
from gitorch.page.code import marked_lines
from gitorch.page.series import MOST_RUNS
from gitorch.page.view import Desk, Query, View
from gitorch.page.words import UNKNOWN, cell, metric

_VALUES = ("config", "metrics", "environment", "data")
_MOST_KEYS = 500
_MOST_DIFFS = 10


class ValueTable(Struct, frozen=True, kw_only=True):
    """The values of one kind that differ: a key, and its value in each run."""

    title: str
    rows: Sequence[tuple[str, Sequence[str]]]
    left_out: int


class CodeDiff(Struct, frozen=True, kw_only=True):
    """A diff of two commits, by lines with their kinds."""

    title: str
    lines: Sequence[tuple[str, str]]
    left_out: int


def compare(desk: Desk, query: Query) -> View:
    """Return the comparison of the runs that are named. Raises NotFound, UsageError."""
    named = query.all("run")
    if not 2 <= len(named) <= MOST_RUNS:
        raise UsageError(
            f"choose 2 to {MOST_RUNS} runs to compare",
            "mark them in the list of runs",
        )
    compared = compare_runs(desk.site, Selection(references=named))
    comparison = compared.comparison
    letters = [chr(ord("A") + place) for place in range(len(compared.records))]
    same = []
    for name in (*_VALUES, "code", "outputs"):
        if getattr(comparison, name).same:
            same.append(name)
    context: dict[str, Any] = {
        "records": list(zip(letters, compared.records, strict=True)),
        "letters": letters,
        "comparison": comparison,
        "tables": list(_tables(compared)),
        "diffs": _diffs(desk, compared),
        "same": same,
        "ids": comparison.runs,
    }
    return View(
        template="compare.html",
        title="Compare " + ", ".join(record.label for record in compared.records),
        section="runs",
        context=context,
        document=comparison.to_json,
    )


def _tables(compared: Compared) -> Iterator[ValueTable]:
    for name in _VALUES:
        difference: ValueDifference = getattr(compared.comparison, name)
        if difference.same:
            continue
        render = metric if name == "metrics" else cell
        rows = []
        for key, values in list(difference.changed.items())[:_MOST_KEYS]:
            shown = []
            for value in values:
                shown.append(UNKNOWN if value is None else render(value))
            rows.append((key, shown))
        yield ValueTable(
            title=name,
            rows=rows,
            left_out=max(0, len(difference.changed) - _MOST_KEYS),
        )


def _diffs(desk: Desk, compared: Compared) -> list[CodeDiff]:
    """Return the diffs of the code, none if a commit is not in this clone."""
    if compared.comparison.code.same:
        return []
    diffs = []
    try:
        for title, data in code_diffs(desk.site, compared.records, color=False):
            lines, left_out = marked_lines(data)
            diffs.append(
                CodeDiff(title=title or "", lines=lines, left_out=left_out)
            )
            if len(diffs) >= _MOST_DIFFS:
                break
    except GitorchError:
        return diffs
    return diffs
