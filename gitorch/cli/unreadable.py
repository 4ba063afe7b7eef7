"""The note about the records that a command has left out because they cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gitorch.cli.style import plain, say
from gitorch.errors import UPGRADE, GitorchError
from gitorch.model.text.phrases import counted, some

if TYPE_CHECKING:
    from gitorch.model.run.record import RecordBroken
    from gitorch.storage.site import Site

_NAMED = 3  # more ids than these are only counted


def say_unreadable(site: Site) -> None:
    """Say which records of the site were left out, if the command has read any."""
    if "index" not in vars(site):
        return
    try:
        broken = site.index.unreadable()
    except GitorchError:
        return
    for line in render_unreadable(broken):
        say(plain(line))


def render_unreadable(broken: Sequence[RecordBroken]) -> Iterator[str]:
    """Yield a line for the records that are damaged, and one for those of a newer gitorch."""
    damaged = [error.run_id for error in broken if not error.is_newer]
    newer = [error.run_id for error in broken if error.is_newer]
    if damaged:
        count = counted(len(damaged), "record")
        named = some(damaged, _NAMED)
        yield f"{count} cannot be read: {named} (gitorch doctor says why)"
    if newer:
        count = counted(len(newer), "record was", "records were")
        yield f"{count} written by a newer gitorch: {some(newer, _NAMED)} ({UPGRADE})"
