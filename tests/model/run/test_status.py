"""The status of a run follows from its tasks, and the table of transitions."""

from __future__ import annotations

import pytest

from gitorch.model.run.status import TRANSITIONS, Status, run_status, sources, verbs

W, R, C, E, H = (
    Status.WAITING,
    Status.RUNNING,
    Status.COMPLETE,
    Status.ERROR,
    Status.HOLD,
)


@pytest.mark.parametrize(
    ("tasks", "started", "expected"),
    [
        ([(W, True), (W, False)], False, W),
        ([(R, True), (W, False)], True, R),
        ([(C, True), (W, True)], True, R),
        ([(C, True), (W, True)], False, W),  # its worker is gone
        ([(C, True), (C, True)], True, C),
        ([(C, True), (E, True), (W, False)], True, E),
        ([(E, True), (W, True)], True, R),  # an independent branch goes on
        ([(E, True), (H, True)], True, E),
        ([(C, True), (H, True)], True, H),
    ],
)
def test_the_status_of_a_run(
    tasks: list[tuple[Status, bool]], started: bool, expected: Status
) -> None:
    assert run_status(tasks, started=started) is expected


def test_nothing_leads_out_of_complete() -> None:
    assert verbs(Status.COMPLETE) == ()


def test_kill_is_possible_from_every_status_but_complete() -> None:
    assert set(sources("kill")) == set(Status) - {Status.COMPLETE}


def test_no_transition_is_in_the_table_twice() -> None:
    assert len(set(TRANSITIONS)) == len(TRANSITIONS)
