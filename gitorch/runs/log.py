"""Logs as they are kept: overwritten progress bars collapsed, secrets masked. The live file stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

# A line is cut into pieces of this size at most, so that a flood without a line end needs no memory.
LONGEST_PIECE = 1 << 20

_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSW(OR)?D|PASSPHRASE|CREDENTIAL|(API|ACCESS|PRIVATE|AUTH)_?KEY", re.IGNORECASE
)
_SHORTEST_SECRET = 8
MASK = b"********"


def secrets_of(environment: Mapping[str, str]) -> tuple[bytes, ...]:
    """The values of variables whose name looks like a secret's, longest first; short ones would mask half the log."""
    values = {
        value.encode("utf-8", "surrogateescape")
        for name, value in environment.items()
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET and name != "GITORCH_TOKEN"
    }
    return tuple(sorted(values, key=len, reverse=True))


def kept(chunks: Iterable[bytes], secrets: tuple[bytes, ...] = ()) -> Iterator[bytes]:
    """A log as it is kept: of each line what follows its last carriage return, secrets masked."""
    for block in _blocks(chunks):
        shown = _last_written(block)
        for secret in secrets:
            shown = shown.replace(secret, MASK)
        yield shown


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, many at once; what was overwritten in a long unfinished one is forgotten on the way."""
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


# What a carriage return makes a terminal write over; and those at the end of a line, which are part of its end.
_OVERWRITTEN = re.compile(rb"[^\r\n]*\r+(?=[^\r\n])")
_AT_THE_END = re.compile(rb"\r+(?=\n|\Z)")


def _last_written(text: bytes) -> bytes:
    """What a terminal would show of each line."""
    return _AT_THE_END.sub(b"", _OVERWRITTEN.sub(b"", text)) if b"\r" in text else text
