"""`gitorch wait` ends when its runs have ended, and says why it would wait for ever."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from gitorch.actions.selection import Selection
from gitorch.actions.wait import AwaitedRun, Awaiting, wait
from gitorch.errors import Busy
from gitorch.model.run.status import Status
from gitorch.storage.site import Site
from tests.conftest import git, gitorch, gitorch_json, started, wait_for, write


@pytest.fixture
def go(project: Path, tmp_path: Path) -> Path:
    """Queue a good run and a bad one, which both wait for the file that is returned."""
    go = tmp_path / "go"
    for name, end in (("good", "true"), ("bad", "false")):
        command = f"until test -f {go}; do sleep 0.02; done; {end}"
        write(
            project,
            f"experiments/{name}.yaml",
            f"tasks: [{{id: t, command: '{command}'}}]\n",
        )
    gitorch(project, "ready")
    return go


def is_running(project: Path) -> bool:
    return gitorch_json(project, "status")["counts"]["RUNNING"] == 2


def ends_of(run: subprocess.Popen[str], code: int) -> str:
    stdout, stderr = run.communicate(timeout=20)
    assert run.returncode == code, stderr
    return stdout + re.sub(r"\b[0-9a-f]{12}\b", "ID", stderr)


def test_it_says_what_it_waits_for_and_how_each_run_ended(
    project: Path, go: Path
) -> None:
    worker = started(project, "run", "-j", "2")
    wait_for(lambda: is_running(project))
    waiting = [
        started(project, "wait"),
        started(project, "wait", "--exit-status", "--json"),
        started(project, "wait", "good", "--exit-status"),
    ]
    for process in waiting:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("waiting for ")
    go.touch()
    said = ends_of(waiting[0], 0)
    document = json.loads(ends_of(waiting[1], 1).partition("\n}")[0] + "}")
    one = ends_of(waiting[2], 0)
    worker.communicate(timeout=20)
    *ends, last = said.splitlines()
    assert sorted(ends) == ["ID  bad: ERROR", "ID  good: COMPLETE"]
    assert last == "2 runs: 1 COMPLETE, 1 ERROR"
    assert document["schema"] == "gitorch/wait/v1"
    ended = {run["label"]: run["status"] for run in document["runs"]}
    assert ended == {"good": "COMPLETE", "bad": "ERROR"}
    assert one == "ID  good: COMPLETE\n"


def test_runs_that_have_ended_are_not_waited_for(project: Path, go: Path) -> None:
    go.touch()
    gitorch(project, "run", "-j", "2", code=1)
    nothing = gitorch(project, "wait", "--exit-status")
    assert nothing.stderr == ("nothing to wait for: no run is queued or running\n")
    assert gitorch_json(project, "wait")["runs"] == []
    gitorch(project, "wait", "good", "--exit-status")
    for selection in (["bad"], ["@last"], ["--name", "b*"], ["--status", "error"]):
        gitorch(project, "wait", *selection)
        gitorch(project, "wait", *selection, "--exit-status", code=1)


SLOW = """
    tasks:
      - id: t
        command: |
          for step in 1 2 3 4; do
            echo '{"progress": ['$step', 400]}' >> $GITORCH_EVENTS; sleep 0.1
          done
          until test -f %s; do sleep 0.02; done
