"""schemas/record.schema.json describes exactly what `Record` writes."""

from __future__ import annotations

import importlib.resources
import json
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from gitorch.model.run.labels import Invalidation, RecordedVerdict, Undone
from gitorch.model.run.outcome import (
    CouldNotStart,
    ExitCode,
    Interrupted,
    Killed,
    Lost,
    Outcome,
    OutOfMemory,
    Signalled,
    Succeeded,
    TimedOut,
)
from gitorch.model.run.pin import Origin, Pin
from gitorch.model.run.record import (
    Attempt,
    CacheEntry,
    CacheSource,
    Change,
    Data,
    Discarded,
    Output,
    Record,
    TaskRecord,
)
from gitorch.model.run.spec import Cache, MetricSource, RunSpec, TaskSpec
from gitorch.model.run.status import Status

SCHEMA = json.loads(
    (
        importlib.resources.files("gitorch.schemas") / "record.schema.json"
    ).read_text()
)
NOON = "2026-01-02T12:00:00.000Z"
PIN = Pin(commit="c" * 40, tree="d" * 40)

PREPARE = TaskSpec(
    id="prepare", method="Prepare", params={"share": 0.3}, metrics=("scores.json",)
)
SORT = TaskSpec(
    id="sort",
    command=("sort", "{file}"),
    needs=("prepare",),
    outputs=("*.txt",),
    inputs=("data/*",),
    discard=("*.ckpt",),
    cache=Cache(params=("file",)),
    metric_sources=(MetricSource(kind="csv", pattern="*.csv", step="epoch"),),
)

NEW = Record(
    id="3f2a9c04b7d1",
    spec=RunSpec(
        name="penguins",
        document={"outputDir": "penguins/{date}", "rate": 0.1, "tasks": []},
        tasks=(PREPARE, SORT),
        swept=("rate",),
        path_to_tasks="demo",
        output_dir="penguins/{date}",
        link=("data",),
        env={"OMP_NUM_THREADS": "1"},
        python=".venv/bin/python",
        code=("src",),
        environment=("Rscript --version",),
    ),
    status=Status.WAITING,
    clone="0a1b2c3d4e5f",
    source="experiments/penguins.yaml",
    pin=PIN,
    identity="e" * 64,
    interpreter="/usr/bin/python3",
    output_name="penguins/2026-01-02",
    created=NOON,
    discarded=(Discarded(glob="*.ckpt", files=2, size=10, task="sort"),),
    data=(Data(path="data/*", size=9, sha256="a" * 64, files=2),),
    overrides=("rate=0.1",),
    bases=("experiments/_base.yaml",),
    tasks=tuple(
        TaskRecord(id=spec.id, status=Status.WAITING, pin=PIN)
        for spec in (PREPARE, SORT)
    ),
    history=(Change(at=NOON, source=None, target=Status.WAITING, by="ada"),),
)


def attempt(outcome: Outcome) -> Attempt:
    return Attempt(
        number=2,
        token="5f0e",
        started=NOON,
        ended="2026-01-02T12:00:01.500Z",
        duration_s=1.5,
        host="lab",
        outcome=outcome,
        pin=replace(PIN, origin=Origin.SNAPSHOT),
        left_running=1,
        modified=("Tasks.py",),
        notes=("fifo: not a file",),
        environment_sha256="b" * 64,
    )


