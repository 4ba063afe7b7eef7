"""The lines that `run` prints about its work."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from gitorch.cli.announcements import Announcements
from gitorch.model.run.announcement import (
    Announcement,
    AttemptEnded,
    AttemptStarted,
    Noticed,
    TaskReused,
)
from gitorch.model.run.outcome import ExitCode, Lost, Succeeded
from gitorch.model.run.pin import Origin, Pin
from gitorch.model.run.record import Attempt
from gitorch.model.run.status import Status

STARTED = AttemptStarted(
    run_id="0123456789ab",
    label="a lr=1",
    task="train",
    number=1,
    events=Path("events"),
)
ATTEMPT = Attempt(
    number=1,
    token="token",
    started="2026-01-02T03:04:05Z",
    ended="2026-01-02T03:08:05Z",
    duration_s=239.7,
    host="host",
    outcome=Succeeded(),
    pin=Pin(commit="c" * 40, tree="7" * 40, origin=Origin.HEAD),
)
COMPLETE = AttemptEnded(
    run_id="0123456789ab",
    label="a lr=1",
    task="train",
    attempt=ATTEMPT,
    status=Status.COMPLETE,
    run_status=Status.COMPLETE,
)


def lines_of(announcement: Announcement) -> list[str]:
    return Announcements(colors=False).render(announcement).splitlines()


def test_a_start_names_the_attempt_from_the_second_on() -> None:
    assert lines_of(STARTED) == ["0123456789ab  a lr=1: train started"]
    assert lines_of(replace(STARTED, number=2)) == [
        "0123456789ab  a lr=1: train started (attempt 2)"
    ]


def test_a_success_is_one_line() -> None:
    assert lines_of(COMPLETE) == ["0123456789ab  a lr=1: train COMPLETE in 4m00s"]


def test_a_failure_says_why_and_what_to_do() -> None:
    failed = replace(
        COMPLETE,
        status=Status.ERROR,
        run_status=Status.ERROR,
        attempt=replace(
            ATTEMPT,
            outcome=ExitCode(exit_code=1, message="ValueError: \x1b[31mbad"),
            duration_s=1.0,
            location="Tasks.py:7",
        ),
        tail=("reading", "Traceback"),
    )
    assert lines_of(failed) == [
        "0123456789ab  a lr=1: train ERROR in 1.0s",
        "  exit code 1: ValueError: bad at Tasks.py:7",
        "  | reading",
        "  | Traceback",
        "  whole log:  gitorch logs 0123456789ab --task train",
        "  try again:  gitorch retry 0123456789ab && gitorch run",
        "  with a fix: gitorch retry 0123456789ab --at HEAD && gitorch run",
    ]


def test_of_similar_failures_only_the_first_is_told_in_full() -> None:
    lines = Announcements(colors=False)
    told = []
    for run_id, message, task in (
        ("0123456789ab", "KeyError: 'a' at 1", "train"),
        ("ba9876543210", "KeyError: 'a' at 2", "train"),
        ("cccc76543210", "KeyError: 'b' at 2", "train"),
        ("dddd76543210", "KeyError: 'b' at 2", "test"),
    ):
        outcome = ExitCode(exit_code=1, message=message)
        failed = replace(
            COMPLETE,
            run_id=run_id,
            task=task,
            status=Status.ERROR,
            run_status=Status.ERROR,
            attempt=replace(ATTEMPT, outcome=outcome),
            tail=("reading",),
        )
        told.append(lines.render(failed).splitlines())
    assert [len(block) for block in told] == [6, 2, 6, 6]
    assert told[1] == [
        "ba9876543210  a lr=1: train ERROR in 4m00s",
        "  exit code 1: KeyError: 'a' at 2, as 0123456789ab",
    ]


def test_a_task_that_waits_again_was_returned_to_the_queue() -> None:
    attempt = replace(ATTEMPT, outcome=Lost(message="its worker died"))
    lost = replace(COMPLETE, status=Status.WAITING, attempt=attempt)
    assert lines_of(lost) == [
        "0123456789ab  a lr=1: train returned to the queue (lost: its worker died)"
    ]


def test_a_reused_task_names_the_run_that_computed_it() -> None:
    reused = TaskReused(
        run_id="0123456789ab",
        label="a lr=1",
        task="train",
        source="ba9876543210",
        run_status=Status.COMPLETE,
    )
    assert lines_of(reused) == [
        "0123456789ab  a lr=1: train COMPLETE from run ba9876543210"
    ]


def test_a_notice_controls_no_terminal() -> None:
    assert lines_of(Noticed(message="removed\x1b[2J it")) == ["removed it"]
