"""The note about runs that a command is about and whose results are not to be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitorch.cli.style import in_line, say
from gitorch.errors import GitorchError

if TYPE_CHECKING:
    from gitorch.storage.site import Site

_NAMED = 3  # more runs than these are only counted


def say_invalid(site: Site) -> None:
    """Say which of the runs that were named or selected are marked as invalid, and why."""
    if not vars(site).get("named_runs"):
        return
    try:
        rows = site.index.rows(sorted(site.named_runs))
    except GitorchError:
        return
    invalid = []
    for row in rows:
        if row.invalid is not None:
            why = in_line(row.invalid)
            invalid.append(f"{in_line(row.label)} ({row.id}) is invalid: {why}")
    for text in invalid[:_NAMED]:
        say(f"note: {text}")
    if len(invalid) > _NAMED:
        say(f"note: {len(invalid) - _NAMED} more of these runs are invalid")
