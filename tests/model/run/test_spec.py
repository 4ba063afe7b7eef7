"""Specs: how they are read, written, compared, and ordered by their needs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gitorch.model.run.compare import CodeDifference, compare_records
from gitorch.model.run.identity import run_identity
from gitorch.model.run.outcome_kind import OutcomeKind
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Data, Record
from gitorch.model.run.spec import Resources, Retries, RunSpec, TaskSpec
from gitorch.model.run.status import Status

TASK = TaskSpec(id="train", method="Train", params={"priority": 3})
SCHEDULED = replace(
    TASK,
    timeout_s=5400.0,
    retries=Retries(max=2, on=(OutcomeKind.TIMEOUT,), backoff_s=30.0),
    priority=-1,
    resources=Resources(cpus=0.5, gpus=1, memory_bytes=8 << 30),
)


def spec(task: TaskSpec) -> RunSpec:
    return RunSpec(name="whales", document={"tasks": [], "seed": 1}, tasks=(task,))


def record(task: TaskSpec) -> Record:
    return Record(
        id="0123456789ab",
        spec=spec(task),
        status=Status.WAITING,
        clone="c1",
        source="whales.yaml",
        pin=Pin(commit="c" * 40, tree="d" * 40),
        identity="1",
        interpreter="python3",
        output_name=None,
        created="2026-01-01T00:00:00.000Z",
        tasks=(),
        history=(),
    )


@pytest.mark.parametrize("task", [TASK, SCHEDULED])
def test_a_task_is_read_back_as_it_was_written(task: TaskSpec) -> None:
    assert (
        TaskSpec.from_json(json.loads(json.dumps(task.to_json(), allow_nan=False)))
        == task
    )


def test_a_task_from_before_there_was_scheduling_is_read() -> None:
    written: dict[str, Any] = {
        "id": "train",
        "method": "Train",
        "command": None,
        "needs": [],
        "params": {"priority": 3},
    }
    assert TaskSpec.from_json({**written, "outputs": [], "metrics": []}) == TASK


def test_whole_numbers_are_read_as_floats_where_a_float_is_meant() -> None:
    written = {
        **SCHEDULED.to_json(),
        "timeout_s": 5400,
        "resources": {"cpus": 2, "gpus": 0, "memory_bytes": 0},
    }
    task = TaskSpec.from_json(written)
    assert (repr(task.timeout_s), repr(task.resources.cpus)) == ("5400.0", "2.0")


def test_scheduling_does_not_make_another_run() -> None:
    # The identity from before there was scheduling, by which recorded runs must still be found.
    before = "f0491d77582b539213170e4a7510c09cd86f562783938bc6c9d788859071fdf0"
    assert (
        run_identity(spec(TASK), "code")
        == run_identity(spec(SCHEDULED), "code")
        == before
    )
    assert run_identity(spec(TASK), "code") != run_identity(
        spec(replace(TASK, params={"priority": 4})), "code"
    )


def test_other_data_makes_another_run() -> None:
    data = Data(path="data/x.csv", size=1, sha256="a" * 64)
    seen = {
        run_identity(spec(TASK), "code", read)
        for read in ((), (data,), (replace(data, sha256="b" * 64),))
    }
    assert len(seen) == 3
    assert run_identity(spec(TASK), "code", ()) == run_identity(spec(TASK), "code")


def test_data_is_compared_by_path_and_content() -> None:
    sides = [("a" * 64, "c" * 64), ("b" * 64, "c" * 64)]
    records = [
        replace(
            record(TASK),
            data=(
                Data(path="x.csv", size=1, sha256=first),
                Data(path="same.csv", size=1, sha256=second),
            ),
        )
        for first, second in sides
    ]
    compared = compare_records(records, CodeDifference())
    assert compared.data.changed == {"x.csv": ("a" * 64, "b" * 64)}


def test_scheduling_is_part_of_the_compared_config() -> None:
    config = compare_records(
        [record(TASK), record(SCHEDULED)], CodeDifference()
    ).config
    assert [
        (key.removeprefix("tasks.train.gitorch."), *values)
        for key, values in config.changed.items()
    ] == [
        ("priority", 0, -1),
        ("resources.cpus", 0.0, 0.5),
        ("resources.gpus", 0, 1),
        ("resources.memory_bytes", 0, 8 << 30),
        ("timeout_s", None, 5400.0),
        ("retries.max", None, 2),
        ("retries.on", None, ["timeout"]),
        ("retries.backoff_s", None, 30.0),
    ]


def test_the_tasks_that_may_run_beside_one() -> None:
    needs = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ()}
    tasks = tuple(
        TaskSpec(id=name, command="true", needs=needed)
        for name, needed in needs.items()
    )
    spec = RunSpec(name="e", document={}, tasks=tasks)
    beside = {
        task.id: "".join(other.id for other in spec.beside(task)) for task in tasks
    }
    assert beside == {"a": "e", "b": "ce", "c": "be", "d": "e", "e": "abcd"}


def test_a_task_with_its_dependents() -> None:
    needs = {
        "a": (),
        "b": ("a",),
        "c": ("b",),
        "d": ("a",),
        "e": ("c", "d"),
        "f": (),
    }
    tasks = tuple(
        TaskSpec(id=name, command="true", needs=needed)
        for name, needed in needs.items()
    )
    spec = RunSpec(name="n", document={}, tasks=tasks)
    found = {name: "".join(sorted(spec.with_dependents(name))) for name in needs}
    assert found == {
        "a": "abcde",
        "b": "bce",
        "c": "ce",
        "d": "de",
        "e": "e",
        "f": "f",
    }
