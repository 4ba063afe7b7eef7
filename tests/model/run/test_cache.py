"""The cache key: what changes it, why it differs, and records after reuse."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gitorch.model.run.cache import (
    dependencies,
    digest_of,
    outputs_of,
    what_differs,
)
from gitorch.model.run.outcome import ExitCode
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import (
    Attempt,
    CacheEntry,
    CacheSource,
    Change,
    Data,
    Output,
    Record,
    TaskRecord,
)
from gitorch.model.run.record_changes import (
    AttemptResult,
    Reuse,
    after_attempt,
    after_reuse,
)
from gitorch.model.run.spec import Cache, Resources, Retries, RunSpec, TaskSpec
from gitorch.model.run.status import Status

PIN = Pin(commit="c" * 40, tree="d" * 40)
PREPARE = TaskSpec(id="prepare", method="Prepare")
TRAIN = TaskSpec(
    id="train",
    command="train --rate {rate}",
    needs=("prepare",),
    cache=Cache(params=("seed",)),
)
LATER = TaskSpec(id="later", command="true", needs=("train",))
DOCUMENT = {
    "seed": 1,
    "rate": 0.1,
    "model": {"depth": 2},
    "githubRepository": "x",
    "outputDir": "a",
    "tasks": [],
}


def output(path: str, task: str, sha256: str = "e" * 64, **values: Any) -> Output:
    return Output(
        path=path, size=1, sha256=sha256, stored="git", task=task, **values
    )


def record(
    train: TaskSpec = TRAIN,
    *,
    document: dict[str, Any] | None = None,
    **values: Any,
) -> Record:
    spec = RunSpec(
        name="whales",
        document={**DOCUMENT, **(document or {})},
        tasks=(PREPARE, train, LATER),
    )
    made = Record(
        id="0123456789ab",
        spec=spec,
        status=Status.WAITING,
        clone="c1",
        source="experiments/whales.yaml",
        pin=PIN,
        identity="1",
        interpreter="/usr/bin/python3",
        output_name=None,
        created="2026-01-01T00:00:00.000000Z",
        tasks=tuple(
            TaskRecord(id=task.id, status=Status.WAITING, pin=PIN)
            for task in spec.tasks
        ),
        outputs=(output("data.csv", "prepare"), output("old.csv", "prepare")),
        history=(
            Change(
                at="2026-01-01T00:00:00.000000Z",
                source=None,
                target=Status.WAITING,
                by="A",
            ),
        ),
    )
    return replace(made, **values)


def key(record: Record, code: str = "code") -> str | None:
    depends = dependencies(record, record.spec.tasks[1], code)
    return depends and depends.key


KEY = key(record())


@pytest.mark.parametrize(
    "other",
    [
        record(document={"seed": 2}),
        record(document={"seed": 1.0}),
        record(document={"seed": True}),
        record(replace(TRAIN, params={"seed": 3})),
        record(document={"rate": 0.2}),  # not named, but in the command
        record(replace(TRAIN, command="train --rate {rate} --fast")),
        record(replace(TRAIN, command=None, method="Train")),
        record(replace(TRAIN, outputs=("*.png",))),
        record(replace(TRAIN, metrics=("scores.json",))),
        record(replace(TRAIN, discard=("*.ckpt",))),
        record(
            outputs=(
                output("data.csv", "prepare", "f" * 64),
                output("old.csv", "prepare"),
            )
        ),
        record(
            outputs=(
                output("data.csv", "prepare", octal_mode="100755"),
                output("old.csv", "prepare"),
            )
        ),
        record(outputs=(output("data.csv", "prepare"),)),
        replace(
            record(), spec=replace(record().spec, env={"OMP_NUM_THREADS": "1"})
        ),
        replace(record(), spec=replace(record().spec, path_to_tasks="src")),
    ],
)
def test_changes_that_make_another_key(other: Record) -> None:
    assert key(other) != KEY


@pytest.mark.parametrize(
    "other",
    [
        record(id="ffffffffffff", clone="c2", priority=3),
        record(
            document={
                "model": {"depth": 3},
                "outputDir": "b",
                "githubRepository": "y",
                "new": 1,
            }
        ),
        record(replace(TRAIN, params={"other": 3})),
        record(replace(TRAIN, id="fit")),
        record(
            replace(
                TRAIN,
                timeout_s=3,
                retries=Retries(max=2),
                priority=1,
                resources=Resources(cpus=2),
            )
        ),
        record(
            outputs=(
                *record().outputs,
                output("own.txt", "train"),
                output("later.txt", "later"),
            )
        ),
        record(outputs=record().outputs[::-1]),
        replace(
            record(),
            spec=replace(
                record().spec, name="dolphins", swept=("rate",), link=("data",)
            ),
        ),
    ],
)
def test_changes_that_keep_the_key(other: Record) -> None:
    assert key(other) == KEY


def test_the_code_is_part_of_the_key() -> None:
    assert key(record(), "other code") != KEY


def test_by_default_all_parameters_count_but_not_gitorchs_own_keys() -> None:
    everything = replace(TRAIN, command=None, method="Train", cache=Cache())
    assert key(record(everything, document={"model": {"depth": 3}})) != key(
        record(everything)
    )
    assert key(
        record(everything, document={"outputDir": "b", "githubRepository": "y"})
    ) == key(record(everything))


def test_a_dotted_name_counts_alone() -> None:
    deep = replace(TRAIN, cache=Cache(params=("model.depth",)))
    wide = key(record(deep, document={"model": {"depth": 2, "width": 9}}))
    assert (
        key(record(deep, document={"model": {"depth": 3}}))
        != key(record(deep))
        == wide
    )


def test_inputs_count_by_digest_and_an_unknown_input_has_no_key() -> None:
    reading = replace(
        TRAIN,
        inputs=("a.csv", "c"),
        cache=Cache(params=("seed",), inputs=("b/*", "/d/*.csv")),
    )
    data = (
        Data(path="a.csv", size=1, sha256="1" * 64),
        Data(path="b/*", size=1, sha256="2" * 64, files=3000),
        Data(path="c/1.csv", size=1, sha256="3" * 64),
        Data(path="/d/1.csv", size=1, sha256="4" * 64),
    )
    unrelated = Data(path="e.csv", size=1, sha256="5" * 64)
    known = key(record(reading, data=data))
    assert key(record(reading, data=(*data, unrelated))) == known != KEY
    for changed in range(len(data)):
        others = tuple(
            replace(entry, sha256="6" * 64) if n == changed else entry
            for n, entry in enumerate(data)
        )
        assert key(record(reading, data=others)) != known
        assert (
            key(
                record(
                    reading,
                    data=tuple(
                        entry for n, entry in enumerate(data) if n != changed
                    ),
                )
            )
            is None
        )


def complete(run: Record, **values: Any) -> Record:
    entry = CacheEntry(
        key=str(key(run)), code="code", before=digest_of(run.outputs), produced="p"
    )
    done = replace(
        run.tasks[1], status=Status.COMPLETE, cache=replace(entry, **values)
    )
    return replace(run, tasks=(run.tasks[0], done, run.tasks[2]))


def test_the_reasons_why_a_key_differs() -> None:
    before = complete(record())
    assert what_differs(complete(record()), before, "train") == {}
    other = record(
        replace(TRAIN, command="fit --rate {rate}"),
        document={"seed": 2, "model": {"depth": 3}},
        outputs=(output("data.csv", "prepare", "f" * 64),),
    )
    assert what_differs(complete(other, code="new"), before, "train") == {
        "task": ["command"],
        "params": ["seed 1 -> 2"],
        "code": [],
        "before": ["prepare"],
    }


def ended(**values: Any) -> AttemptResult:
    attempt = Attempt(
        number=1,
        token="t",
        started="2026-01-01T00:00:01.000Z",
        ended="2026-01-01T00:00:03.000Z",
        duration_s=2.0,
        host="host",
        outcome=ExitCode(exit_code=1),
        pin=PIN,
    )
    outputs = (*record().outputs, output("model.part", "train"))
    collected = AttemptResult(
        task="train",
        status=Status.WAITING,
        attempt=attempt,
        result=None,
        metrics={},
        outputs=outputs,
        environment={},
    )
    return replace(collected, **values)


REUSE = Reuse(
    task="train",
    pin=PIN,
    at="2026-01-02T00:00:00.000Z",
    result=[1],
    metrics={"loss": 0.5},
    outputs=(output("model.txt", "fit"), output("data.csv", "fit", "f" * 64)),
    discarded=(),
    environment={"python": "3.11"},
    cache=CacheEntry(
        key="k",
        code="c",
        before="b",
        produced="p",
        removed=("old.csv",),
        source=CacheSource("ffffffffffff", "fit"),
    ),
)


def test_reused_results_belong_to_the_task_as_if_it_had_run() -> None:
    after = after_reuse(after_attempt(record(), ended(), by="w"), REUSE, by="w")
    task = after.task("train")
    assert (task.status, task.result, task.metrics, task.cache) == (
        Status.COMPLETE,
        [1],
        {"loss": 0.5},
        REUSE.cache,
    )
    assert task.attempt_count == 1, "the failed attempt; none was added"
    assert {
        known.path: (known.task, known.sha256[0]) for known in after.outputs
    } == {
        "model.txt": ("train", "e"),
        "data.csv": ("train", "f"),
    }, "without what the failed attempt left, and what the task would have removed"
    assert digest_of(outputs_of(after, "train")) == digest_of(REUSE.outputs)
    assert after.environment == {"python": "3.11"}
    assert after_reuse(after, REUSE, by="w") == after


def test_a_run_of_reused_results_alone_is_complete() -> None:
    run = record()
    for task in ("prepare", "train", "later"):
        run = after_reuse(run, replace(REUSE, task=task), by="w")
    assert (run.status, run.started, run.ended, run.duration_s) == (
        Status.COMPLETE,
        REUSE.at,
        REUSE.at,
        None,
    )
    assert [change.target for change in run.history] == [
        Status.WAITING,
        Status.RUNNING,
        Status.COMPLETE,
    ]


def test_each_attempt_records_the_key_of_everything_computed_so_far() -> None:
    entry = CacheEntry(key="k", code="c", before="b", produced="p")
    failed = after_attempt(record(), ended(cache=entry), by="w")
    assert failed.task("train").cache == entry
    again = ended(status=Status.COMPLETE)
    again = replace(again, attempt=replace(again.attempt, number=2, token="u"))
    assert after_attempt(failed, again, by="w").task("train").cache is None
