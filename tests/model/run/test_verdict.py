"""The verdict on a rerun: the largest differences, and only causes that are known."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gitorch.cli.render_verdict import render_verdict
from gitorch.model.run.compare import ChangedFile, CodeDifference, compare_records
from gitorch.model.run.outcome import Succeeded
from gitorch.model.run.record import Data, Output, Record, TaskRecord
from gitorch.model.run.status import Status
from gitorch.model.run.verdict import Verdict, verdict_on
from tests.schemas.test_record_schema import NEW, PIN, attempt

ENVIRONMENT = {
    "python": "3.11.7",
    "packages": {"numpy": "1.26.0", "scipy": "1.11.0"},
    "platform": "Linux-6.1",
    "cpus": 2,
    "variables": {"OMP_NUM_THREADS": "1"},
}


def record(**changes: Any) -> Record:
    task = TaskRecord(
        id=NEW.tasks[0].id,
        status=Status.COMPLETE,
        pin=PIN,
        metrics=changes.pop("metrics", {"loss": 0.5}),
        attempts=(replace(attempt(Succeeded()), host=changes.pop("host", "lab")),),
    )
    defaults = {
        "environment": ENVIRONMENT,
        "tasks": (task, *NEW.tasks[1:]),
        "spec": replace(NEW.spec, link=()),
    }
    return replace(NEW, **{**defaults, **changes})


def verdict(
    before: Record, after: Record, lines: dict[str, ChangedFile] | None = None
) -> Verdict:
    records = [replace(before, id="a" * 12), replace(after, id="b" * 12)]
    comparison = compare_records(records, CodeDifference())
    return verdict_on(*records, comparison, lines or {})


CAUSES = {
    "environment": {
        "environment": {**ENVIRONMENT, "packages": {"numpy": "2.0.1"}},
    },
    "interpreter": {"environment": {**ENVIRONMENT, "python": "3.12.1"}},
    "machine": {"environment": {**ENVIRONMENT, "cpus": 64}},
    "data": {"data": (Data(path="data.csv", size=1, sha256="0" * 64),)},
}


@pytest.mark.parametrize("kind", CAUSES)
def test_a_cause_is_what_the_records_differ_in(kind: str) -> None:
    found = verdict(record(), record(**CAUSES[kind], metrics={"loss": 0.6}))
    assert [cause.kind for cause in found.causes] == [kind]
    assert f"  likely cause: the {kind}: " in render_verdict(found)
    assert found.to_json() == {"same": False, "differs": ["loss"], "also": [kind]}


def test_a_cause_is_told_in_words() -> None:
    changed = {**ENVIRONMENT, "packages": {"numpy": "2.0.1"}}
    found = verdict(record(), record(environment=changed))
    assert found.causes[0].words == "numpy 1.26.0 -> 2.0.1, scipy 1.11.0 -> -"
    other_host = verdict(record(), record(host="cluster"))
    assert other_host.causes[0].words == "lab -> cluster"


def test_without_a_known_cause_what_no_record_has_is_left() -> None:
    text = render_verdict(verdict(record(), record(metrics={"loss": 0.6})))
    assert text.splitlines() == [
        "bbbbbbbbbbbb repeats aaaaaaaaaaaa: 1 metric differs",
        "  loss  0.5 -> 0.6  +0.1, +20.0%",
        "  nothing else that is recorded differs: code, environment, machine, inputs",
        "  likely cause: the clock, random numbers without a seed, "
        "or the order of parallel work",
        "  all differences: gitorch compare aaaaaaaaaaaa bbbbbbbbbbbb",
    ]


def output(path: str, size: int, content: str) -> Output:
    return Output(
        path=path, size=size, sha256=content * 64, stored="git", task="prepare"
    )


def test_thousands_of_differences_are_a_few_lines_the_largest_first() -> None:
    before = [output(f"f{number}", 10, "1") for number in range(5000)]
    after = [output(f"f{number}", 10, "2") for number in range(5000)]
    before += [output("model.bin", 2048, "1"), output("gone", 100, "1")]
    after += [output("model.bin", 1024, "2"), output("new", 50, "1")]
    many = {f"m{number}": 1.0 for number in range(1000)}
    found = verdict(
        record(outputs=tuple(before), metrics={**many, "odd": None, "loss": 0.0}),
        record(
            outputs=tuple(after),
            metrics={**dict.fromkeys(many, 1.001), "m7": 3.0, "loss": 1.0},
        ),
        {"f42": ChangedFile(path="f42", status="M", added=3, deleted=2)},
    )
    assert render_verdict(found).splitlines()[:13] == [
        "bbbbbbbbbbbb repeats aaaaaaaaaaaa: 1002 metrics and 5003 outputs differ",
        "  odd        - -> -",
        "  loss       0 -> 1  +1",
        "  m7         1 -> 3  +2, +200.0%",
        "  m0         1 -> 1.001  +0.001, +0.1%",
        "  m1         1 -> 1.001  +0.001, +0.1%",
        "  and 997 more metrics, which differ less",
        "  model.bin  2.0 KiB -> 1.0 KiB",
        "  gone       missing, it had 100 B",
        "  new        new, 50 B",
        "  f42        10 B, other content, lines +3 -2",
        "  f0         10 B, other content",
        "  and 4998 more outputs, which differ less",
    ]
    assert len(render_verdict(found, in_full=False).splitlines()) == 3


def test_without_metrics_and_outputs_nothing_is_claimed() -> None:
    text = render_verdict(verdict(record(metrics={}), record(metrics={})))
    assert text == (
        "bbbbbbbbbbbb repeats aaaaaaaaaaaa: "
        "nothing to compare, since it has no metrics and no outputs"
    )
