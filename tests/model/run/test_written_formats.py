"""The JSON on the results branch and in queue.db: old files are read, and written unchanged.

`written/` holds files of gitorch 0.1 from before values wrote themselves: records of a reused, a
failed and a held run, a record with a file name that is not UTF-8, an attempt.json, the payload of
a run in the queue, and a status.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gitorch.engines.contract import Ended
from gitorch.model.run.payload import Payload
from gitorch.model.run.record import Attempt, Record, RecordBroken
from gitorch.tools.readable_json import render_json

WRITTEN = Path(__file__).parent / "written"
RECORDS = sorted(
    [*WRITTEN.glob("record-*.json"), WRITTEN.parent / "record-before-sweeps.json"]
)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_is_written_as_it_was_read(path: Path) -> None:
    before = path.read_bytes()
    assert render_json(Record.from_json(json.loads(before)).to_json()) == before


def test_an_attempt_is_written_as_it_was_read() -> None:
    """The worker adds `result` and `metrics`, which are not fields of an attempt."""
    before = (WRITTEN / "attempt-exit-code.json").read_bytes()
    value = json.loads(before)
    attempt = Attempt.from_json(value).to_json()
    added = {"result": value["result"], "metrics": value["metrics"]}
    assert render_json({**attempt, **added}) == before


def test_a_payload_is_written_as_it_was_read() -> None:
    before = (WRITTEN / "payload.json").read_text()
    assert json.dumps(Payload.from_json(json.loads(before)).to_json()) == before


def test_the_end_that_a_slot_recorded_is_written_as_it_was_read() -> None:
    before = (WRITTEN / "status.json").read_text()
    assert json.dumps(Ended.from_json(json.loads(before)).to_json()) == before


def record() -> Any:
    return json.loads((WRITTEN / "record-reused.json").read_bytes())


def test_a_field_that_was_added_later_is_ignored() -> None:
    later = record()
    later["mood"] = later["pin"]["mood"] = later["tasks"][1]["attempts"][0][
        "mood"
    ] = "good"
    assert Record.from_json(later) == Record.from_json(record())


def test_a_value_of_the_wrong_type_is_refused_with_its_path() -> None:
    broken = record()
    broken["tasks"][1]["attempts"][0]["duration_s"] = "long"
    path = "Expected `float`, got `str` - at `$.tasks[1].attempts[0].duration_s`"
    with pytest.raises(RecordBroken) as refused:
        Record.from_json(broken)
    assert (
        refused.value.message
        == f"the record of run 31c968f1a436 cannot be read: {path}"
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            {"pin": {"tree": "d"}},
            "Object missing required field `commit` - at `$.pin`",
        ),
        ({"status": "DONE"}, "Invalid enum value 'DONE' - at `$.status`"),
        ({"tasks": []}, "Expected the tasks of `$.spec.tasks` - at `$.tasks`"),
    ],
    ids=["missing", "unknown", "tasks"],
)
def test_what_no_version_wrote_is_refused(
    change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(RecordBroken, match="cannot be read") as refused:
        Record.from_json({**record(), **change})
    assert refused.value.message.endswith(complaint)


def test_a_record_that_is_not_an_object_is_refused() -> None:
    with pytest.raises(RecordBroken, match="Expected `object`, got `array`"):
        Record.from_json([])
