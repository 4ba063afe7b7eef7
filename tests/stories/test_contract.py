"""The interface for scripts: the documents of --json, the exit codes, and the streams."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

ID = re.compile(r"[0-9a-f]{12}\Z")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z\Z")
TASKS = """
class Train:
    def __init__(self, config):
        self.config = config
    def run(self):
        with open(self.config["outputDir"] + "/model.txt", "w") as file:
            file.write(str(self.config["rate"]))
        if self.config["rate"] > 1:
            raise ValueError("diverged")
        return {"loss": self.config["rate"] / 2}
"""


def _with_three_runs(project: Path) -> dict[str, str]:
    """Make two COMPLETE runs and one in ERROR. Return their ids by name."""
    commit_files(project, {"Tasks.py": TASKS})
    rates = {"low": 0.1, "mid": 0.5, "high": 2}
    for name, rate in rates.items():
        write(
            project,
            f"experiments/{name}.yaml",
            f"rate: {rate}\ntasks: [{{id: train, method: Train}}]\n",
        )
    gitorch(project, "run", "experiments", code=1)
    return {run["name"]: run["id"] for run in gitorch_json(project, "list")["runs"]}


def test_documents_have_the_promised_shape(project: Path) -> None:
    run_ids = _with_three_runs(project)
    write(
        project, "experiments/broken.yaml", "tasks: [{id: train, comand: 'true'}]\n"
    )
    write(
        project,
        "experiments/new.yaml",
        "rate: 0.3\ntasks: [{id: train, method: Train}]\n",
    )

    problems = _assert_check(project)
    _assert_ready(project, run_ids, problems)
    _assert_list(project)
    _assert_status(project)

    shown = gitorch_json(project, "show", "high")
    assert shown["schema"] == "gitorch/show/v1"
    _assert_record(shown["run"])

    _assert_compare(project, run_ids)
    _assert_change_and_run(project, run_ids)
    again = gitorch_json(project, "rerun", "low", "--verify")
    assert again["schema"] == "gitorch/rerun/v1"
    assert [run["rerun_of"] for run in again["runs"]] == [run_ids["low"]]


def _assert_check(project: Path) -> list[Any]:
    """Check the document of `check`. Return its problems."""
    checked = gitorch_json(project, "check", code=1)
    assert checked["schema"] == "gitorch/check/v1"
    [problem] = checked["problems"]
    assert problem.keys() >= {"file", "line", "column", "message", "hint"}
    position = (problem["file"], problem["line"], problem["column"])
    assert position == ("experiments/broken.yaml", 1, 21)
    assert (
        gitorch_json(project, "check", "--output-format", "json", code=1) == checked
    )
    return [problem]


def _assert_ready(
    project: Path, run_ids: dict[str, str], problems: list[Any]
) -> None:
    ready = gitorch_json(project, "ready", code=1)
    assert ready["schema"] == "gitorch/ready/v1"
    [queued] = ready["queued"]
    assert (queued["name"], queued["params"]) == ("new", {"rate": 0.3})
    assert {run["name"]: run["id"] for run in ready["skipped"]} == run_ids
    assert all(
        run.keys() >= {"id", "name", "params", "why"} for run in ready["skipped"]
    )
    assert ready["problems"] == problems


def _assert_list(project: Path) -> None:
    listed = gitorch_json(project, "list")
    assert listed["schema"] == "gitorch/list/v1"
    names = [run["name"] for run in listed["runs"]]
    assert names == ["new", "mid", "low", "high"], "newest first"
    for run in listed["runs"]:
        _assert_row(run)
    statuses = {run["name"]: run["status"] for run in listed["runs"]}
    assert statuses == {
        "new": "WAITING",
        "mid": "COMPLETE",
        "low": "COMPLETE",
        "high": "ERROR",
    }


def _assert_status(project: Path) -> None:
    status = gitorch_json(project, "status")
    assert status["schema"] == "gitorch/status/v1"
    assert status["counts"] == {
        "WAITING": 1,
        "RUNNING": 0,
        "COMPLETE": 2,
        "ERROR": 1,
        "FAILED": 0,
        "HOLD": 0,
    }
    assert {run["name"] for run in status["runs"]} == {"new", "high"}, (
        "finished runs are left out"
    )
    for run in status["runs"]:
        expected = {
            "id",
            "name",
            "label",
            "status",
            "task",
            "progress",
            "elapsed_s",
            "eta_s",
            "why",
        }
        assert run.keys() >= expected
    assert status["workers"] == []
    assert "eta_s" in status


def _assert_compare(project: Path, run_ids: dict[str, str]) -> None:
    compared = gitorch_json(project, "compare", "low", "mid")
    assert compared["schema"] == "gitorch/compare/v1"
    assert compared["runs"] == [run_ids["low"], run_ids["mid"]]
    assert compared["same"] is False
    assert (
        compared["code"].items()
        >= {"same": True, "commits": [], "files": []}.items()
    )
    assert compared["config"] == {"same": False, "changed": {"rate": [0.1, 0.5]}}
    assert compared["metrics"] == {"same": False, "changed": {"loss": [0.05, 0.25]}}
    assert compared["outputs"] == {
        "same": False,
        "changed": ["model.txt"],
        "added": [],
        "removed": [],
    }
    assert compared["environment"]["same"] is True
    assert compared["data"]["same"] is True


def _assert_change_and_run(project: Path, run_ids: dict[str, str]) -> None:
    """Check the documents of `retry` and of the `run` after it."""
    retried = gitorch_json(project, "retry", "high")
    assert retried == {
        "schema": "gitorch/change/v1",
        "changed": [{"id": run_ids["high"], "from": "ERROR", "to": "WAITING"}],
        "refused": [],
    }
    worked = gitorch_json(project, "run", code=1)
    assert worked["schema"] == "gitorch/run/v1"
    statuses = {run["label"]: run["status"] for run in worked["runs"]}
    assert statuses == {"new": "COMPLETE", "high": "ERROR"}
    assert all(run.keys() >= {"id", "label", "status"} for run in worked["runs"])


def _assert_row(run: dict[str, Any]) -> None:
    assert ID.match(run["id"])
    assert run.keys() >= {
        "name",
        "label",
        "status",
        "commit",
        "params",
        "swept",
        "metrics",
        "created",
        "started",
        "ended",
        "duration_s",
    }
    assert STAMP.match(run["created"])
    if run["status"] == "WAITING":
        assert (run["started"], run["ended"], run["duration_s"]) == (
            None,
            None,
            None,
        )
    else:
        assert STAMP.match(run["started"])
        assert run["duration_s"] >= 0


def _assert_record(record: dict[str, Any]) -> None:
    assert record["schema"] == "gitorch/record/v1"
    keys = {
        "id",
        "name",
        "label",
        "status",
        "clone",
        "source",
        "pin",
        "params",
        "swept",
        "created",
        "started",
        "ended",
        "rerun_of",
        "metrics",
        "tasks",
        "outputs",
        "environment",
        "history",
    }
    assert record.keys() >= keys
    assert record["pin"].keys() >= {"commit", "tree", "snapshot"}
    [task] = record["tasks"]
    assert task.keys() >= {"id", "status", "pin", "result", "metrics", "attempts"}
    [attempt] = task["attempts"]
    assert attempt.keys() >= {"number", "started", "ended", "host", "outcome"}
    assert (
        attempt["outcome"].items() >= {"kind": "exit-code", "exit_code": 1}.items()
    )
    [output] = record["outputs"]
    assert output.keys() >= {"path", "size", "sha256", "stored", "task"}
    stored = (output["path"], output["size"], output["stored"], output["task"])
    assert stored == ("model.txt", 1, "git", "train")
    changes = [(change["from"], change["to"]) for change in record["history"]]
    assert changes == [
        (None, "WAITING"),
        ("WAITING", "RUNNING"),
        ("RUNNING", "ERROR"),
    ]
    assert all(change.keys() >= {"at", "by", "why"} for change in record["history"])


def test_an_empty_repository_lists_nothing(project: Path) -> None:
    assert gitorch_json(project, "list") == {
        "schema": "gitorch/list/v1",
        "runs": [],
    }
    assert gitorch(project, "list", "--csv").stdout.startswith(
        "id,name,label,status,commit"
    )
    assert gitorch_json(project, "run") == {"schema": "gitorch/run/v1", "runs": []}
    assert gitorch_json(project, "status")["counts"]["WAITING"] == 0
    references = git(project, "for-each-ref", "refs/heads/gitorch", "refs/gitorch")
    assert references == "", "a command that only reads does not create the branch"


def test_with_json_every_error_is_a_single_document(
    project: Path, tmp_path: Path
) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "run", "experiments")
    write(project, "README.md", "changed\n")
    write(project, "experiments/b.yaml", "tasks: [{id: t, command: 'false'}]\n")
    cases: list[tuple[tuple[str, ...], int, str]] = [
        (("list", "--no-such-option"), 2, "usage"),
        (("no-such-command",), 2, "usage"),
        (("show",), 2, "usage"),
        (("compare", "@"), 2, "usage"),
        (("run", "-j", "0"), 2, "usage"),
        (("run", "-j", "9" * 5000), 2, "usage"),
        (("check", "--output-format", "xml"), 2, "usage"),
        (("show", "no-such-run"), 3, "not-found"),
        (("show", "@~7"), 3, "not-found"),
        (("ready", "no/such/path"), 3, "not-found"),
        (("ready", "--at", "no-such-revision"), 3, "not-found"),
        (("-C", str(tmp_path), "list"), 3, "not-found"),
        (("-C", str(tmp_path / "nowhere"), "list"), 3, "not-found"),
        (("ready",), 4, "refused"),
        (("run", "@"), 4, "refused"),
        (("retry", "@"), 4, "refused"),
    ]
    for arguments, code, kind in cases:
        result = gitorch(project, *arguments, "--json", code=code)
        document = json.loads(result.stdout)
        assert document.keys() == {"schema", "error"}, arguments
        assert document["schema"] == "gitorch/error/v1"
        assert document["error"].keys() == {"kind", "message", "hint"}
        assert document["error"]["kind"] == kind, arguments
        assert document["error"]["message"]
    refused = gitorch(project, "ready", code=4)
    assert refused.stdout == "", "without --json an error goes to stderr"
    assert "README.md" in refused.stderr
    assert "--snapshot" in refused.stderr


def test_an_ambiguous_prefix_is_a_usage_error_that_lists_the_candidates(
    project: Path,
) -> None:
    for name in ("one", "two"):
        write(
            project,
            f"experiments/{name}.yaml",
            f"tasks: [{{id: t, command: echo {name}}}]\n",
        )
    gitorch(project, "ready")
    runs = gitorch_json(project, "list")["runs"]
    # Ids with a common prefix occur only by chance. The second run is renamed to share one.
    first, second = runs[0]["id"], runs[1]["id"]
    twin = first[:11] + ("0" if first[11] != "0" else "1")
    _rename_record(project, second, twin)
    refused = gitorch(project, "show", first[:6], code=2)
    assert refused.stdout == ""
    assert first in refused.stderr
    assert twin in refused.stderr
    document = gitorch_json(project, "show", first[:6], code=2)
    assert document["error"]["kind"] == "usage"
    assert gitorch_json(project, "show", first)["run"]["id"] == first
    assert gitorch_json(project, "show", "two")["run"]["name"] == "two"


def _rename_record(project: Path, old: str, new: str) -> None:
    """Change the id of a run, with plain git."""
    tree = project.parent / "branch"
    git(project, "worktree", "add", "-q", str(tree), "gitorch/results")
    target = tree / "runs" / new[:2]
    target.mkdir(exist_ok=True)
    (tree / "runs" / old[:2] / old).rename(target / new)
    record = target / new / "record.json"
    record.write_text(record.read_text().replace(old, new))
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "another id")
    git(project, "worktree", "remove", "--force", str(tree))


def test_data_goes_to_stdout_and_messages_go_to_stderr(project: Path) -> None:
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: t, command: 'echo hello; echo warned >&2'}]\n",
    )
    name = (
        "a-run-with-a-name-that-is-longer-than-most-terminals-are-wide-" + "x" * 30
    )
    write(
        project,
        "experiments/long.yaml",
        f"gitorch: {{name: {name}}}\ntasks: [{{id: t, command: 'true'}}]\n",
    )
    ready = gitorch(project, "ready")
    ids = [line.split("  ")[0] for line in ready.stdout.splitlines()]
    assert all(map(ID.match, ids))
    assert f"{name}\n" in ready.stdout
    assert "Queued 2 runs" in ready.stderr
    worked = gitorch(project, "run")
    assert worked.stdout == ""
    line = rf"^{ids[1]}  {name}: t COMPLETE in [0-9.]+s$"
    assert re.search(line, worked.stderr, re.MULTILINE), "lines are not cut off"
    assert not re.search("[\r\x1b]", ready.stderr + worked.stderr)
    logs = gitorch(project, "logs", "a")
    assert logs.stdout == "hello\nwarned\n"
    assert name in gitorch(project, "list", env={"COLUMNS": "40"}).stdout
    rerun = gitorch(project, "rerun", "a")
    assert ID.match(rerun.stdout.strip()), (
        "stdout contains only the id of the new run"
    )
    checkout = gitorch(project, "checkout-run", "a").stdout
    assert checkout.count("\n") == 1
    assert Path(checkout.strip()).is_dir()


def test_run_of_a_config_executes_its_queued_run(project: Path) -> None:
    config = write(
        project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n"
    )
    gitorch(project, "ready")
    [run] = gitorch_json(project, "run", config)["runs"]
    assert run["status"] == "COMPLETE"
    assert gitorch_json(project, "run", config)["runs"] == [], (
        "the run is already COMPLETE"
    )


def test_logs_of_an_attempt_that_does_not_exist_are_not_found(
    project: Path,
) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: echo hello}]\n")
    gitorch(project, "run", "experiments")
    for number in ("0", "-1", "2"):
        missing = gitorch(project, "logs", "@", "--attempt", number, code=3)
        assert missing.stdout == ""
        assert f"no attempt {number}" in missing.stderr


def test_an_error_of_the_operating_system_is_a_message_without_a_traceback(
    project: Path,
) -> None:
    failed = gitorch(project, "demo", "/dev/null/demo", code=1)
    assert failed.stderr == "error: /dev/null/demo: Not a directory\n"
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "gitorch", "list", "--json"],
            cwd=project,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert "No space left on device" in result.stderr
    assert "Traceback" not in result.stderr


def test_only_terminals_that_support_colours_get_colours(project: Path) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: exit 3}]\n")
    gitorch(project, "run", "experiments", code=1)
    on_terminal = {"TERM": "xterm-256color", "GIT_PAGER": "cat"}
    assert "\x1b[" not in gitorch(project, "list", env=on_terminal).stdout, (
        "stdout is not a terminal"
    )
    assert "\x1b[31mERROR" in _on_a_terminal(project, on_terminal, "list")
    assert "\x1b[" not in _on_a_terminal(
        project, {**on_terminal, "NO_COLOR": "1"}, "list"
    )
    assert "\x1b[" not in _on_a_terminal(
        project, {**on_terminal, "TERM": "dumb"}, "list"
    )
    coloured = _on_a_terminal(project, {**on_terminal, "NO_COLOR": ""}, "list")
    assert "\x1b[" in coloured, "an empty NO_COLOR counts as unset"


def _on_a_terminal(root: Path, environment: dict[str, str], *arguments: str) -> str:
    """Run the program on a terminal. Return everything that it writes there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gitorch", *arguments],
        cwd=root,
        env={**os.environ, **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    read = b""
    while select.select([ours], [], [], 20)[0]:
        try:
            chunk = os.read(ours, 1 << 16)
        except OSError:  # EIO: the other end is closed.
            break
        if not chunk:
            break
        read += chunk
    os.close(ours)
    assert process.wait(20) == 0, read
    return read.decode()
