"""The plan of `ready`: which of the runs that configs describe are new."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from gitorch.actions.ready_plan import AlreadyThere, Candidate, New, Plan, SameAs
from gitorch.config.pipeline import LoadedConfig
from gitorch.model.run.pin import Pin
from gitorch.model.run.spec import RunSpec, TaskSpec
from gitorch.model.run.status import Status
from gitorch.storage.new_record import Creation, RunDefinition

SPEC = RunSpec(name="e", document={}, tasks=(TaskSpec(id="t", command="true"),))
PIN = Pin(commit="c" * 40, tree="d" * 40)
CONFIG = cast(LoadedConfig, None)  # the plan does not look at the config


def candidates(*identities: str) -> list[Candidate]:
    return [
        Candidate(
            definition=RunDefinition(
                spec=SPEC,
                source="e.yaml",
                pin=PIN,
                identity=identity,
                interpreter="python",
            ),
            config=CONFIG,
        )
        for identity in identities
    ]


def creations(*run_ids: str) -> list[Creation]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [Creation(id=run_id, clone="c", by="A", at=at) for run_id in run_ids]


def test_a_candidate_without_an_equal_run_is_new() -> None:
    [one, two] = candidates("one", "two")
    [first, second] = creations("1", "2")
    plan = Plan.of([one, two], [first, second], existing={})
    assert plan.decisions == (
        New(candidate=one, creation=first),
        New(candidate=two, creation=second),
    )


def test_a_run_that_exists_is_named_with_its_status() -> None:
    [one, two] = candidates("one", "two")
    plan = Plan.of(
        [one, two], creations("1", "2"), existing={"one": ("f00", Status.HOLD)}
    )
    assert plan.decisions[0] == AlreadyThere(
        candidate=one, run_id="f00", status=Status.HOLD
    )
    assert [new.candidate for new in plan.new] == [two]


def test_equal_candidates_become_one_new_run() -> None:
    [one, other, again] = candidates("same", "other", "same")
    plan = Plan.of([one, other, again], creations("1", "2", "3"), existing={})
    assert [new.creation.id for new in plan.new] == ["1", "2"]
    assert plan.decisions[2] == SameAs(candidate=again, run_id="1")


def test_equal_candidates_whose_run_exists_are_both_already_there() -> None:
    both = candidates("same", "same")
    plan = Plan.of(
        both, creations("1", "2"), existing={"same": ("f00", Status.COMPLETE)}
    )
    assert plan.new == []
    assert {type(decision) for decision in plan.decisions} == {AlreadyThere}


def test_again_makes_every_candidate_a_new_run() -> None:
    plan = Plan.of_new_runs(candidates("same", "same"), creations("1", "2"))
    assert [new.creation.id for new in plan.new] == ["1", "2"]
