"""The commit of a run: its message, and what it changed."""

from __future__ import annotations

from collections.abc import Sequence

from gitorch.actions.code_of_run import code_change
from gitorch.page.view import Desk, Query, View

_MOST_LINES = 5_000  # of one diff
_LONGEST_LINE = 2_000  # characters
_KINDS = {"+": "more", "-": "less", "@": "place"}


def code(desk: Desk, query: Query) -> View:
    """Return the commit of the run that the path names. Raises NotFound, UsageError."""
    change = code_change(desk.site, query.path["id"])
    marked, left_out = marked_lines(change.diff)
    commit = change.commit
    return View(
        template="code.html",
        title=commit.subject,
        section="runs",
        context={
            "run_id": query.path["id"],
            "commit": commit,
            "is_snapshot": change.is_snapshot,
            "diff": marked,
            "left_out": left_out,
        },
        document=lambda: {
            "commit": commit.oid,
            "subject": commit.subject,
            "body": commit.body,
            "diff": change.diff.decode("utf-8", "replace"),
        },
    )


def marked_lines(diff: bytes) -> tuple[Sequence[tuple[str, str]], int]:
    """Return the lines of a diff with their kinds, and how many lines were left out."""
    lines = diff.decode("utf-8", "replace").split("\n")
    while lines and not lines[-1]:
        lines.pop()
    marked = []
    is_head = True
    for line in lines[:_MOST_LINES]:
        shown = line
        if len(line) > _LONGEST_LINE:
            shown = f"{line[:_LONGEST_LINE]}…"
        # The names of a file before and after the change begin with the marks of lines.
        is_head = not line.startswith("@") and (is_head or line.startswith("diff "))
        marked.append(("head" if is_head else _KINDS.get(line[:1], ""), shown))
    return marked, len(lines) - len(marked)
