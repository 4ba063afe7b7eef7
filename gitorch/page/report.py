"""A report about runs as one HTML file that needs no server, and as Markdown."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from gitorch.actions.failures import FailureGroup, gather_failures
from gitorch.actions.listing import Listing, listing_among
from gitorch.actions.records import read_records
from gitorch.actions.selection import Selection
from gitorch.actions.series import SeriesReader
from gitorch.model.run.record import Record
from gitorch.model.run.status import Status
from gitorch.model.table.columns import Columns, choose_columns
from gitorch.model.table.row import Row
from gitorch.model.text.phrases import counted
from gitorch.page.explore import document, explored
from gitorch.page.runs import cell_of, column_names, column_title
from gitorch.page.view import HERE, environment
from gitorch.page.words import lines, text
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site
from gitorch.tools.clock import now
from gitorch.tools.untrusted import read_plain

MOST_ROWS = 2_000
_MOST_DETAILED = 100  # runs
_MOST_CURVES = 30  # runs
_MOST_READ = 300  # runs, to find the curves
_POINTS = 300  # of each curve
_MOST_IN_MARKDOWN = (
    50  # runs; a comment on a pull request may have 65,536 characters
)
_LARGEST_SCRIPT = 1 << 20
_SCRIPTS = ("plot", "curves", "explore", "sort")


def html_report(site: Site, where: str | None, caller: Mapping[str, str]) -> str:
    """Return the page. `caller` is the caller's environment. Raises UsageError."""
    from markupsafe import Markup  # noqa: PLC0415  comes with jinja2

    rows = Catalog.of(site).rows()
    listed = _selected(rows, where)
    data = explored(listed, "", "")
    style = _source("page.css")
    script = _bundle()
    records = _records(site, listed.runs[:_MOST_DETAILED])
    page = environment().get_template("report.html")
    return page.render(
        **{**data, **_table(listed)},
        repository=site.repository.root.name,
        where=where,
        made=now(),
        counts=_counts(listed),
        causes=_causes(site, listed),
        records=records,
        detailed={record.id for record in records},
        is_linear=False,
        problem=None,
        style=Markup(style),  # noqa: S704  a file of gitorch
        script=Markup(script),  # noqa: S704  the same
        policy=_policy(style, script),
        explore_json=Markup(_embedded(document(data))),  # noqa: S704  escaped
        curves_json=Markup(_embedded(_curves(site, listed, caller))),  # noqa: S704
    )


def markdown_report(site: Site, where: str | None) -> str:
    """Return the report for a pull request or for the summary of a job. Raises UsageError."""
    listed = _selected(Catalog.of(site).rows(), where)
    counts = _counts(listed)
    parts = [f"**{count}** {status}" for status, count in counts.items() if count]
    title = f"## Runs of {_code(site.repository.root.name)}"
    paragraphs = [title, ", ".join(parts) or "There are no runs."]
    if where:
        paragraphs.insert(1, f"Selected by {_code(where)}")
    if listed.runs:
        paragraphs.append(_markdown_table(listed))
    rest = len(listed.runs) - _MOST_IN_MARKDOWN
    if rest > 0:
        paragraphs.append(f"… and {rest} more")
    failures = [_failure_item(group) for group in _causes(site, listed)]
    if failures:
        paragraphs += ["### Failures", "\n".join(failures)]
    return "\n\n".join(paragraphs)


def _selected(rows: list[Row], where: str | None) -> Listing:
    selection = Selection(everything=True)
    if where is not None:
        selection = Selection(where=where)
    return listing_among(rows, selection=selection)


def _counts(listed: Listing) -> dict[str, int]:
    found = Counter(row.status for row in listed.runs)
    return {str(status): found[status] for status in Status}


def _causes(site: Site, listed: Listing) -> Sequence[FailureGroup]:
    ended = {}
    for row in listed.runs:
        if row.status in (Status.COMPLETE, Status.ERROR):
            ended[row.id] = row.status
    return gather_failures(site, ended)


def _records(site: Site, rows: Sequence[Row]) -> list[Record]:
    return read_records(site, Catalog(site), [row.id for row in rows])


def _table(listed: Listing) -> dict[str, Any]:
    shown = listed.runs[:MOST_ROWS]
    columns = choose_columns(shown, listed.peers, listed.asked)
    names = column_names(listed, columns)
    cells = _cells(shown, columns, names)
    headings = []
    for place, name in enumerate(names):
        is_number = any(cells_of[place].kind == "number" for cells_of in cells)
        headings.append((column_title(name, columns), is_number))
    return {
        "headings": headings,
        "rows": list(zip(shown, cells, strict=True)),
        "more_rows": len(listed.runs) - len(shown),
    }