def finished(outcome: Outcome) -> Record:
    """Return NEW with everything that a run can gather. Its last attempt ends in `outcome`."""
    done = TaskRecord(
        id=PREPARE.id,
        status=Status.COMPLETE,
        pin=PIN,
        result={"rows": 342},
        metrics={"rows": 342, "loss": None},
        attempt_count=2,
        attempts=(attempt(outcome),),
        cache=CacheEntry(
            key="1" * 64, code="2" * 64, before="3" * 64, produced="4" * 64
        ),
    )
    given = CacheEntry(
        key="1" * 64,
        code="2" * 64,
        before="3" * 64,
        produced="4" * 64,
        removed=("old.txt",),
        source=CacheSource(run="0123456789ab", task="sort"),
    )
    return replace(
        NEW,
        status=Status.RUNNING,
        tasks=(done, replace(NEW.tasks[1], status=Status.COMPLETE, cache=given)),
        started=NOON,
        ended=NOON,
        rerun_of="0123456789ab",
        outputs=(
            Output(
                path="model.bin",
                size=2 << 30,
                sha256="f" * 64,
                stored="lfs",
                task="prepare",
            ),
            Output(
                path="latest",
                size=9,
                sha256="f" * 64,
                stored="git",
                task="prepare",
                octal_mode="120000",
            ),
        ),
        environment={"python": "3.11.7"},
        environment_sha256="b" * 64,
        verdicts=(
            RecordedVerdict(
                id="0123456789ab",
                of="3f2a9c04b7d1",
                verdict="differs",
                at=NOON,
                by="ada",
                differs=2,
                also=("environment",),
            ),
        ),
        invalidations=(
            Invalidation(at=NOON, by="ada", why="wrong labels"),
            Invalidation(
                at=NOON,
                by="ada",
                why="a typo",
                undone=Undone(at=NOON, by="ada", why="it was right"),
            ),
        ),
        history=(
            *NEW.history,
            Change(
                at=NOON, source=Status.WAITING, target=None, by="ada", why="no use"
            ),
        ),
    )


def closed(schema: Any) -> Any:
    """Return `schema` such that it refuses every property that it does not describe."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    return (
        {"additionalProperties": False, **inner}
        if "properties" in schema and "type" in schema
        else inner
    )


OUTCOMES = [
    ExitCode(exit_code=1, message="KeyError: 'rate'"),
    Signalled(signal=9),
    Succeeded(),
    TimedOut(message="after 1 s"),
    OutOfMemory(),
    CouldNotStart(message="no such program"),
    Lost(),
    Interrupted(),
    Killed(),
]


@pytest.mark.parametrize(
    "record",
    [NEW, *map(finished, OUTCOMES)],
    ids=["new", *(str(o.kind) for o in OUTCOMES)],
)
def test_every_record_is_described_in_full(record: Record) -> None:
    written = as_json(record)
    jsonschema.Draft7Validator(closed(SCHEMA)).validate(written)
    assert Record.from_json(written) == record


def test_the_schema_itself_is_valid() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_every_property_that_a_record_writes_is_required() -> None:
    since_later = {
        "discarded": (),
        "data": (),
        "overrides": (),
        "bases": (),
        "verdicts": (),
        "invalidations": (),
    }  # written where there is something
    written = as_json(replace(NEW, **since_later))
    assert sorted(SCHEMA["required"]) == sorted(written)
    for key in written:
        assert not is_valid(
            {name: value for name, value in written.items() if name != key}
        ), key


def test_a_field_that_was_added_later_is_accepted() -> None:
    assert is_valid({**as_json(NEW), "mood": "good"})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "gitorch/record/v2"),
        (("id",), "3F2A9C04B7D1"),
        (("status",), "DONE"),
        (("created",), "2026-01-02 12:00"),
        (("pin", "commit"), "c" * 7),
        (("rerun_of",), "penguins"),
        (("metrics",), {"loss": "NaN"}),
        (("tasks",), []),
        (("tasks", 0, "attempts", 0, "number"), 0),
        (("tasks", 0, "attempts", 0, "outcome"), {"kind": "exit-code"}),
        (("outputs", 0, "stored"), "s3"),
        (("outputs", 0, "size"), -1),
        (("spec", "tasks", 0, "command"), []),
        (("history", 0, "to"), "DONE"),
    ],
    ids=str,
)
def test_a_value_that_no_record_has_is_refused(
    path: tuple[str | int, ...], value: object
) -> None:
    written = as_json(finished(Succeeded()))
    assert is_valid(written)
    place = written
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not is_valid(written)


def as_json(record: Record) -> Any:
    return json.loads(json.dumps(record.to_json()))


def is_valid(written: Any) -> bool:
    return bool(jsonschema.Draft7Validator(SCHEMA).is_valid(written))
