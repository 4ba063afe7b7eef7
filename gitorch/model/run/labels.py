"""The labels of a run: verdicts on repetitions of it, and doubts about its results.

A label is not a status. It can be added in any clone, to a run of any clone, long after the run is
over. Therefore two versions of a record are merged by the union of their labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitorch.model.json_struct import JsonStruct

# The newest verdicts stay in a record. The log of the results branch has all of them.
VERDICTS_KEPT = 50


class RecordedVerdict(JsonStruct, frozen=True, kw_only=True):
    """The verdict on the repetition `id` of the run `of`, in the records of both runs.

    `differs` is the number of differences. `also` has the kinds of other differences that may be
    their cause, such as `environment`.
    """

    id: str
    of: str
    verdict: str
    at: str
    by: str
    differs: int = 0
    also: tuple[str, ...] = ()


class Undone(JsonStruct, frozen=True, kw_only=True):
    """The end of an invalidation."""

    at: str
    by: str
    why: str | None = None


class Invalidation(JsonStruct, frozen=True, kw_only=True):
    """Somebody's statement that the results of a run are not to be trusted."""

    at: str
    by: str
    why: str
    undone: Undone | None = None


def with_labels_of(
    record: Mapping[str, Any], other: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the JSON of `record` with the labels that only `other` has, None if there are none.

    Both are versions of one record. Nothing about their shape is taken for granted.
    """
    merged = dict(record)
    verdicts = _united(record, other, "verdicts", _verdict_key)
    verdicts.sort(key=_time_of)
    invalidations = _united(record, other, "invalidations", _invalidation_key)
    ended = {}
    for entry in _entries(other, "invalidations"):
        if "undone" in entry:
            ended[_invalidation_key(entry)] = entry
    for number, entry in enumerate(invalidations):
        if "undone" not in entry:
            invalidations[number] = ended.get(_invalidation_key(entry), entry)
    invalidations.sort(key=_time_of)
    if verdicts:
        merged["verdicts"] = verdicts[-VERDICTS_KEPT:]
    if invalidations:
        merged["invalidations"] = invalidations
    return merged if merged != record else None


def _united(
    record: Mapping[str, Any], other: Mapping[str, Any], name: str, key: Any
) -> list[dict[str, Any]]:
    """Return the entries of both, those of `record` where both have the same."""
    entries = {}
    for entry in (*_entries(other, name), *_entries(record, name)):
        entries[key(entry)] = entry
    return list(entries.values())


def _entries(record: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = record.get(name)
    if not isinstance(value, list):
        return []
    return [entry for entry in value if isinstance(entry, dict)]


def _verdict_key(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return str(entry.get("id")), str(entry.get("of")), _time_of(entry)


def _invalidation_key(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return _time_of(entry), str(entry.get("by")), str(entry.get("why"))


def _time_of(entry: Mapping[str, Any]) -> str:
    return str(entry.get("at"))
