"""Whole screens of what `run` and `status --watch` show, at several sizes of the window."""

from __future__ import annotations

from typing import Any

import pytest

from gitorch.actions.failures import FailureGroup
from gitorch.actions.status import LiveRun, SiteStatus, Totals
from gitorch.cli.overview import overview_lines
from gitorch.cli.screen import Screen
from gitorch.cli.totals import about_words
from gitorch.model.estimate.estimate import Estimate
from gitorch.model.run.failures import Failure, SimilarFailures
from gitorch.model.run.outcome import ExitCode
from gitorch.model.run.progress import LastMetric, Progress
from gitorch.model.run.status import Status
from tests.live_terminal import LiveTerminal, live_terminal

KNOWN = Progress(done=312, total=1000, source="events")


def _run(number: int, **changed: Any) -> LiveRun:
    values: dict[str, Any] = {
        "id": f"{number:012x}",
        "name": "penguins",
        "label": f"penguins learningRate=0.1 seed={number}",
        "status": Status.RUNNING,
        "task": "train",
        "progress": KNOWN,
        "share": KNOWN.share,
        "metric": LastMetric("loss", 0.31234567, 311),
        "elapsed_s": 125.0,
        "eta": Estimate(250.0, 300.0, "from its own progress"),
        "why": None,
        "place": None,
    }
    return LiveRun(**{**values, **changed})


SILENT = {"progress": None, "metric": None, "share": None, "eta": None}


def _status(*runs: LiveRun) -> SiteStatus:
    totals = Totals(done=37, failed=9, running=len(runs), waiting=150)
    return SiteStatus(
        counts=dict.fromkeys(Status, 0),
        runs=runs,
        workers=(),
        eta=Estimate(245.0, 300.0),
        totals=totals,
    )


def _group(count: int, message: str, common: dict[str, Any]) -> FailureGroup:
    failures = []
    for number in range(count):
        failures.append(
            Failure(
                run_id=f"f{number:011x}",
                label="penguins",
                task="train",
                outcome=ExitCode(exit_code=1, message=message),
                location="train.py:22",
            )
        )
    similar = SimilarFailures(failures=failures, location="train.py:22")
    return FailureGroup(similar=similar, common=common, selection="--where x")


FAILURES = (
    _group(8, "ZeroDivisionError: division by zero", {"lr": 1.0, "depth": 5}),
    _group(1, "KeyError: 'x'", {}),
)


def _shown(
    terminal: LiveTerminal,
    status: SiteStatus,
    failures: tuple[FailureGroup, ...] = (),
) -> list[str]:
    with terminal.stream() as stream:
        screen = Screen(stream)
        screen.print_above("an earlier line")
        screen.draw(
            overview_lines(
                status,
                failures,
                columns=screen.size.columns,
                rows=screen.most_lines,
                colors=False,
            )
        )
    return terminal.read(0.2)


def test_a_window_of_120_columns_shows_everything() -> None:
    with live_terminal(120, 40) as terminal:
        lines = _shown(terminal, _status(_run(1), _run(12, **SILENT)), FAILURES)
    assert lines == [
        "an earlier line",
        "penguins learningRate=0.1 seed=1   train  ████░░░░░░░░░░░░  312/1000  loss=0.3123"
        "  2m05s  4m10s to 5m00s left",
        "penguins learningRate=0.1 seed=12  train" + " " * 41 + "  2m05s  – left",
        "8 runs: exit code 1: ZeroDivisionError: division by zero at train.py:22, "
        "all with lr=1.0 depth=5",
        "1 run: exit code 1: KeyError: 'x' at train.py:22",
        "37 of 198 done, 9 failed, 2 running, about 4 min of work",
    ]


def test_a_window_of_80_columns_drops_what_matters_least() -> None:
    with live_terminal(80, 24) as terminal:
        lines = _shown(terminal, _status(_run(1)), FAILURES)
    assert lines == [
        "an earlier line",
        "penguins learnin…  ████░░░░░░░░░░░░  312/1000  loss=0.3123  4m10s to 5m00s left",
        "8 runs: exit code 1: ZeroDivisionError: division by zero at train.py:22, all w…",
        "1 run: exit code 1: KeyError: 'x' at train.py:22",
        "37 of 197 done, 9 failed, 1 running, about 4 min of work",
    ]


def test_in_a_window_of_5_rows_the_totals_are_visible() -> None:
    runs = [_run(number) for number in range(9)]
    with live_terminal(80, 5) as terminal:
        lines = _shown(terminal, _status(*runs), FAILURES)
    assert lines[0] == "an earlier line"
    assert [line[:12] for line in lines[1:3]] == ["penguins lea"] * 2
    assert lines[3:] == [
        "… and 7 more running",
        "37 of 205 done, 9 failed, 9 running, about 4 min of work",
    ]


@pytest.mark.parametrize(("columns", "rows"), [(20, 1), (10, 2), (1, 1), (200, 3)])
def test_no_window_is_too_small(columns: int, rows: int) -> None:
    runs = [_run(number) for number in range(9)]
    with live_terminal(columns, rows) as terminal:
        lines = _shown(terminal, _status(*runs), FAILURES)
    assert len(lines) <= rows
    assert lines[-1].startswith("37 of 205 done"[: max(0, columns - 2)])


def test_the_block_is_redrawn_in_place_and_in_a_window_of_another_size() -> None:
    with live_terminal(80, 24) as terminal, terminal.stream() as stream:
        screen = Screen(stream)
        screen.draw(["first a", "first b", "totals 1"])
        assert terminal.read(0.2) == ["first a", "first b", "totals 1"]
        screen.draw(["second", "totals 2"])
        assert terminal.read(0.2) == ["second", "totals 2"]
        screen.print_above("printed\nprinted too")
        assert terminal.read(0.2) == [
            "printed",
            "printed too",
            "second",
            "totals 2",
        ]
        terminal.resize(40, 4)
        screen.draw(["a" * 100, "b", "c", "totals 3"])
        shown = terminal.read(0.2)
        assert shown[-3:] == ["b", "c", "totals 3"]
        assert len(shown) <= 4
        screen.draw(["totals 4"])
        screen.erase()
        assert not any("totals" in line for line in terminal.read(0.2))
        assert b"\x1b[?25l" not in terminal.raw, "the cursor is never hidden"


def test_control_characters_in_labels_do_not_reach_the_terminal() -> None:
    evil = _run(1, label="\x1b[2Jx\x07\ny", task="t\x1b]0;title\x07")
    with live_terminal(80, 24) as terminal:
        _shown(terminal, _status(evil))
        assert b"\x1b[2J" not in terminal.raw
        assert b"title" not in terminal.raw


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "about 1 s"),
        (7.4, "about 7 s"),
        (42, "about 40 s"),
        (58, "about 1 min"),
        (245, "about 4 min"),
        (3600, "about 1 h"),
        (7800, "about 2 h 10 min"),
        (40_000, "about 11 h"),
        (400_000, "about 5 days"),
    ],
)
def test_a_time_left_in_words(seconds: float, words: str) -> None:
    assert about_words(seconds) == words
