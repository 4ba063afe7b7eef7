"""The verdict on a rerun: the largest differences, and only causes that are known."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gitorch.cli.render_verdict import render_verdict
from gitorch.model.run.by_value import ByValue, DifferingPlace, Evidence
from gitorch.model.run.compare import ChangedFile, CodeDifference, compare_records
from gitorch.model.run.outcome import ExitCode, Succeeded
from gitorch.model.run.record import Data, Output, Record, TaskRecord
from gitorch.model.run.status import Status
from gitorch.model.run.tolerance import Tolerance, parse_tolerance
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


def verdict(before: Record, after: Record, **evidence: Any) -> Verdict:
    """Return the verdict, as if no value was within the tolerance."""
    records = [replace(before, id="a" * 12), replace(after, id="b" * 12)]
    comparison = compare_records(records, CodeDifference())
    beyond = [DifferingPlace(at=name) for name in comparison.metrics.changed]
    metrics = ByValue(count=len(beyond), beyond=tuple(beyond))
    found = Evidence(**{"metrics": metrics, **evidence})
    return verdict_on(records[0], records[1], comparison, found, Tolerance())


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
    document = found.to_json()
    assert (document["verdict"], document["differs"], document["also"]) == (
        "differs",
        ["loss"],
        [kind],
    )


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
        lines={"f42": ChangedFile(path="f42", status="M", added=3, deleted=2)},
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


def test_what_is_within_the_tolerance_is_told_by_how_much() -> None:
    close = ByValue(
        within=2, largest_absolute=2e-7, largest_relative=4e-7, largest_at="[1]"
    )
    before = record(outputs=(output("a.npy", 90, "1"), output("b.json", 9, "1")))
    after = record(
        outputs=(output("a.npy", 90, "2"), output("b.json", 9, "2")),
        environment=CAUSES["environment"]["environment"],
    )
    found = verdict(before, after, outputs={"a.npy": close, "b.json": ByValue()})
    assert render_verdict(found).splitlines() == [
        "bbbbbbbbbbbb repeats aaaaaaaaaaaa: within tolerance (rel=1e-06,abs=1e-12)",
        "  a.npy: 2 numbers by up to 2e-07 (relative 4e-07), the largest at [1]",
        "  other bytes, but the same values: b.json",
        "  also differs: the environment: numpy 1.26.0 -> 2.0.1, scipy 1.11.0 -> -",
    ]
    document = found.to_json()
    assert (document["verdict"], document["differs"]) == ("within-tolerance", [])
    assert document["within"]["a.npy"]["largest_relative"] == 4e-7


def test_it_is_told_where_values_differ_first() -> None:
    place = DifferingPlace(at="line 3", before="seed 1", after="seed 2")
    differing = ByValue(count=4, beyond=(place,))
    before = record(outputs=(output("a.json", 9, "1"), output("big.npz", 9, "1")))
    after = record(outputs=(output("a.json", 9, "2"), output("big.npz", 9, "2")))
    found = verdict(
        before,
        after,
        outputs={"a.json": differing, "big.npz": ByValue(note="not here")},
        logs={"prepare": differing},
    )
    assert render_verdict(found).splitlines()[:4] == [
        "bbbbbbbbbbbb repeats aaaaaaaaaaaa: 2 outputs and 1 log differ",
        "  a.json          9 B, other content, first at line 3: seed 1 -> seed 2",
        "  big.npz         9 B, other content (not compared by value: not here)",
        "  log of prepare  at line 3: seed 1 -> seed 2, and 3 more places",
    ]
    assert found.differs == ["a.json", "big.npz", "log of prepare"]


def test_another_exit_code_is_a_difference() -> None:
    after = record()
    failed = replace(after.tasks[0].attempts[0], outcome=ExitCode(exit_code=3))
    task = replace(after.tasks[0], attempts=(failed,))
    found = verdict(record(), replace(after, tasks=(task, *after.tasks[1:])))
    assert found.differs == [f"exit code of {task.id}"]


def test_a_tolerance_is_written_as_it_is_shown() -> None:
    assert parse_tolerance("rel=1e-3, abs=2") == Tolerance(1e-3, 2.0)
    assert parse_tolerance("abs=2") == Tolerance(0.0, 2.0)
    assert parse_tolerance("0") == Tolerance(0.0, 0.0)
    assert parse_tolerance(str(Tolerance())) == Tolerance()
    for wrong in ("", "1e-3", "rel=-1", "rel=nan", "rel=1,rel=2", "abs=inf"):
        with pytest.raises(ValueError, match=r"neither|not a number|twice"):
            parse_tolerance(wrong)
