"""`run --notify` tells a command of each failure and of the end, by variables only."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from gitorch.cli.notifications import VARIABLES
from tests.conftest import gitorch, gitorch_json, started, wait_for, write

TELL = "env -0 | sed -z -n 's/^GITORCH_//p' | tr '\\n\\0' '|\\n' | sort >> told; echo >> told"


def queue(project: Path, **commands: str) -> None:
    for name, command in commands.items():
        task = json.dumps({"id": "t", "command": command})
        write(project, f"experiments/{name}.yaml", f"tasks: [{task}]\n")
    gitorch(project, "ready")


def told(project: Path) -> list[dict[str, str]]:
    """Return the variables of each call of the command."""
    calls = (project / "told").read_text().split("\n\n")
    return [
        dict(line.split("=", 1) for line in call.splitlines())
        for call in calls
        if call
    ]


def test_each_failure_and_the_end_are_told(project: Path) -> None:
    queue(project, good="true", bad="echo 'ValueError: $(touch owned)' >&2; exit 3")
    gitorch(project, "run", "--notify", TELL, code=1)
    failed, finished = told(project)
    [bad] = [
        run for run in gitorch_json(project, "list")["runs"] if run["name"] == "bad"
    ]
    assert set(failed) == {name.removeprefix("GITORCH_") for name in VARIABLES}
    assert {name: value for name, value in failed.items() if value} == {
        "EVENT": "failed",
        "RUN": bad["id"],
        "LABEL": "bad",
        "TASK": "t",
        "REASON": "exit code 3: ValueError: $(touch owned)",
        "SUMMARY": "bad: t failed: exit code 3: ValueError: $(touch owned)",
        "REPOSITORY": str(project),
    }
    assert {name: value for name, value in finished.items() if value} == {
        "EVENT": "finished",
        "REASON": "done",
        "SUMMARY": "done: 2 runs, 1 COMPLETE, 1 ERROR",
        "RUNS": "2",
        "COMPLETE": "1",
        "ERROR": "1",
        "QUEUED": "0",
        "KILLED": "0",
        "REPOSITORY": str(project),
    }
    assert not (project / "owned").exists()


def test_secrets_and_control_characters_are_not_told(project: Path) -> None:
    queue(project, bad=r"printf 'Error: hunter2-hunter2 \033[31m\a' >&2; exit 1")
    gitorch(
        project,
        "run",
        "--notify",
        TELL,
        code=1,
        env={"API_TOKEN": "hunter2-hunter2"},
    )
    failed, _ = told(project)
    assert "hunter2" not in str(failed)
    assert all(value.isprintable() for value in failed.values())


def test_a_failing_command_costs_one_line_and_no_result(project: Path) -> None:
    queue(project, a="exit 1", b="exit 2", c="true")
    said = gitorch(project, "run", "--notify", "echo oh no; exit 7", code=1).stderr
    lines = [line for line in said.splitlines() if "--notify" in line]
    assert lines == ["the command of --notify: it exited with 7: oh no"]
    assert "3 runs: 1 COMPLETE, 2 ERROR" in said


def test_nothing_to_do_is_not_told(project: Path) -> None:
    gitorch(project, "run", "--notify", TELL)
    assert not (project / "told").exists()
    gitorch(project, "run", "--notify", " ", code=2)


def test_an_interruption_is_told(project: Path, tmp_path: Path) -> None:
    queue(project, a=f"touch {tmp_path}/begun; sleep 60")
    worker = started(project, "run", "--notify", TELL)
    wait_for((tmp_path / "begun").exists)
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=20)
    assert worker.returncode == 130
    [finished] = told(project)
    assert finished["SUMMARY"] == "interrupted: 1 run, 1 WAITING"


def test_a_worker_in_the_background_tells_too(project: Path) -> None:
    queue(project, bad="exit 1")
    gitorch(project, "run", "--detach", "--notify", f"{TELL}; exit 1")
    gitorch(project, "wait")
    log = gitorch(project, "logs", "--worker", "-f").stdout
    assert [call["EVENT"] for call in told(project)] == ["failed", "finished"]
    assert "the command of --notify: it exited with 1\n" in log
