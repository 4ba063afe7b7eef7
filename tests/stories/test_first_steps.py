"""The first commands of a new user, in an existing repository."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.conftest import gitorch, gitorch_json, started


def test_the_messages_lead_from_an_empty_repository_to_a_result(
    project: Path,
) -> None:
    assert gitorch(project, "status").stdout == "no runs yet\n"
    assert gitorch(project, "ready", code=3).stderr.endswith("gitorch init\n")
    assert gitorch(project, "init").stdout == "experiments/example.yaml\n"
    gitorch(project, "init", code=4)
    assert "untracked" not in gitorch(project, "ready").stderr
    gitorch(project, "run")
    [run] = gitorch_json(project, "list")["runs"]
    assert (run["name"], run["status"]) == ("example", "COMPLETE")
    assert run["params"] == {"learningRate": 0.1}
    assert (
        gitorch(project, "logs", "@", "--task", "report").stdout
        == "trained with 0.1\n"
    )


def test_ctrl_c_during_the_demo_stops_it_and_names_the_next_command(
    tmp_path: Path,
) -> None:
    demo = started(tmp_path, "demo", "penguins")
    assert demo.stderr is not None
    while not demo.stderr.readline().endswith(" started\n"):
        assert demo.poll() is None, "the demo ended before a task started"
    demo.send_signal(signal.SIGINT)
    _, stderr = demo.communicate(timeout=30)
    assert demo.returncode == 130, stderr
    assert stderr.endswith(
        f"the rest waits in the queue\nnext: cd {tmp_path}/penguins && gitorch run\n"
    )


def test_run_says_what_is_missing_before_it_can_run(project: Path) -> None:
    refused = gitorch(project, "run", "experiments/nosuch.yaml", code=3)
    assert "error: there is no file experiments/nosuch.yaml" in refused.stderr
    assert "next: gitorch ready" in gitorch(project, "run").stderr
