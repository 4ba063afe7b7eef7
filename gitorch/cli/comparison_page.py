"""A comparison as one HTML page, which needs no other file and no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gitorch.actions.compare import Compared
from gitorch.cli.render_comparison import (
    SECTIONS,
    difference_of,
    letter,
    section_text,
    side_notes,
    value_text,
    with_machine,
)
from gitorch.cli.style import local_time, without_controls
from gitorch.model.run.compare import ValueDifference

_MOST_LINES = 5_000  # of one diff
_WIDE = 8  # runs; of more, those with the same value are listed together
_KINDS = {"+": "more", "-": "less", "@": "place"}


class Diff(NamedTuple):
    """A diff with its title, as git prints it."""

    title: str
    data: bytes


def comparison_page(compared: Compared, diffs: Iterable[Diff]) -> str:
    """Return the page with all kinds of differences, and with these diffs of code and logs."""
    # Loaded here: only a page needs it.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("gitorch.cli", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = " and ".join(record.label for record in compared.records[:2])
    others = len(compared.records) - 2
    title = f"{names} and {others} more" if others > 0 else names
    return environment.get_template("comparison.html").render(
        title=title,
        runs=_runs(compared),
        notes=side_notes(compared, SECTIONS),
        sections=_sections(compared),
        diffs=[_diff(diff) for diff in diffs],
    )


def _runs(compared: Compared) -> list[dict[str, str]]:
    runs = []
    for position, record in enumerate(compared.records):
        runs.append(
            {
                "letter": letter(position),
                "id": record.id,
                "status": str(record.status),
                "label": record.label,
                "commit": record.pin.commit[:12],
                "created": local_time(record.created),
            }
        )
    return runs


def _sections(compared: Compared) -> list[dict[str, Any]]:
    """Return the kinds of differences: those of values as rows of a table, others as text."""
    sections: list[dict[str, Any]] = []
    for name in with_machine(SECTIONS):
        difference = difference_of(compared.comparison, name)
        if difference.same:
            continue
        section: dict[str, Any] = {"title": name, "text": "", "rows": []}
        if (
            isinstance(difference, ValueDifference)
            and len(compared.records) <= _WIDE
        ):
            section["rows"] = _rows(difference)
        else:
            section["text"] = section_text(name, compared)
        sections.append(section)
    return sections


def _rows(difference: ValueDifference) -> list[tuple[str, list[str]]]:
    rows = []
    for key, values in difference.changed.items():
        rows.append((key, list(map(value_text, values))))
    return rows


def _diff(diff: Diff) -> Mapping[str, Any]:
    text = without_controls(diff.data).decode("utf-8", "replace")
    lines = text.splitlines()
    shown: Sequence[str] = lines[:_MOST_LINES]
    marked = [(_KINDS.get(line[:1], ""), line) for line in shown]
    return {
        "title": diff.title,
        "lines": marked,
        "left_out": len(lines) - len(shown),
    }
