"""The runs that this clone queued last, with one command: those that `@last` refers to."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from gitorch.model.run.ids import is_run_id
from gitorch.storage.site import Site
from gitorch.tools.files import write_aside
from gitorch.tools.untrusted import read_plain

_NAME = "queued-last"
_LARGEST = 4 << 20  # bytes


def note_queued_last(site: Site, run_ids: Iterable[str]) -> None:
    """Note that these runs were queued together. If this is impossible, `@last` stays as it is."""
    data = "".join(f"{run_id}\n" for run_id in run_ids).encode()
    with suppress(OSError):
        write_aside(site.state / _NAME, data, mode=0o600)


def queued_last(site: Site) -> list[str]:
    """Return the ids of the runs that were queued last. Some may have been killed since."""
    try:
        data = read_plain(site.state / _NAME, _LARGEST)
    except OSError:
        return []
    text = data.decode("ascii", "replace")
    return [line for line in text.splitlines() if is_run_id(line)]
