"""Logs as the results branch stores them: progress bars collapsed, secrets masked.

The log file that an attempt writes to stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gitorch.model.text.masking import NOTHING_SECRET, MaskedStream, Masking

# A line is cut into pieces of at most this size, so that output without a line end needs little
# memory.
LONGEST_PIECE = 1 << 20


def clean(
    chunks: Iterable[bytes], masking: Masking = NOTHING_SECRET
) -> Iterator[bytes]:
    """Yield the log as it is stored, block by block.

    Text that a carriage return makes a terminal overwrite is removed. Secrets are masked.
    """
    yield from masked_blocks(map(_last_written, line_blocks(chunks)), masking)


def masked_blocks(chunks: Iterable[bytes], masking: Masking) -> Iterator[bytes]:
    """Yield blocks without secrets. A very long line is cut, perhaps in the middle of a secret."""
    stream = MaskedStream(masking)
    for block in chunks:
        yield stream.shown(block)
    if rest := stream.rest():
        yield rest


def line_blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines, many at a time.

    The overwritten parts of a long unfinished line are dropped on the way.
    """
    pending = b""
    for chunk in chunks:
        lines, end, pending = (pending + chunk).rpartition(b"\n")
        if end:
            yield lines + end
        if len(pending) > LONGEST_PIECE:
            pending = _last_written(pending)
        if len(pending) > LONGEST_PIECE:
            yield pending
            pending = b""
    if pending:
        yield pending


# The text that a carriage return makes a terminal overwrite. The carriage returns at the end of a
# line overwrite nothing: they belong to the line end. The search begins only where a line does: one
# that begins at each character reads a line of 1 MiB a million times.
_OVERWRITTEN = re.compile(rb"^[^\n]*\r(?=[^\r\n])", re.MULTILINE)
_AT_THE_END = re.compile(rb"\r+(?=\n|\Z)")


def _last_written(text: bytes) -> bytes:
    """Return the text that a terminal would finally show."""
    if b"\r" not in text:
        return text
    return _AT_THE_END.sub(b"", _OVERWRITTEN.sub(b"", text))
