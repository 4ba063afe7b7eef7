"""Files that a task leaves in the places where gitorch reads: pipes, devices, links, huge files.

The worker neither waits for them nor reads them. The run of the task ends, and says what is not
kept. Every other run is as always.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

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
from tests.faults.test_faults import assert_sound

SECRET = "a file that belongs to nobody's run"
# What the task puts in a place, by kind. $1 is the path.
KINDS = {
    "pipe": 'mkfifo "$1"',
    "device": 'mknod "$1" c 1 5',  # /dev/zero
    "directory": 'mkdir -p "$1/full"',
    "link": 'ln -s "$SECRET" "$1"',
    "endless": 'ln -s /dev/zero "$1"',
    "sparse": 'truncate -s 1T "$1"',
}
# The places, by the name of the run. `$A` is the directory of the attempt, `$R` of the run.
PLACES = {
    "log": '"$A/log.txt"',
    "events": '"$A/events.jsonl"',
    "result": '"$A/result.json"',
    "status": '"$A/status.json"',
    "status-aside": '"$A/.status.json"',
    "log-aside": '"$A/log.kept"',
    "attempt": '"$A"',
    "metrics": '"$GITORCH_OUTPUT_DIR/metrics.json"',
    "own-metrics": '"$GITORCH_OUTPUT_DIR/own.json"',
    "attributes": '"$GITORCH_OUTPUT_DIR/.gitattributes"',
    "output": '"$GITORCH_OUTPUT_DIR"',
    "memory": '"$R/seen.json"',
    "next-attempt": '"$R/log/after"',
    "next-log": '"$R/log/after/1/log.txt"',
    "next-events": '"$R/log/after/1/events.jsonl"',
    "tokens": '"$R/beside/tokens"',
    "tree-attributes": ".gitattributes",
    "tracked": "README.md",
    "git-file": ".git",
}
PLACE = """\
set -e
A=$(dirname "$GITORCH_EVENTS")
R=$(dirname "$GITORCH_OUTPUT_DIR")
PUT=$(mktemp)
cat > "$PUT" <<'END'
{kind}
END
eval "set -- $1"
echo changed >> Tasks.txt
mkdir -p "$(dirname "$1")"
rm -rf "$1"
SECRET={secret} sh "$PUT" "$1"
rm "$PUT"
"""
CONFIG = {
    "tasks": [
        {
            "id": "t",
            "command": ["sh", "place.sh"],
            "gitorch": {"metrics": ["own.json"]},
        },
        {
            "id": "after",
            "command": "git diff --quiet HEAD && test -d {outputDir} && echo as pinned",
        },
    ]
}


# The kinds that are tried in every place, and the places of the other kinds.
EVERYWHERE = ("pipe", "directory", "link")
READ = ("log", "events", "result", "status", "metrics", "own-metrics", "memory")
NOTED = ("log", "events", "result", "metrics", "own-metrics")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_a_task_leaves_stops_the_worker(
    project: Path, tmp_path: Path, kind: str
) -> None:
    content = json.dumps({"metric": SECRET, "value": 1})
    secret = tmp_path / "secret"
    secret.write_text(content)
    script = PLACE.format(kind=KINDS[kind], secret=secret)
    commit_files(project, {"place.sh": script, "Tasks.txt": "none\n"})
    places = PLACES if kind in EVERYWHERE else READ
    for name in places:
        config = json.loads(json.dumps(CONFIG))
        config["tasks"][0]["command"].append(PLACES[name])
        if name == "tokens":
            config["tasks"].append({"id": "beside", "command": "true", "needs": []})
        write(project, f"experiments/{name}.yaml", json.dumps(config))
    gitorch(project, "run", "experiments", "-j", "3", code=None, timeout=60)
    assert_sound(project)
    runs = {run["name"]: run for run in gitorch_json(project, "list")["runs"]}
    assert runs.keys() == set(places)
    for name, run in runs.items():
        [attempt] = record_of(project, run["id"])["tasks"][0]["attempts"]
        problem = attempt["outcome"].get("message", attempt.get("notes"))
        assert run["status"] == "COMPLETE" or problem, name
        assert name not in NOTED or problem, name
    assert secret.read_text() == content
    grep = git(project, "grep", "-l", SECRET, "gitorch/results", check=False)
    assert grep == "", "nothing behind a link was read"


def record_of(project: Path, run_id: str) -> Any:
    path = f"gitorch/results:runs/{run_id[:2]}/{run_id}/record.json"
    return json.loads(git(project, "show", path))


@pytest.mark.parametrize("command", ["check", "ready", "run"])
def test_a_config_that_is_not_a_file_is_refused(
    project: Path, command: str
) -> None:
    write(project, "experiments/good.yaml", "tasks: [{id: t, command: 'true'}]\n")
    bad = project / "experiments/bad.yaml"
    for make, reason in {
        "mkfifo bad.yaml": "not a file, but a named pipe",
        "ln -s /dev/zero bad.yaml": "not a file, but a device",
        "truncate -s 1T bad.yaml": "at most 4.0 MiB are read",
    }.items():
        subprocess.run(make, shell=True, check=True, cwd=bad.parent)
        refused = gitorch(project, command, bad, code=2, timeout=20)
        assert reason in refused.stderr
        extending = write(
            project, "base/a.yaml", "gitorch: {extends: ../experiments/bad.yaml}\n"
        )
        refused = gitorch(project, "check", extending, code=None, timeout=20)
        assert refused.returncode
        assert reason in refused.stderr + refused.stdout
        bad.unlink()


def test_logs_does_not_wait_for_a_pipe(project: Path, tmp_path: Path) -> None:
    command = (
        'd=$(dirname "$GITORCH_EVENTS"); rm $d/log.txt; mkfifo $d/log.txt;'
        f" rm -f $GITORCH_EVENTS; mkfifo $GITORCH_EVENTS; touch {tmp_path}/ready; sleep 30"
    )
    write(
        project,
        "experiments/a.yaml",
        json.dumps({"tasks": [{"id": "t", "command": command}]}),
    )
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "ready").exists)
    for arguments in (("logs", "a"), ("logs", "a", "--follow")):
        refused = gitorch(project, *arguments, code=None, timeout=20)
        assert "not a file, but a named pipe" in refused.stderr
    [run] = gitorch_json(project, "status")["runs"]
    assert run["progress"] is None
    gitorch(project, "kill", "--yes", "a")
    worker.communicate(timeout=20)


def test_the_end_of_a_run_names_what_is_not_kept(project: Path) -> None:
    command = "mkfifo {outputDir}/pipe; for n in $(seq 30); do mkfifo {outputDir}/x$n; done"
    write(
        project,
        "experiments/a.yaml",
        json.dumps({"tasks": [{"id": "t", "command": command}]}),
    )
    ended = gitorch(project, "run", "experiments").stderr
    assert "COMPLETE" in ended
    assert "note: pipe is not kept: not a file, but a named pipe\n" in ended
    assert ended.count("is not kept: not a file") == 20
    assert "note: 11 more files are not kept\n" in ended
