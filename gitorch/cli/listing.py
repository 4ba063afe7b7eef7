"""Many runs as a table, for `list`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from gitorch.actions.listing import Listing
from gitorch.cli.fit import Column, cut, dropped_line, fitted_table, joined_within
from gitorch.cli.style import (
    duration,
    in_line,
    local_time,
    number,
    paint_status,
    plain,
    text_or_nothing,
)
from gitorch.model.run.spec import render_value
from gitorch.model.table.columns import (
    Columns,
    Values,
    choose_columns,
)
from gitorch.model.table.fields import KINDS, OWN, TITLES
from gitorch.model.table.row import Row
from gitorch.model.text.phrases import counted
from gitorch.model.values import MISSING, are_identical

_COMMIT = 10
_LONGEST_SHARED = 40  # cells of a value in the last line, on a terminal
_TITLES = {name: title for title, name in TITLES.items()}
_RENDERERS: Mapping[str, Callable[[Any], str]] = {
    "id": str,
    "name": str,
    "label": str,
    "commit": itemgetter(slice(_COMMIT)),
    "created": local_time,
    "started": local_time,
    "ended": local_time,
    "duration_s": duration,
    "rerun_of": text_or_nothing,
    "verified": text_or_nothing,
    "invalid": text_or_nothing,
}
_LEADING = ("id", "name", "status")
_LABELS = ("invalid", "verified")  # shown if a run has one
_TRAILING = ("created", "duration_s")
# The importance of the columns that every run has. The parameters and metrics are between them.
_RANKS = {"id": 0, "name": 2, "status": 3, "invalid": 3}
_RANK_OF_VALUES = 4
_LAST = 1_000_000


def render_list(
    listed: Listing, *, width: int | None, all_columns: bool, colors: bool
) -> str:
    """Return a table of the runs, and the values that all of them share as the last line.

    The table has the chosen columns, or those that tell the runs apart, or all of them for a single
    run or with `all_columns`. `width` is the width of the terminal, if the table has to fit on one.
    """
    rows = listed.runs
    columns = choose_columns(rows, listed.peers, listed.asked)
    is_whole = all_columns or len(rows) == 1
    names = listed.columns or _names(columns, rows, is_whole=is_whole)
    ranks = _ranks(listed.asked, columns)
    shown = []
    cells = []
    for name in names:
        values = _values(name, rows, columns.values)
        is_text = _is_text(name, values)
        shown.append(Column(_title(name, columns), ranks.get(name, _LAST), is_text))
        cells.append(_cells(name, values, colors))
    fitted = fitted_table(
        list(zip(*cells, strict=True)),
        shown,
        width=None if all_columns else width,
        colors=colors,
        keeps_all=bool(listed.columns),
    )
    lines = [*fitted.lines, *dropped_line(fitted, width)]
    if not (listed.columns or is_whole):
        lines += _shared_line(columns, rows, width)
    return "\n".join([*lines, *hidden_line(listed)])


def hidden_line(listed: Listing) -> list[str]:
    """Return the line that counts the runs that were left out, if there are any."""
    if not listed.hidden:
        return []
    return [
        f"not shown, see --status FAILED: {counted(listed.hidden, 'FAILED run')}"
    ]


def _names(columns: Columns, rows: Sequence[Row], *, is_whole: bool) -> list[str]:
    """Return the columns in the order in which they are shown."""
    commit = [] if _has_one_commit(rows) and not is_whole else ["commit"]
    values = columns.every
    if not is_whole:
        values = tuple(name for name in values if name in columns.telling)
    labels = []
    for name in _LABELS:
        if any(getattr(row, name) is not None for row in rows):
            labels.append(name)
    return [*_LEADING, *commit, *labels, *values, *_TRAILING]


def _has_one_commit(rows: Sequence[Row]) -> bool:
    return are_identical(row.commit for row in rows)


def _ranks(asked: Iterable[str], columns: Columns) -> dict[str, int]:
    """Return the rank of each column: those asked for, names, values, and then the others."""
    by_importance = [
        *columns.telling,
        "verified",
        "duration_s",
        "created",
        "commit",
    ]
    ranks = {name: rank for rank, name in enumerate(by_importance, _RANK_OF_VALUES)}
    return ranks | dict.fromkeys(asked, 1) | _RANKS


def _values(name: str, rows: Sequence[Row], values: Sequence[Values]) -> list[Any]:
    if name in OWN:
        return [getattr(row, name) for row in rows]
    return [held.get(name, MISSING) for held in values]


def _is_text(name: str, values: Sequence[Any]) -> bool:
    """Return True if the values may be cut: half a number or id would be another one."""
    if name in OWN:
        return name in ("name", "label", "invalid")
    return any(isinstance(value, str | list | dict) for value in values)


def _cells(name: str, values: Sequence[Any], colors: bool) -> list[str]:
    if name == "status":
        return [paint_status(status, on=colors) for status in values]
    render = _RENDERERS.get(name)
    if render is None:
        render = number if name.startswith("metrics.") else render_value
    return [_shown(value, render) for value in values]


def _shown(value: Any, render: Callable[[Any], str]) -> str:
    return "" if value is MISSING else plain(render(value))


def _title(name: str, columns: Columns) -> str:
    """Return the shortest name of a column: without its kind, unless another has that name."""
    if name in OWN:
        return _TITLES.get(name, name)
    kind, _, key = name.partition(".")
    [other] = [known for known in KINDS if known != kind]
    if key in OWN or key in TITLES or f"{other}.{key}" in columns.every:
        return plain(name)
    return plain(key)


def _shared_line(
    columns: Columns, rows: Sequence[Row], width: int | None
) -> list[str]:
    """Return the line with the values that all runs share, as many as there is room for."""
    texts = []
    for name, value in columns.shared.items():
        [text] = _cells(name, [value], colors=False)
        texts.append(f"{_title(name, columns)}={_quoted(in_line(text), width)}")
    if texts and _has_one_commit(rows):
        texts.append(f"commit={rows[0].commit[:_COMMIT]}")
    if not texts:
        return []
    return [joined_within("the same in all: ", texts, " ", width)]


def _quoted(text: str, width: int | None) -> str:
    if width is not None:
        text = cut(text, _LONGEST_SHARED)
    return f"'{text}'" if " " in text or not text else text
