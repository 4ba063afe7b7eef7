"""The log of an attempt as it is committed, and what its end tells about a failure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gitorch.git.store import artifacts
from gitorch.git.store.artifacts import Stored, Unkeepable
from gitorch.model.run.outcome import CouldNotStart, Outcome
from gitorch.model.text.masking import Masking
from gitorch.storage import log
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.site import Site
from gitorch.storage.unkept import UnkeptNotes
from gitorch.tools.untrusted import blocks, open_file

_TAIL_LINES = 20
_LONGEST_TAIL_LINE = 2000
_TAIL_BYTES = 64 << 10
_CHUNK = 1 << 20
# The last line of a traceback entry: `  File "/…/Tasks.py", line 12, in run`.
_TRACEBACK_ENTRY = re.compile(r'^\s*File "(.+)", line (\d+)')


class KeptLog(NamedTuple):
    """A log as it is committed, its last lines, and the location that a traceback ends in."""

    content: bytes | Stored
    tail: tuple[str, ...]
    location: str | None
    lines: Sequence[str] = ()  # more than the tail


def read_log(
    site: Site,
    attempt: ClaimedAttempt,
    outcome: Outcome,
    masking: Masking,
    notes: UnkeptNotes,
) -> KeptLog:
    """Return the log without secrets, its last lines, and where a traceback ends."""
    if isinstance(outcome, CouldNotStart) and not attempt.directory.log.exists():
        return KeptLog(
            masking.data(f"gitorch: {outcome}\n".encode(errors="surrogateescape")),
            (),
            None,
        )
    try:
        content, end = _stored_log(site, attempt, masking)
    except (OSError, Unkeepable) as error:
        notes.add("the log", error)
        return KeptLog(
            f"gitorch: the log could not be kept: {error}\n".encode(), (), None
        )
    lines = [
        line[:_LONGEST_TAIL_LINE]
        for line in end.decode("utf-8", "replace").split("\n")
    ]
    location = _location(attempt, lines)
    if lines[-1] == "":  # the log ends with a newline
        lines.pop()
    tail = tuple(lines[-_TAIL_LINES:])
    return KeptLog(content, tail, location, lines)


def _stored_log(
    site: Site, attempt: ClaimedAttempt, masking: Masking
) -> tuple[bytes | Stored, bytes]:
    """Return the log without secrets, and its last bytes. A large log is not held in memory."""
    end = b""
    directory = attempt.directory

    def stored_blocks(live: BinaryIO) -> Iterator[bytes]:
        nonlocal end
        for block in log.clean(blocks(live, _CHUNK), masking):
            end = (end + block)[-_TAIL_BYTES:]
            yield block

    with open_file(directory.log, below=directory.workspace) as live:
        stored = artifacts.store_text(
            site.repository,
            stored_blocks(live),
            large=site.settings.large_file_bytes,
            size=os.fstat(live.fileno()).st_size,
        )
    return stored, end


def _location(attempt: ClaimedAttempt, lines: Sequence[str]) -> str | None:
    """Return `file:line` of the last traceback entry whose file is in the run's worktree."""
    for line in reversed(lines):
        entry = _TRACEBACK_ENTRY.match(line)
        if entry is None:
            continue
        with suppress(ValueError):  # not in the worktree
            return f"{Path(entry[1]).relative_to(attempt.run.tree)}:{entry[2]}"
    return None
