"""A token of the environment is in no object of the results branch, wherever a task puts it."""

from __future__ import annotations

import base64
import json
import os
import signal
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

TOKEN = "tk-5f2c9e\\d'41+7/b8a3&0c"
ENV = {"HUB_TOKEN": TOKEN}
# Of this length, the token is found in whatever form it was written.
PARTS = ("5f2c9e", "7/b8a3", "b8a3&", "d'41", "41%2B7")
TASKS = """
import json, logging, os, subprocess, sys, time
from urllib.parse import quote
import gitorch
TOKEN = os.environ["HUB_TOKEN"]
class Leak(gitorch.TaskBase):
    def __init__(self, config): self.config = config
    def run(self):
        print("whole", TOKEN)
        for part in ("two writes ", TOKEN[:9], TOKEN[9:], "\\n"):
            sys.stdout.write(part)
            sys.stdout.flush()
            time.sleep(0.01)
        print(f"https://me:{quote(TOKEN, safe='')}@example.org/a https://{quote(TOKEN)}@x/y")
        print(f"https://example.org/?token={quote(TOKEN, safe='')}&a=1", file=sys.stderr)
        print(json.dumps({"token": TOKEN}), [TOKEN], repr({"token": TOKEN}))
        logging.getLogger("hub").warning("token %s", TOKEN)
        subprocess.run(["sh", "-c", "set -x; : $0", TOKEN], check=True)
        sys.stdout.write("x" * ((1 << 20) - 5) + TOKEN + "y" * 10 + "\\n")
        gitorch.metric(f"loss {TOKEN}", 0.5)
        with open(os.environ["GITORCH_EVENTS"], "a") as events:
            events.write(json.dumps({"note": TOKEN}) + "\\n")
        with open("README.md", "a") as file:
            file.write(f"login with {TOKEN}\\n")
        return {"token": TOKEN, f"n {TOKEN}": 2, "inner": [{"a": f"<{TOKEN}>"}]}
class Failing(Leak):
    def run(self):
        subprocess.run(["false", TOKEN], check=True)
"""
COMMAND = 'python3 -c "import sys; print(sys.argv)" --token "$HUB_TOKEN"; echo "$HUB_TOKEN" >&2'


@pytest.fixture
def leaking(project: Path) -> Path:
    tasks = [
        {"id": "class", "method": "Leak"},
        {"id": "command", "command": COMMAND, "needs": []},
        {"id": "fails", "method": "Failing", "needs": []},
        {"id": "exits", "command": f"{COMMAND}; exit 3", "needs": []},
    ]
    config = json.dumps({"tasks": tasks})
    commit_files(project, {"Tasks.py": TASKS, "experiments/a.yaml": config})
    return project


def all_objects(project: Path) -> list[bytes]:
    """Return the content of every object of the repository, of git and of Git LFS."""
    batch = subprocess.run(
        ["git", "cat-file", "--batch-all-objects", "--batch", "--unordered"],
        cwd=project,
        capture_output=True,
        check=True,
    ).stdout
    contents = []
    while batch:
        head, _, batch = batch.partition(b"\n")
        size = int(head.split()[2])
        contents.append(batch[:size])
        batch = batch[size + 1 :]
    for path in (project / ".git/lfs").rglob("*"):
        if path.is_file():
            contents.append(path.read_bytes())
    return contents


def assert_nowhere(project: Path) -> None:
    objects = all_objects(project)
    assert len(objects) > 10
    for content in objects:
        for part in PARTS:
            assert part.encode() not in content, content[:2000]


def test_a_token_is_in_no_object_and_in_no_message(leaking: Path) -> None:
    gitorch(leaking, "ready", env=ENV)
    ran = gitorch(leaking, "run", "-j", "2", env=ENV, code=1)
    assert_nowhere(leaking)
    [run] = gitorch_json(leaking, "list")["runs"]
    shown = gitorch(leaking, "show", run["id"]).stdout
    for text in (ran.stdout, ran.stderr, shown):
        assert not [part for part in PARTS if part in text]
    record = gitorch_json(leaking, "show", run["id"])["run"]
    [leak, *_] = record["tasks"]
    assert leak["status"] == "COMPLETE"
    assert leak["result"] == {
        "token": "********",
        "n ********": 2,
        "inner": [{"a": "<********>"}],
    }
    log = gitorch(leaking, "logs", run["id"], "--task", "class").stdout
    assert log.splitlines()[:2] == ["whole ********", "two writes ********"]


def test_the_log_of_a_killed_worker_is_masked_by_whoever_commits_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = 'echo "token $HUB_TOKEN"; sleep 60'
    tasks = [{"id": "t", "command": command}]
    write(project, "experiments/a.yaml", json.dumps({"tasks": tasks}))
    git(project, "config", "gitorch.lostLimit", "1")
    gitorch(project, "ready")
    monkeypatch.setenv("HUB_TOKEN", TOKEN)
    worker = started(project, "run")
    monkeypatch.delenv("HUB_TOKEN")
    wait_for(lambda: "token " in gitorch(project, "logs", "a").stdout)
    [kept] = (project / ".git/gitorch/workers").glob("*.secrets")
    assert kept.stat().st_mode & 0o777 == 0o600
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    assert gitorch(project, "logs", "a").stdout == "token ********\n"
    gitorch(project, "run", code=None)
    log = gitorch(project, "logs", "a", "--attempt", "1").stdout
    assert log.splitlines()[0] == "token ********"
    assert_nowhere(project)
    assert not list((project / ".git/gitorch/workers").glob("*.secrets"))


def test_a_secret_given_as_a_parameter_is_in_no_log(project: Path) -> None:
    config = "api_key: none\ntasks: [{id: t, command: 'echo key {api_key}'}]\n"
    write(project, "experiments/a.yaml", config)
    commit_files(project, {})
    given = f"api_key={base64.b64encode(os.fsencode(TOKEN)).decode()}"
    warned = gitorch(project, "run", "experiments", "-S", given)
    assert "'api_key' may be a secret" in warned.stderr
    assert gitorch(project, "logs", "a").stdout == "key ********\n"
