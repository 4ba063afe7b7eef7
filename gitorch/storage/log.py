"""Logs as the results branch stores them: progress bars collapsed, secrets masked.

The log file that an attempt writes to stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

# A line is cut into pieces of at most this size, so that output without a line end needs little
# memory.
LONGEST_PIECE = 1 << 20

_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSW(OR)?D|PASSPHRASE|CREDENTIAL|(API|ACCESS|PRIVATE|AUTH)_?KEY",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 8
MASK = b"********"


def secrets_of(environment: Mapping[str, str]) -> tuple[bytes, ...]:
    """Return the values of all variables whose names look like those of secrets, longest first.

    Short values are left out: masking them would mask half the log.
    """
    values = set()
    for name, value in environment.items():
        is_secret = (
            _SECRET_NAME.search(name) is not None and name != "GITORCH_TOKEN"
        )
        if is_secret and len(value) >= _SHORTEST_SECRET:
            values.add(value.encode("utf-8", "surrogateescape"))
    return tuple(sorted(values, key=len, reverse=True))


def clean(
    chunks: Iterable[bytes], secrets: tuple[bytes, ...] = ()
) -> Iterator[bytes]:
    """Yield the log as it is stored, block by block.

    Text that a carriage return makes a terminal overwrite is removed. Secrets are masked.
    """
    for block in _blocks(chunks):
        visible = _last_written(block)
        for secret in secrets:
            visible = visible.replace(secret, MASK)
        yield visible


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
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
# line overwrite nothing: they belong to the line end.
_OVERWRITTEN = re.compile(rb"[^\r\n]*\r+(?=[^\r\n])")
_AT_THE_END = re.compile(rb"\r+(?=\n|\Z)")


def _last_written(text: bytes) -> bytes:
    """Return the text that a terminal would finally show."""
    if b"\r" not in text:
        return text
    return _AT_THE_END.sub(b"", _OVERWRITTEN.sub(b"", text))
