"""Every wait says what it waits for, and ends when the user asks for it."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from gitorch.tools.locks import only_one_at, taken
from tests.conftest import (
    commit_files,
    git,
    gitorch,
    gitorch_json,
    started,
    wait_for,
    write,
)

CONFIG = "tasks: [{id: task, command: 'true', gitorch: {resources: {cpus: 1}}}]\n"


def made_project(root: Path) -> Path:
    root.mkdir()
    git(root, "init", "-q")
    commit_files(root, {"README.md": "A project.\n"}, "first")
    write(root, "experiments/a.yaml", CONFIG)
    return root


def readied(root: Path) -> str:
    gitorch(root, "ready")
    run_id: str = gitorch_json(root, "list")["runs"][0]["id"]
    return run_id


@contextmanager
def results_locked(root: Path) -> Iterator[list[str]]:
    run_id = readied(root)
    with taken(root / ".git/gitorch/lock"):
        yield ["hold", run_id]


@contextmanager
def results_locked_for_a_commit(root: Path) -> Iterator[list[str]]:
    readied(root)
    with taken(root / ".git/gitorch/lock"):
        yield ["run"]


@contextmanager
def worktree_locked(root: Path) -> Iterator[list[str]]:
    run_id = readied(root)
    with only_one_at(root.with_name(f"{root.name}.gitorch") / run_id / "tree"):
        yield ["run"]


@contextmanager
def ledger_locked(root: Path) -> Iterator[list[str]]:
    readied(root)
    ledger = root.with_name(f"{root.name}.ledger")
    ledger.mkdir(mode=0o700)
    git(root, "config", "gitorch.ledgerDir", str(ledger))
    with taken(ledger / "lock"):
        yield ["run"]


@contextmanager
def queue_locked(root: Path) -> Iterator[list[str]]:
    run_id = readied(root)
    with closing(sqlite3.connect(root / ".git/gitorch/queue.db")) as database:
        database.execute("BEGIN IMMEDIATE")
        yield ["hold", run_id]
        database.execute("ROLLBACK")


@contextmanager
def git_hangs(root: Path) -> Iterator[list[str]]:
    git(root, "config", "filter.slow.smudge", "sleep 100")
    git(root, "config", "filter.slow.clean", "cat")
    commit_files(root, {".gitattributes": "data filter=slow\n", "data": "x"})
    yield ["ready"]


@contextmanager
def validation_hangs(root: Path) -> Iterator[list[str]]:
    write(root, "experiments/a.yaml", "tasks: [{id: task, method: Slow}]\n")
    tasks = """
        import time
        class Slow:
            def __init__(self, config): time.sleep(100)
            def run(self): ...
        """
    write(root, "Tasks.py", tasks)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "tasks")
    yield ["ready"]


WAITS: tuple[tuple[Callable[[Path], object], int, str], ...] = (
    (results_locked, signal.SIGINT, "the lock of the results branch, held by pid"),
    (
        results_locked_for_a_commit,
        signal.SIGTERM,
        "the lock of the results branch, held by pid",
    ),
    (worktree_locked, signal.SIGTERM, r"the lock of /.*, held by pid"),
    (ledger_locked, signal.SIGINT, r"the ledger /.*, held by pid"),
    (queue_locked, signal.SIGTERM, r"the lock of the queue /"),
    (git_hangs, signal.SIGINT, "git worktree"),
    (validation_hangs, signal.SIGHUP, "validate"),
)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read the errors of a process until one of them contains `text`."""
    assert process.stderr is not None
    lines = ""
    for line in process.stderr:
        lines += line
        if text in line:
            return lines
    raise AssertionError(f"{text!r} is not among:\n{lines}")


@pytest.mark.timeout(60)
def test_every_wait_says_what_it_waits_for_and_can_be_interrupted(
    tmp_path: Path,
) -> None:
    """Let programs wait side by side, then send each one a signal."""
    with ExitStack() as stack:
        waiting = []
        for number, (prepared, sent, awaited) in enumerate(WAITS):
            root = made_project(tmp_path / f"project{number}")
            arguments = stack.enter_context(prepared(root))  # type: ignore[arg-type]
            process = started(root, *arguments)
            stack.callback(process.kill)
            waiting.append((process, sent, awaited))
        for process, sent, awaited in waiting:
            said = read_until(process, "waiting for")
            assert re.search(f"waiting for {awaited}", said)
            process.send_signal(sent)
        for process, _, awaited in waiting:
            _, rest = process.communicate(timeout=20)
            assert process.returncode == 130, (awaited, rest)
            assert "Traceback" not in rest
            assert "bug" not in rest


def test_what_waited_goes_on_later(tmp_path: Path) -> None:
    """Interrupt a worker that cannot commit; the next one commits the same attempt."""
    root = made_project(tmp_path / "project")
    with results_locked_for_a_commit(root) as arguments:
        worker = started(root, *arguments)
        read_until(worker, "waiting for")
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=20)
    gitorch(root, "run")
    run = gitorch_json(root, "show", "@")["run"]
    assert run["status"] == "COMPLETE"
    assert [attempt["number"] for attempt in run["tasks"][0]["attempts"]] == [1]


@pytest.mark.parametrize("verb", ["ready", "run"])
def test_a_workspace_that_is_a_dangling_link_is_refused(
    tmp_path: Path, verb: str
) -> None:
    root = made_project(tmp_path / "project")
    if verb == "run":
        readied(root)
        root.with_name("project.gitorch").rename(tmp_path / "moved")
    root.with_name("project.gitorch").symlink_to(tmp_path / "nowhere")
    result = gitorch(root, verb, code=None, timeout=20)
    assert result.returncode != 0
    assert "is a link to" in result.stderr
    assert "bug" not in result.stderr


def test_a_daemon_that_git_starts_holds_no_lock_and_no_pipe(tmp_path: Path) -> None:
    """Use a filter that starts a daemon, as git does with the cache of credentials."""
    root = made_project(tmp_path / "project")
    pid = tmp_path / "pid"
    script = f"setsid sh -c 'echo $$ >{pid}; exec sleep 50' >/dev/null & cat"
    git(root, "config", "filter.daemon.smudge", script)
    git(root, "config", "filter.daemon.clean", "cat")
    commit_files(root, {".gitattributes": "data filter=daemon\n", "data": "x"})
    try:
        gitorch(root, "ready", timeout=20)
        wait_for(lambda: pid.exists() and pid.read_text())
        gitorch(root, "run", timeout=20)
        assert gitorch_json(root, "list")["runs"][0]["status"] == "COMPLETE"
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_links_to_directories_above_and_to_each_other_end(tmp_path: Path) -> None:
    root = made_project(tmp_path / "project")
    for name in ("a", "b", "c"):
        (root / "data" / name).mkdir(parents=True)
        (root / "data" / name / "file").write_text(name)
        (root / "data" / name / "all").symlink_to("..")
        (root / "data" / name / "root").symlink_to("/")
        for other in ("a", "b", "c"):
            (root / "data" / name / f"to-{other}").symlink_to(f"../{other}")
    (root / ".gitignore").write_text("data\n")
    write(
        root,
        "experiments/a.yaml",
        """
        gitorch: {link: [data], inputs: [data]}
        tasks: [{id: task, command: 'true'}]
        """,
    )
    commit_files(root, {})
    gitorch(root, "ready", timeout=20)
    gitorch(root, "run", timeout=20)
    assert gitorch_json(root, "list")["runs"][0]["status"] == "COMPLETE"
