"""The text of `record.json`, which anybody can change with git."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gitorch.model.run.record import (
    NEWER_SCHEMA,
    SCHEMA,
    Attempt,
    Record,
    RecordBroken,
)
from gitorch.model.run.record_soundness import require_sound_attempt

LARGEST = 64 << 20  # bytes; a record of 200,000 outputs has about half as many
# A record contains a config, which may have 100 levels. The functions that compare and render
# values call themselves for each level.
DEEPEST = 200

_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def parse_record(data: bytes, run_id: str) -> dict[str, Any]:
    """Return the JSON of this run's record, with None for numbers that are not finite.

    Raises RecordBroken if the text is not a JSON object. Its fields are not checked.
    """
    if len(data) > LARGEST:
        raise RecordBroken(run_id, f"it is larger than {LARGEST >> 20} MiB")
    document = _parse(data, run_id)
    if not isinstance(document, dict):
        raise RecordBroken(run_id, "it is not a JSON object")
    return document


def record_of(document: dict[str, Any], run_id: str) -> Record:
    """Return the record that has this JSON. Raises RecordBroken."""
    schema = document.get("schema")
    if schema != SCHEMA:
        if isinstance(schema, str) and NEWER_SCHEMA.fullmatch(schema):
            reason = f"it was written by a newer gitorch ({schema})"
            raise RecordBroken(run_id, reason, is_newer=True)
        raise RecordBroken(run_id, f"its schema is {_shown(schema)}, not {SCHEMA}")
    if document.get("id") != run_id:
        other = _shown(document.get("id"))
        raise RecordBroken(run_id, f"it is the record of another run: {other}")
    return Record.from_json(document)


def read_attempt(data: bytes) -> Attempt | None:
    """Return the attempt in the text of an `attempt.json`, or None if it cannot be read."""
    try:
        attempt = Attempt.from_json(parse_record(data, ""))
        require_sound_attempt(attempt)
    except (ValueError, OverflowError, RecordBroken):
        return None
    return attempt


def _parse(data: bytes, run_id: str) -> Any:
    if _levels_at_most(data) > DEEPEST:
        raise RecordBroken(run_id, f"it is nested deeper than {DEEPEST} levels")
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass  # msgspec refuses lone surrogates, which file names have, and NaN
    try:
        # A number such as 1e400 is read as an infinity.
        return _without_infinities(json.loads(data, parse_constant=_nothing))
    except ValueError as error:
        raise RecordBroken(run_id, f"it is not JSON: {error}") from error


def _nothing(constant: str) -> None:
    """Return None in place of the NaN, Infinity or -Infinity of a record."""


def _without_infinities(value: Any) -> Any:
    match value:
        case float():
            return value if abs(value) != float("inf") else None
        case list():
            return [_without_infinities(item) for item in value]
        case dict():
            return {key: _without_infinities(item) for key, item in value.items()}
        case _:
            return value


def _levels_at_most(data: bytes) -> int:
    """Return a number of levels that the JSON does not exceed, or DEEPEST + 1 if it may.

    Each round removes the innermost brackets. Brackets within texts can only leave a remainder, so
    a text with more than DEEPEST unpaired brackets counts as too deep.
    """
    opening = data.count(b"[") + data.count(b"{")
    if opening <= DEEPEST:
        return opening
    brackets = data.translate(None, _NOT_BRACKETS)
    for levels in range(DEEPEST + 1):
        if not brackets:
            return levels
        fewer = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(fewer) == len(brackets):
            return min(len(brackets), DEEPEST + 1)
        brackets = fewer
    return DEEPEST + 1


def _shown(value: Any) -> str:
    """Return a value that is wrong, shortened, for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
