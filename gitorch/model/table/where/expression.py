"""An expression of `--where`, which selects runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gitorch.model.table.fields import (
    KINDS,
    Path,
    did_you_mean,
    known_fields,
    meant,
    render_path,
)
from gitorch.model.table.row import Row
from gitorch.model.table.where.grammar import parse
from gitorch.model.table.where.predicates import Predicate, predicate_of


class Where(NamedTuple):
    """A parsed expression. `fields` are the fields that the expression names."""

    text: str
    matches: Predicate
    fields: tuple[Path, ...]

    def unknown_fields(self, rows: Iterable[Row]) -> list[str]:
        """Return a message for each field that none of these runs has, with a suggestion."""
        known = known_fields(rows)
        messages = []
        for path in dict.fromkeys(self.fields):
            kind, *keys = path
            dotted_name = ".".join(keys)
            if kind not in KINDS:
                continue
            if path in known or (kind, dotted_name) in known:
                continue
            message = f"no run has {render_path(path)}"
            similar = meant(path[-1], known)
            if similar:
                message += f"; {did_you_mean(similar)}"
            messages.append(message)
        return messages


def parse_where(text: str, rows: Sequence[Row] = ()) -> Where:
    """Parse an expression. Raises UsageError, which shows the part that is wrong.

    `rows` are read only for names without `params.` or `metrics.`.
    """
    condition, fields = parse(text, rows)
    return Where(text, predicate_of(condition), fields)
