"""The live displays of `run` and `status --watch`, on a real terminal."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

from tests.conftest import gitorch, started, write
from tests.live_terminal import gitorch_on, live_terminal
from tests.terminal import on_terminal

SCRIPT = """
import json, os, sys, time
if sys.argv[1] == "3":
    raise ZeroDivisionError("division by zero")
def report(event):
    with open(os.environ["GITORCH_EVENTS"], "a") as file:
        file.write(json.dumps(event) + "\\n")
report({"metric": "loss", "value": 0.25, "step": 3})
report({"progress": [3, 10]})
while not os.path.exists(sys.argv[2]):
    time.sleep(0.05)
"""


# A shell with job control: after Ctrl-Z it goes on, and continues the program when a key is typed.
_SHELL = (
    "bash",
    "-c",
    'set -m; "$@"; echo stopped; read -r _; fg >/dev/null',
    "bash",
)


def _sweep(project: Path, go: Path) -> None:
    write(project, "train.py", SCRIPT)
    write(
        project,
        "experiments/a.yaml",
        f"""
        gitorch: {{matrix: {{n: [3, 1, 2]}}}}
        tasks: [{{id: train, command: "python train.py {{n}} {go}"}}]
        """,
    )
    gitorch(project, "ready", "--snapshot")


def _masked(line: str) -> str:
    """Return a line without ids and times."""
    line = re.sub(r"\b[0-9a-f]{12}\b", "ID", line)
    line = re.sub(r"\d+(\.\d+)?s to \d+(\.\d+)?s|\b\d+(\.\d+)?s\b", "TIME", line)
    line = re.sub(r"about \d+ s left, until [\d:]+", "about TIME", line)
    return re.sub(" {2,}", "  ", line)


def test_run_shows_running_tasks_failures_and_the_totals(
    project: Path, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    _sweep(project, go)
    with (
        live_terminal(100, 30) as terminal,
        gitorch_on(terminal, project, "run", "-j", "2", shell=_SHELL) as process,
    ):
        lines = terminal.read_until(
            lambda lines: (
                any("2 running" in line for line in lines)
                and any(line.startswith("1 run: ") for line in lines)
                and sum("loss" in line for line in lines) == 2
            )
        )
        block = list(map(_masked, lines[-4:]))
        assert block == [
            "a n=1  train  ████░░░░░░░░░░░░  3/10  loss=0.25  TIME  TIME left",
            "a n=2  train  ████░░░░░░░░░░░░  3/10  loss=0.25  TIME  TIME left",
            "1 run: exit code 1: ZeroDivisionError: division by zero at train.py:3",
            "0 of 3 done, 1 failed, 2 running, about TIME",
        ]
        assert _masked(lines[0]) == "ID  a n=3: train ERROR in TIME"
        terminal.type("\x1a")
        stopped = terminal.read_until(lambda lines: lines[-1:] == ["stopped"])
        assert any("2 running" in line for line in stopped[-4:]), (
            "it stays readable"
        )
        terminal.type("\n")
        terminal.read_until(lambda lines: bool(lines) and "2 running" in lines[-1])
        go.touch()
        assert process.wait(timeout=20) == 1
        end = terminal.read(0.3)
        assert end[-1] == "3 runs: 2 COMPLETE, 1 ERROR"
        assert not any("░" in line for line in end[-8:])
        assert b"\x1b[?25l" not in terminal.raw


def test_a_terminal_without_a_cursor_gets_lines(project: Path) -> None:
    write(project, "a.yaml", "tasks: [{id: t, command: 'sleep 0.5'}]\n")
    seen = on_terminal(project, "run", "a.yaml", env={"TERM": "dumb"})
    assert "a: t COMPLETE in" in seen.text
    assert "\x1b" not in seen.text


def test_a_killed_run_leaves_a_usable_terminal(
    project: Path, tmp_path: Path
) -> None:
    _sweep(project, tmp_path / "go")
    with (
        live_terminal(80, 24) as terminal,
        gitorch_on(terminal, project, "run") as process,
    ):
        terminal.read_until(lambda lines: bool(lines) and "1 running" in lines[-1])
        process.kill()
        process.wait()
        assert b"\x1b[?" not in terminal.raw, "no mode of the terminal was changed"
    (tmp_path / "go").touch()
    gitorch(project, "run", code=None)


def test_status_watch_shows_the_state_until_it_is_interrupted(
    project: Path, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    _sweep(project, go)
    worker = started(project, "run")
    with (
        live_terminal(80, 6) as terminal,
        gitorch_on(terminal, project, "status", "--watch") as process,
    ):
        terminal.read_until(lambda lines: bool(lines) and "1 running" in lines[-1])
        terminal.resize(60, 3)
        lines = terminal.read_until(
            lambda lines: bool(lines) and "1 running" in lines[-1]
        )
        assert len(lines) <= 3
        go.touch()
        worker.communicate(timeout=20)
        lines = terminal.read_until(
            lambda lines: bool(lines) and "2 of 3 done" in lines[-1]
        )
        assert lines[-1] == "2 of 3 done, 1 failed"
        terminal.type("\x03")
        assert process.wait(timeout=10) == 0
        assert "2 of 3 done, 1 failed" in terminal.read(0.3)[-1].replace("^C", "")


def test_off_a_terminal_watch_prints_a_line_for_each_change(
    project: Path, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    _sweep(project, go)
    watcher = started(project, "status", "--watch")
    time.sleep(1.5)
    go.touch()
    gitorch(project, "run", code=1)
    time.sleep(1.5)
    watcher.send_signal(signal.SIGINT)
    out, _ = watcher.communicate(timeout=10)
    lines = out.splitlines()
    assert re.fullmatch("0 of 3 done, – left", lines[0])
    assert lines[-1] == "2 of 3 done, 1 failed"


def test_watch_and_json_are_refused_together(project: Path) -> None:
    assert (
        "--watch shows many states"
        in gitorch(project, "status", "--watch", "--json", code=2).stdout
        + gitorch(project, "status", "--watch", "--json", code=2).stderr
    )
