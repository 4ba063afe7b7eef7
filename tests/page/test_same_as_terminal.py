"""While the demo's sweep runs, the page and the terminal show the same."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import gitorch, gitorch_json, started, wait_for
from tests.page.server import serving


def test_progress_and_time_left_are_those_of_the_terminal(tmp_path: Path) -> None:
    gitorch(tmp_path, "demo", "penguins")
    demo = tmp_path / "penguins"
    sweep = ("-S", "epochs=4000", "-S", "seed=range(1,5)")
    gitorch(demo, "ready", "experiments/body-size.yaml", *sweep)
    worker = started(demo, "run", "-j", "2")
    try:
        with serving(demo) as server:
            wait_for(lambda: _running(server.ask("/overview.json").json) == 2)
            for _ in range(5):
                before = gitorch_json(demo, "status")
                page = server.ask("/overview.json").json
                after = gitorch_json(demo, "status")
                _assert_between(before, page, after)
            words = gitorch(demo, "status").stdout.splitlines()[-1]
            headline = server.ask("/").text.partition('class="headline"')[2]
            shown = re.sub(r"<[^>]+>|\s+", " ", headline.partition("</p>")[0])
            assert _totals(words) == _totals(shown)
    finally:
        worker.terminate()
        worker.communicate(timeout=30)


def _running(status: dict) -> int:  # type: ignore[type-arg]
    return sum(run["progress"] is not None for run in status["runs"])


def _assert_between(before: dict, page: dict, after: dict) -> None:  # type: ignore[type-arg]
    """Check that the page shows what the terminal shows just before and just after it."""
    assert page.keys() == after.keys()
    runs = [
        {run["id"]: run for run in shown["runs"]} for shown in (before, page, after)
    ]
    for run_id in runs[0].keys() & runs[1].keys() & runs[2].keys():
        first, shown, last = (found[run_id] for found in runs)
        if None in (first["progress"], shown["progress"], last["progress"]):
            continue  # the run has begun or ended meanwhile
        done = [run["progress"]["done"] for run in (first, shown, last)]
        if done == sorted(done):
            assert shown["progress"]["total"] == 4000
            if None in (first["eta_s"], shown["eta_s"], last["eta_s"]):
                continue  # it is unknown after the first report
            left = [run["eta_s"]["p50"] for run in (first, shown, last)]
            assert min(left[0], left[2]) - 2 <= left[1] <= max(left[0], left[2]) + 2
    totals = [shown["totals"] for shown in (before, page, after)]
    assert totals[0]["done"] <= totals[1]["done"] <= totals[2]["done"]


def _totals(words: str) -> str:
    """Return the totals without what changes from second to second."""
    found = re.search(r"\d+ of \d+ done", words)
    assert found is not None, words
    return found[0]
