"""A failure to print never ends work. The exit code says how the work ended."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import pytest

from tests.conftest import git, gitorch, gitorch_json, started, wait_for, write

CLOSED = {
    "messages": "2>&-",
    "data": ">&-",
    "input": "<&-",
    "output": ">&- 2>&-",
    "everything": "<&- >&- 2>&-",
}
FULL = {
    "messages on a full disk": "2>/dev/full",
    "data on a full disk": ">/dev/full",
    "everything on a full disk": ">/dev/full 2>&1",
}
LOST = {**CLOSED, **FULL}


def config(project: Path, *commands: str) -> None:
    tasks = []
    for number, command in enumerate(commands):
        tasks.append({"id": f"t{number}", "command": command})
    write(project, "experiments/a.yaml", json.dumps({"tasks": tasks}))


def redirected(
    project: Path, words: Sequence[str], redirections: str
) -> subprocess.CompletedProcess[str]:
    """Run gitorch in a shell with these redirections."""
    program = [sys.executable, "-m", "gitorch", *words]
    script = f'"$@" {redirections}'
    return subprocess.run(
        ["sh", "-c", script, "sh", *program],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def statuses(project: Path) -> list[str]:
    return [run["status"] for run in gitorch_json(project, "list")["runs"]]


def assert_sound(project: Path) -> None:
    """Check that no message was printed into a file of gitorch or of git."""
    assert gitorch_json(project, "doctor")["findings"] == []
    assert git(project, "fsck", "--full", "--no-dangling") == ""


@pytest.mark.parametrize("how", LOST)
def test_a_worker_that_cannot_print_does_its_work(project: Path, how: str) -> None:
    config(project, "echo one", "echo two >&2")
    gitorch(project, "ready")
    assert redirected(project, ["run", "--json"], LOST[how]).returncode == 0
    assert statuses(project) == ["COMPLETE"]
    assert gitorch(project, "logs", "@").stdout.endswith("two\n")
    assert_sound(project)


@pytest.mark.parametrize("how", ["messages", "everything on a full disk"])
def test_the_exit_code_is_that_of_the_work(project: Path, how: str) -> None:
    config(project, "exit 3")
    assert redirected(project, ["run", "experiments"], LOST[how]).returncode == 1
    assert statuses(project) == ["ERROR"]


def test_verbs_that_cannot_print_change_what_they_should(project: Path) -> None:
    config(project, "test -e /nonexistent")
    ways = cycle(LOST.values())

    def do(*words: str, code: int = 0) -> list[str]:
        assert redirected(project, words, next(ways)).returncode == code, words
        return statuses(project)

    assert do("ready") == ["WAITING"]
    assert do("hold", "@") == ["HOLD"]
    assert do("release", "@", "--json") == ["WAITING"]
    assert do("set", "@", "--priority", "3") == ["WAITING"]
    assert do("run", code=1) == ["ERROR"]
    assert do("retry", "@") == ["WAITING"]
    assert do("run", code=1) == ["ERROR"]
    assert do("fail", "@") == ["FAILED"]
    assert do("resubmit", "@") == ["WAITING"]
    assert do("kill", "--yes", "@") == []
    assert do("run", "experiments", code=1) == ["ERROR"]
    assert do("rerun", "@", code=1) == ["ERROR", "ERROR"]
    assert do("collect", "--older-than", "0d") == ["FAILED", "FAILED"]
    (project / ".git/gitorch/queue.db").unlink()
    do("doctor", "--fix")
    assert_sound(project)


def test_a_reader_that_ends_early_ends_no_work(
    project: Path, tmp_path: Path
) -> None:
    """`gitorch run |& head -1`: the first task ends after `head` has."""
    config(project, f"while test ! -e {tmp_path}/go; do sleep 0.02; done", "true")
    gitorch(project, "ready")
    reader, writer = os.pipe()
    program = [sys.executable, "-m", "gitorch", "run"]
    worker = subprocess.Popen(program, cwd=project, stdout=writer, stderr=writer)
    os.close(writer)
    assert os.read(reader, 1000)
    os.close(reader)
    (tmp_path / "go").touch()
    assert worker.wait(timeout=20) == 0
    assert statuses(project) == ["COMPLETE"]


@pytest.mark.parametrize("hangup", ["the terminal closes", "the signal alone"])
def test_a_terminal_that_closes_ends_no_work(
    project: Path, tmp_path: Path, hangup: str
) -> None:
    config(
        project,
        f"touch {tmp_path}/begun; while test ! -e {tmp_path}/go; do sleep 0.02; done",
        "echo second",
    )
    gitorch(project, "ready")
    master, terminal = pty.openpty()
    worker = subprocess.Popen(
        [sys.executable, "-m", "gitorch", "run"],
        cwd=project,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)
    wait_for((tmp_path / "begun").exists)
    if hangup == "the terminal closes":
        os.close(master)
    else:
        worker.send_signal(signal.SIGHUP)
    (tmp_path / "go").touch()
    assert worker.wait(timeout=20) == 0
    assert statuses(project) == ["COMPLETE"]
    assert gitorch(project, "logs", "@").stdout.endswith("second\n")
    if hangup != "the terminal closes":
        os.close(master)


def test_a_stream_that_does_not_block_loses_nothing(project: Path) -> None:
    """Another program of the same terminal or pipe may have set O_NONBLOCK."""
    for number in range(300):
        config(project, f"true {number}")
        write(
            project,
            f"experiments/config-with-a-long-name-{number}.yaml",
            (project / "experiments/a.yaml").read_text(),
        )
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    program = [sys.executable, "-m", "gitorch", "ready", "--dry-run", "--json"]
    process = subprocess.Popen(program, cwd=project, stdout=writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as output:
        readied = json.loads(output.read())
    assert process.wait(timeout=20) == 0
    assert len(readied["queued"]) == 300


def test_commands_that_only_print_stop(project: Path) -> None:
    config(project, "true")
    gitorch(project, "ready")
    full = redirected(project, ["list"], ">/dev/full")
    assert full.returncode == 1
    assert full.stderr.startswith("error: No space left on device")
    process = started(project, "list", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=20) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
