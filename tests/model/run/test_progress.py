"""The progress of a running task, from what it reports and from the bars in its log."""

from __future__ import annotations

import pytest

from gitorch.model.estimate.pace import ProgressPoint
from gitorch.model.run.progress import (
    LastMetric,
    Progress,
    first_step_of,
    from_bar,
    from_steps,
    reports_of,
)
from gitorch.model.run.progress_bar import Bar, ShownProgress, shown_progress

STARTED_S = 1000.0


@pytest.mark.parametrize(
    ("events", "progress"),
    [
        ([{"progress": [1, 4]}, {"progress": [2, 4]}], (2, 4)),
        (
            [
                {"progress": [1, 4]},
                {"progress": [1, 0]},
                {"progress": "half"},
                {"progress": [1]},
                "text",
                None,
            ],
            (1, 4),
        ),
        ([], None),
    ],
)
def test_the_newest_valid_progress(
    events: list[object], progress: tuple[float, float] | None
) -> None:
    reported = reports_of(events, [], STARTED_S).progress
    assert (reported and (reported.done, reported.total)) == progress


def test_reports_with_times_are_the_pace() -> None:
    events = [
        {"progress": [1, 4], "time": 1010.0},
        {"progress": [2, 4], "time": 1030.0},
        {"progress": [3, 4], "time": 5.0},
        {"progress": [3, 4], "time": "soon"},
    ]
    reported = reports_of(events, [], STARTED_S).progress
    assert reported is not None
    assert reported.points == (ProgressPoint(10.0, 1), ProgressPoint(30.0, 2))
    assert reported.share == 0.75


def test_the_metric_that_was_reported_first_is_shown() -> None:
    first = [{"progress": [1, 2]}, {"metric": "loss", "value": 3, "step": 0}]
    newest = [
        {"metric": "loss", "value": 0.5, "step": 7},
        {"metric": "accuracy", "value": 0.9, "step": 7},
    ]
    assert reports_of(newest, first, STARTED_S).metric == LastMetric("loss", 0.5, 7)
    nothing = [{"metric": "loss", "value": None}]
    assert reports_of(nothing, [], STARTED_S).metric == LastMetric(
        "loss", None, None
    )


@pytest.mark.parametrize(("first_step", "done"), [(0, 8), (1, 7), (None, 7)])
def test_the_step_of_a_metric_is_the_progress_of_declared_steps(
    first_step: float | None, done: float
) -> None:
    event = {"metric": "loss", "value": 0.5, "step": 7, "time": 1070.0}
    reports = reports_of([event], [], STARTED_S)
    progress = from_steps(reports, 10, first_step)
    assert progress == Progress(
        done=done,
        total=10.0,
        source="steps",
        points=(ProgressPoint(70.0, done),),
    )


def test_the_first_step() -> None:
    assert first_step_of([{"progress": [1, 2]}, {"metric": "a", "step": 3}]) == 3
    assert first_step_of(["text", {"metric": "a"}]) is None


TRAIN = "train:  31%|███       | 311/1000 [00:05<00:12, 55.10it/s, loss=0.31]"


def test_the_last_print_of_a_bar_counts() -> None:
    log = f"begin\n\rtrain:   0%|   | 0/1000 [00:00<?, ?it/s]\r{TRAIN}"
    shown = shown_progress(log)
    assert shown == ShownProgress(Bar("train:", 311, 1000, 5.0, 12.0), False)
    progress = from_bar(shown, age_s=2.0)
    assert (progress.done, progress.total, progress.left_s) == (311, 1000, 10.0)
    estimate = progress.estimate(9.0)
    assert estimate is not None
    assert (estimate.p50, estimate.source) == (10.0, "from its own progress")


@pytest.mark.parametrize(
    ("text", "done", "total", "left_s"),
    [
        ("  5%|▌  | 1.05k/20.0k [1:00:00<19:00:00, 3.43s/it]", 1050, 20000, 68400),
        (" 12%|#2 | 12.0MB/100MB [00:01<00:07, 12.1MB/s]", 12e6, 1e8, 7),
        ("  0%|   | 0/10 [00:00<?, ?it/s]", 0, 10, None),
        ("100%|###| 10/10 [00:09<00:00,  1.11it/s]", 10, 10, 0),
    ],
)
def test_the_amounts_and_times_of_a_bar(
    text: str, done: float, total: float, left_s: float | None
) -> None:
    shown = shown_progress(text)
    assert shown is not None
    assert shown.bar[1:3] == (done, total)
    assert shown.bar.left_s == left_s


def test_an_inner_bar_is_not_the_progress_of_the_whole() -> None:
    log = "\r".join(
        [
            "epochs:  20%|##  | 2/10 [00:20<01:20, 10.0s/it]",
            "batches: 100%|####| 50/50 [00:10<00:00, 5.0it/s]",
            "batches:  10%|#   | 5/50 [00:01<00:09, 5.0it/s]",
        ]
    )
    shown = shown_progress(log)
    assert shown is not None
    assert (shown.bar.title, shown.is_part) == ("epochs:", False)


@pytest.mark.parametrize("titles", [("", ""), ("epoch 1:", "epoch 2:")])
def test_a_bar_that_begins_again_does_not_say_the_time_left(
    titles: tuple[str, str],
) -> None:
    first, second = titles
    log = (
        f"\r{first} 100%|####| 50/50 [00:10<00:00, 5.0it/s]"
        f"\n\r{second}  10%|#   | 5/50 [00:01<00:09, 5.0it/s]"
    )
    shown = shown_progress(log)
    assert shown is not None
    progress = from_bar(shown, age_s=0.0)
    assert (progress.done, progress.total) == (5, 50)
    assert progress.estimate(11.0) is None


@pytest.mark.parametrize(
    "log",
    [
        "",
        "50% done",
        "50%|",
        "50%|#| 1/0 [00:01<00:01]",
        "50%|" * 20_000,
        "a" * 60_000 + "%|",
        "9" * 60_000 + "%|#| 1/2 [00:01<",
    ],
)
def test_other_texts_are_not_bars(log: str) -> None:
    assert shown_progress(log) is None
