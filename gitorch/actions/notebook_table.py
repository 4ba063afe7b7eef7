"""The table of runs that a notebook shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gitorch.model.plot.svg import escaped
from gitorch.model.run.spec import render_value
from gitorch.model.table.fields import OWN

MOST_ROWS = 100
_FIRST = ("id", "name", "status")
_LONGEST = 100  # characters of a cell


def render_html(
    runs: Sequence[Mapping[str, Any]], columns: Mapping[str, Sequence[Any]]
) -> str:
    """Return the first runs as an HTML table, with the parameters that differ and all metrics.

    Everything in it is escaped.
    """
    names = list(_shown(columns))
    head = "".join(f"<th>{escaped(name)}</th>" for name in names)
    rows = []
    for at in range(min(len(runs), MOST_ROWS)):
        cells = "".join(f"<td>{_cell(columns[name][at])}</td>" for name in names)
        rows.append(f"<tr>{cells}</tr>")
    left = len(runs) - len(rows)
    more = f"<p>… and {left} more</p>" if left else ""
    return (
        f"<table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{more}"
    )


def _shown(columns: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    yield from _FIRST
    for name, values in columns.items():
        if name in OWN:
            continue
        texts = set(map(str, values))
        if name.startswith("metrics.") or len(texts) > 1 or len(values) == 1:
            yield name


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else render_value(value)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}…"
    return escaped(text)
