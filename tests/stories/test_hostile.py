"""Tasks that do what no task should do.

Such a task can harm only its own run. The files that such a task leaves are stored unchanged.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import (
    commit_files,
    git,
    gitorch,
    gitorch_json,
    started,
    wait_for,
    write,
)

TASKS = r"""
import fcntl, os, shutil, signal, socket, subprocess, sys

IDENTITY = ["-c", "user.name=x", "-c", "user.email=x@example.org"]

def git(*arguments):
    # A commit that is made while `git gc --prune=now` runs can lose its objects, which is git's own
    # race. The lock keeps the tasks of this file apart; gitorch does not take it.
    ask = ["git", "rev-parse", "--git-common-dir"]
    common = subprocess.check_output(ask, text=True).strip()
    with open(os.path.join(common, "lock-of-the-tasks"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.check_call(["git", *IDENTITY, *arguments])

class Task:
    def __init__(self, config):
        self.config = config
        self.output = config["outputDir"]
    def write(self, name, text):
        path = os.path.join(self.output, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
class RemovesTree(Task):
    def run(self):
        shutil.rmtree(os.getcwd())
class RemovesAll(Task):
    def run(self):
        shutil.rmtree(os.path.dirname(os.getcwd()))
class ReadOnlyTree(Task):
    def run(self):
        subprocess.check_call(["chmod", "-R", "a-w", "."])
class Commits(Task):
    def run(self):
        with open("Tasks.py", "a") as file:
            file.write("# changed\n")
        git("commit", "-qam", "inside")
class Collects(Task):
    def run(self):
        git("gc", "-q", "--prune=now")
        git("worktree", "prune")
class ChecksOut(Task):
    def run(self):
        for words in ("checkout -qb mine", "rm -q README.md", "commit -qm less"):
            git(*words.split())
class KillsGroup(Task):
    def run(self):
        os.killpg(0, signal.SIGKILL)
class RemovesOutput(Task):
    def run(self):
        shutil.rmtree(self.output)
class OutputIsAFile(Task):
    def run(self):
        shutil.rmtree(self.output)
        with open(self.output, "w") as file:
            file.write("a file")
class OutputLeadsOut(Task):
    def run(self):
        shutil.rmtree(self.output)
        os.symlink(self.config["secrets"], self.output)
class RemovesLog(Task):
    def run(self):
        print("before", flush=True)
        shutil.rmtree(os.path.dirname(os.environ["GITORCH_EVENTS"]))
        print("after")
class SpoilsConfig(Task):
    def run(self):
        with open(os.environ["GITORCH_CONFIG"], "w") as file:
            file.write("junk")
        os._exit(0)
class SpoilsEvents(Task):
    def run(self):
        with open(os.environ["GITORCH_EVENTS"], "wb") as file:
            file.write(b'{"metric": "inf", "value": 1e999}\n')
            file.write(b'{"metric": 3}\n[1]\nnull\n\xff\n{"progress": ["x", 2]}\n')
            file.write(b"[" * 100000 + b'\n{"metric": "good", "value": 5}\n{"metric": "cut o')
        self.write("metrics.json", "[" * 100000)
        return {"nan": float("nan")}
class Talks(Task):
    def run(self):
        sys.stdout.buffer.write(b"\x1b]0;title\x07\x1b[2J\xff\x00 10%\r 20%\r30% no line feed")
        sys.stdout.flush()
        raise ValueError("\x1b[2Jbad \udcff")
class Special(Task):
    def run(self):
        os.mkfifo(self.output + "/fifo")
        os.chdir(self.output)
        socket.socket(socket.AF_UNIX).bind("socket")
        os.symlink("/etc/passwd", "out")
        os.symlink("nowhere", "dangling")
        os.symlink(".", "self")
        self.write("fine", "fine")
class Names(Task):
    def run(self):
        for name in NAMES:
            self.write(name, name)
        with open(os.fsencode(self.output) + b"/\xff.bin", "w") as file:
            file.write("bytes")
NAMES = [
    ".git/config", ".git/HEAD", ".gitattributes", ".gitmodules", ".gitignore", ".GIT/x", "git~1",
    "a\nb", "a b", "'q\"", "tab\t", "back\\slash", "-rf", "%41", "~x", "*", "[x]", "#c", "!n",
    "a..b", "x.lock", "n" * 255,
]
class Many(Task):
    def run(self):
        for number in range(3000):
            self.write(f"part/{number}", str(number))
class Floods(Task):
    def run(self):
        for _ in range(64):
            os.write(1, b"x" * (1 << 20))
"""

# The tasks whose run completes all the same, and the tasks that fail.
FINE = (
    "ReadOnlyTree",
    "Commits",
    "Collects",
    "ChecksOut",
    "RemovesOutput",
    "RemovesLog",
    "SpoilsConfig",
    "SpoilsEvents",
    "Special",
    "Names",
    "Many",
    "Floods",
)
BAD = ("KillsGroup", "Talks")


def _run(
    project: Path, *names: str, code: int | None, **params: str
) -> subprocess.CompletedProcess[str]:
    """Run each task in its own run, followed by an ordinary task."""
    if not (project / "Tasks.py").exists():
        commit_files(project, {"Tasks.py": TASKS})
    after = "test -f README.md && git diff --quiet HEAD && test -d {outputDir} && echo as pinned"
    for name in names:
        config = {
            **params,
            "tasks": [
                {"id": "t", "method": name},
                {"id": "after", "command": after},
            ],
        }
        write(project, f"experiments/{name}.yaml", json.dumps(config))
    return gitorch(project, "run", "experiments", "-j", "3", code=code)


def test_a_task_that_damages_its_worktree_affects_nothing_else(
    project: Path,
) -> None:
    head = git(project, "rev-parse", "HEAD")
    worked = _run(project, *FINE, *BAD, code=1)
    runs = {run["name"]: run for run in gitorch_json(project, "list")["runs"]}
    assert {name: run["status"] for name, run in runs.items()} == {
        **dict.fromkeys(FINE, "COMPLETE"),
        **dict.fromkeys(BAD, "ERROR"),
    }
    for name in FINE:
        assert (
            gitorch(project, "logs", name, "--task", "after").stdout
            == "as pinned\n"
        ), name
    assert git(project, "rev-parse", "HEAD^") == head
    assert git(project, "status", "--porcelain", "--", ":!experiments") == ""
    assert "error" not in git(project, "fsck", "--full")
    assert gitorch_json(project, "status")["counts"]["RUNNING"] == 0

    assert "\x1b" not in worked.stderr, (
        "no control character of a log reaches the terminal"
    )
    assert "ValueError: bad" in worked.stderr
    assert "30% no line feed" in worked.stderr
    assert "10%" not in worked.stderr, "overwritten text is not shown"
    assert runs["SpoilsEvents"]["metrics"] == {
        "inf": None,
        "good": 5,
        "nan": None,
    }
    [attempt] = gitorch_json(project, "show", "Commits")["run"]["tasks"][0][
        "attempts"
    ]
    assert attempt["modified"] == ["Tasks.py"], (
        "compared with the pin, not with the task's commit"
    )
    removed = gitorch(project, "logs", "RemovesLog", "--task", "t").stdout
    assert removed == "before\nafter\n"
    _assert_special(project)
    _assert_names(project)
    assert len(gitorch_json(project, "show", "Many")["run"]["outputs"]) == 3000
    size_in_git = int(git(project, "cat-file", "-s", _log_of(project, "Floods")))
    assert size_in_git < 1000, "a large log is a Git LFS object"
    assert len(gitorch(project, "logs", "Floods", "--task", "t").stdout) == 64 << 20


def _log_of(project: Path, name: str) -> str:
    run_id = gitorch_json(project, "show", name)["run"]["id"]
    return f"gitorch/results:runs/{run_id[:2]}/{run_id}/tasks/t/1/log.txt"


def _assert_special(project: Path) -> None:
    run = gitorch_json(project, "show", "Special")["run"]
    assert [output["path"] for output in run["outputs"]] == [
        "dangling",
        "fine",
        "out",
        "self",
    ]
    base = f"gitorch/results:runs/{run['id'][:2]}/{run['id']}/outputs"
    assert git(project, "show", f"{base}/out") == "/etc/passwd", (
        "the link, not its target"
    )
    notes = " ".join(run["tasks"][0]["attempts"][0]["notes"])
    assert "fifo is not kept" in notes
    assert "socket is not kept" in notes


def _assert_names(project: Path) -> None:
    """Check that a file with any name is restored unchanged."""
    run = gitorch_json(project, "show", "Names")["run"]
    tree = Path(gitorch(project, "checkout-run", "Names").stdout.strip())
    outputs = tree / f"run-{run['id']}" / "outputs"
    restored = {
        path.relative_to(outputs).as_posix(): path
        for path in outputs.rglob("*")
        if path.is_file()
    }
    kept = {output["path"] for output in run["outputs"]}
    # A checkout must not make a directory that git reads.
    renamed = {
        f"%{name}": name for name in (".git/config", ".git/HEAD", ".GIT/x", "git~1")
    }
    assert {renamed.get(name, name) for name in restored} == kept
    assert len(restored) == 23
    for name, path in restored.items():
        if name != "\udcff.bin" and name not in renamed:
            assert path.read_text() == name
    for name, original in renamed.items():
        assert restored[name].read_text() == original
    assert restored["\udcff.bin"].read_text() == "bytes"
    shown = gitorch(project, "show", "Names").stdout
    assert "  a\\nb " in shown, "a name with a line break is shown on one line"


@pytest.mark.parametrize(
    "name", ["RemovesTree", "RemovesAll", "OutputIsAFile", "OutputLeadsOut"]
)
def test_a_task_that_deletes_its_directory_stops_neither_worker_nor_other_runs(
    project: Path, tmp_path: Path, name: str
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "key").write_text("do not publish")
    _run(project, name, "RemovesOutput", code=None, secrets=str(secrets))
    runs = {
        run["name"]: run["status"] for run in gitorch_json(project, "list")["runs"]
    }
    assert runs["RemovesOutput"] == "COMPLETE"
    assert runs[name] in ("COMPLETE", "ERROR")
    assert gitorch_json(project, "show", name)["run"]["outputs"] == []
    gitorch(project, "run")


def test_the_whole_worktree_can_be_an_output(project: Path) -> None:
    write(
        project,
        "experiments/a.yaml",
        "gitorch: {outputs: ['.']}\ntasks: [{id: t, command: echo made > new.txt}]\n",
    )
    gitorch(project, "run", "experiments")
    paths = [
        output["path"]
        for output in gitorch_json(project, "show", "@")["run"]["outputs"]
    ]
    assert "worktree/new.txt" in paths
    assert not any(".git" in path.split("/") for path in paths)


def test_workspace_and_queue_lost_after_ready_are_recreated(project: Path) -> None:
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: t, command: 'echo done > {outputDir}/it'}]\n",
    )
    gitorch(project, "ready")
    shutil.rmtree(project.parent / "project.gitorch")
    for file in (project / ".git/gitorch").glob("queue.db*"):
        file.unlink()
    assert [run["why"] for run in gitorch_json(project, "status")["runs"]] == [
        "no worker is running: gitorch run"
    ]
    stale = project / ".git/refs/heads/gitorch/results.lock"
    stale.touch()
    os.utime(stale, (1, 1))
    gitorch(project, "run")
    assert [run["status"] for run in gitorch_json(project, "list")["runs"]] == [
        "COMPLETE"
    ]


def test_status_reports_a_run_whose_worker_died(
    project: Path, tmp_path: Path
) -> None:
    write(
        project,
        "experiments/a.yaml",
        f"tasks: [{{id: t, command: 'touch {tmp_path}/begun; sleep 30'}}]\n",
    )
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    worker.kill()
    worker.communicate(timeout=20)
    assert [run["why"] for run in gitorch_json(project, "status")["runs"]] == [
        "its worker is gone: gitorch run resumes it"
    ]


@pytest.mark.parametrize(
    "junk", [b"no database at all", b"SQLite format 3\0" + bytes(4000)]
)
def test_a_damaged_queue_is_reported_and_loses_nothing(
    project: Path, junk: bytes
) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "ready")
    for file in (project / ".git/gitorch").glob("queue.db*"):
        file.unlink()
    (project / ".git/gitorch/queue.db").write_bytes(junk)
    message = gitorch(project, "run", code=1).stderr
    assert "queue.db is damaged" in message
    assert "hint: results are safe" in message
    (project / ".git/gitorch/queue.db").rename(
        project / ".git/gitorch/queue.db.damaged"
    )
    gitorch(project, "run")
    assert [run["status"] for run in gitorch_json(project, "list")["runs"]] == [
        "COMPLETE"
    ]