def _cells(
    rows: Sequence[Row], columns: Columns, names: Sequence[str]
) -> list[list[Any]]:
    table = []
    for row, values in zip(rows, columns.values, strict=True):
        table.append([cell_of(name, row, values) for name in names])
    return table


def _curves(
    site: Site, listed: Listing, caller: Mapping[str, str]
) -> dict[str, Any]:
    """Return the curves of the newest runs that have any, and a note if runs are left out."""
    runs: list[dict[str, Any]] = []
    read = 0
    for row in listed.runs[:_MOST_READ]:
        if len(runs) >= _MOST_CURVES:
            break
        read += 1
        found = SeriesReader(site, row.id, caller, points=_POINTS).read().series
        series = {}
        for name, one in found.items():
            if one.total > 1:
                points = list(zip(one.steps, one.values, strict=True))
                series[name] = {"points": points, "total": one.total}
        if series:
            runs.append({"id": row.id, "label": row.label, "series": series})
    rest = len(listed.runs) - read
    notes = [f"{counted(rest, 'older run')} left out"] if rest else []
    return {"runs": runs, "notes": notes}


def _embedded(value: Any) -> str:
    """Return JSON that can stand in an element `script`: nothing in it can end the element."""
    data = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return data.replace("<", "\\u003c").replace("&", "\\u0026")


def _policy(style: str, script: str) -> str:
    """Return the policy of the page: nothing but this style and this script."""
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{_digest(style)}'; script-src 'sha256-{_digest(script)}'"
    )


def _digest(content: str) -> str:
    return b64encode(sha256(content.encode()).digest()).decode()


def _bundle() -> str:
    """Return the modules of the plots as one script.

    Each module becomes a function that returns its exports.
    """
    parts = ['"use strict";', "const modules = {};"]
    for name in _SCRIPTS:
        source = _source(f"{name}.js")
        exports = re.findall(
            r"^export (?:async )?(?:function|const) (\w+)", source, re.M
        )
        source = re.sub(
            r'^import (\{[^}]+\}) from "\./(\w+)\.js";$',
            r"const \1 = modules.\2;",
            source,
            flags=re.M,
        )
        source = re.sub(r"^export ", "", source, flags=re.M)
        parts.append(
            f"modules.{name} = (() => {{\n{source}\n"
            f"return {{ {', '.join(exports)} }};\n}})();"
        )
    parts += [
        "modules.sort.setUpSort();",
        'if (document.querySelector("[data-curves]")) modules.curves.setUpCurves();',
        'if (document.getElementById("explore")) modules.explore.setUpExplore();',
    ]
    return "\n".join(parts)


def _source(name: str) -> str:
    path: Path = HERE / "static" / name
    return read_plain(path, _LARGEST_SCRIPT).decode()


def _markdown_table(listed: Listing) -> str:
    shown = listed.runs[:_MOST_IN_MARKDOWN]
    columns = choose_columns(shown, listed.peers, listed.asked)
    names = column_names(listed, columns)
    titles = [_escaped(column_title(name, columns)) for name in names]
    table = ["| " + " | ".join(titles) + " |"]
    table.append("|" + "---|" * len(titles))
    for held in _cells(shown, columns, names):
        cells = []
        for cell in held:
            is_plain = cell.kind in ("status", "number", "time") or not cell.text
            cells.append(cell.text if is_plain else _code(cell.text))
        table.append("| " + " | ".join(cells) + " |")
    return "\n".join(table)


def _failure_item(group: FailureGroup) -> str:
    first = group.similar.first
    count = len(group.similar.run_ids)
    item = f"- **{count}** × task {_code(first.task)}: {_code(str(first.outcome))}"
    if group.similar.location:
        item += f" at {_code(group.similar.location)}"
    if group.common:
        values = [f"{key}={value}" for key, value in group.common.items()]
        item += f", all with {_code(' '.join(values))}"
    return item


def _code(value: str) -> str:
    """Return a text as code, in which Markdown has no marks and no names of people."""
    shown = text(value).replace("|", "\\|")
    longest = max(map(len, re.findall(r"`+", shown)), default=0)
    fence = "`" * (longest + 1)
    margin = " " if "`" in shown else ""
    return f"{fence}{margin}{shown}{margin}{fence}"


def _escaped(value: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>()#+!|@~-])", r"\\\1", lines(value))