"""


def test_it_says_how_long_that_will_take(project: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    write(project, "experiments/slow.yaml", SLOW % go)
    gitorch(project, "ready")
    worker = started(project, "run")

    def has_time_left() -> bool:
        [run] = gitorch_json(project, "status")["runs"]
        return run["eta_s"] is not None

    wait_for(has_time_left)
    waiting = started(project, "wait")
    assert waiting.stderr is not None
    assert re.fullmatch(
        r"waiting for 1 running run, about \d+ (s|min) left, until \d\d:\d\d\n",
        waiting.stderr.readline(),
    )
    go.touch()
    ends_of(waiting, 0)
    ends_of(worker, 0)


def test_a_killed_run_and_a_held_run_end_the_wait(project: Path, go: Path) -> None:
    waiting = started(project, "wait", "--json", "--exit-status")
    assert waiting.stderr is not None
    assert waiting.stderr.readline() == (
        "waiting for 2 queued runs, but no worker is running: gitorch run --detach\n"
    )
    gitorch(project, "kill", "good")
    gitorch(project, "hold", "bad")
    stdout, _ = waiting.communicate(timeout=20)
    document = json.loads(stdout)
    assert waiting.returncode == 1
    assert [run["status"] for run in document["runs"]] == ["HOLD"]
    assert [run["label"] for run in document["killed"]] == ["good"]


def test_it_gives_up_after_the_timeout(project: Path, go: Path) -> None:
    late = gitorch(project, "wait", "good", "--timeout", "0s", code=5)
    assert late.stderr.splitlines()[-2:] == [
        "error: the time of --timeout is over, and 1 queued run is left",
        "hint: gitorch status shows what they are doing",
    ]
    document = json.loads(
        gitorch(project, "wait", "--timeout", "1", "--json", code=5).stdout
    )
    assert document["error"]["kind"] == "busy"
    wrong = gitorch(project, "wait", "--timeout", "soon", code=2)
    assert "'soon' is not a length of time" in wrong.stderr


def test_it_gives_up_if_no_worker_comes(project: Path, go: Path) -> None:
    news: list[AwaitedRun | Awaiting] = []
    with pytest.raises(
        Busy, match="no worker is running, and 2 queued runs are left"
    ):
        wait(Site.at(project), Selection(), news.append, patience_s=0.2)
    assert news == [Awaiting(counts={Status.WAITING: 2}, has_worker=False)]


def test_it_notices_that_the_worker_was_killed(project: Path, go: Path) -> None:
    worker = started(project, "run", "-j", "2")
    wait_for(lambda: is_running(project))
    waiting = started(project, "wait")
    assert waiting.stderr is not None
    assert waiting.stderr.readline() == "waiting for 2 running runs, – left\n"
    worker.kill()
    worker.communicate()
    assert "but no worker is running" in waiting.stderr.readline()
    go.touch()
    gitorch(project, "run", code=1)
    assert "2 runs: 1 COMPLETE, 1 ERROR" in ends_of(waiting, 0)


def test_a_run_of_another_clone_is_not_waited_for(
    project: Path, go: Path, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "-q", str(project), "copy")
    git(
        tmp_path / "copy", "fetch", "-q", "origin", "+refs/gitorch/*:refs/gitorch/*"
    )
    git(
        tmp_path / "copy",
        "fetch",
        "-q",
        "origin",
        "+refs/heads/gitorch/*:refs/heads/gitorch/*",
    )
    refused = gitorch(tmp_path / "copy", "wait", "good", code=4)
    assert "belongs to another clone" in refused.stderr
    assert gitorch_json(tmp_path / "copy", "wait")["runs"] == []
    go.touch()
    gitorch(project, "run", code=1)
    git(
        tmp_path / "copy",
        "fetch",
        "-q",
        "origin",
        "+refs/heads/gitorch/*:refs/heads/gitorch/*",
    )
    gitorch(tmp_path / "copy", "wait", "good", "--exit-status")
    assert not (tmp_path / "copy/.git/gitorch/queue.db").exists()


def test_it_costs_next_to_nothing(project: Path, go: Path) -> None:
    waiting = started(project, "wait", "--timeout", "60")
    assert waiting.stderr is not None
    waiting.stderr.readline()
    before = _cpu_s(waiting.pid)
    time.sleep(1.0)
    used = _cpu_s(waiting.pid) - before
    waiting.send_signal(signal.SIGINT)
    assert "error: interrupted" in ends_of(waiting, 130)
    assert used <= 0.03, f"{used:.2f} s of CPU in a second"


def _cpu_s(pid: int) -> float:
    """Return the CPU time of a process: the fields 14 and 15 of proc(5), /proc/<pid>/stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
