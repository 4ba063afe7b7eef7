"""Secrets reach neither the results branch nor the messages. Outputs are the task's own."""

from __future__ import annotations

import json
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

SECRET = "correct horse battery"
ENV = {"STORAGE_PAT": SECRET}
PASSWORD = "hunter2pass"
ADDRESS = f"https://me:{PASSWORD}@example.org/a/b.git"
TASKS = """
import json, os, gitorch
SECRET = os.environ["STORAGE_PAT"]
class Leak(gitorch.TaskBase):
    def __init__(self, config): self.config = config
    def run(self):
        print("log", SECRET)
        gitorch.metric(f"metric {SECRET}", 1)
        with open(os.environ["GITORCH_EVENTS"], "a") as events:
            events.write(json.dumps({"note": SECRET}) + "\\n")
        with open("README.md", "a") as file:
            file.write(SECRET)
        with open(os.path.join(self.config["outputDir"], "out.txt"), "w") as file:
            file.write(self.config["x"])
        if self.config.get("fails"):
            raise ValueError(f"cannot log in with {SECRET}")
        return {"text": SECRET, f"number {SECRET}": 2}
"""


@pytest.fixture
def leaking(project: Path) -> Path:
    commit_files(project, {"Tasks.py": TASKS})
    write(
        project, "experiments/a.yaml", "x: abc\ntasks: [{id: one, method: Leak}]\n"
    )
    write(
        project,
        "experiments/b.yaml",
        "x: abc\nfails: true\ntasks: [{id: one, method: Leak}]\n",
    )
    return project


def branch_text(project: Path) -> str:
    """Return all objects of the results branch's history, as text."""
    return git(project, "log", "-p", "--text", "--format=%B", "gitorch/results")


def test_no_secret_of_the_environment_reaches_the_branch_or_a_message(
    leaking: Path,
) -> None:
    git(leaking, "add", "-A")
    git(leaking, "commit", "-qm", "configs")
    gitorch(leaking, "ready", env=ENV)
    ran = gitorch(leaking, "run", env=ENV, code=1)
    text = branch_text(leaking)
    assert "horse" not in text + ran.stdout + ran.stderr
    assert text.count("********") > 8
    runs = gitorch_json(leaking, "list")["runs"]
    assert {run["status"] for run in runs} == {"COMPLETE", "ERROR"}
    failed = next(run for run in runs if run["status"] == "ERROR")
    shown = gitorch(leaking, "show", failed["id"]).stdout
    assert "cannot log in with ********" in shown
    # Parameters and outputs are the task's own.
    outputs = git(leaking, "ls-tree", "-r", "--name-only", "gitorch/results")
    kept = [path for path in outputs.splitlines() if path.endswith("out.txt")]
    assert [git(leaking, "show", f"gitorch/results:{path}") for path in kept] == [
        "abc",
        "abc",
    ]


def test_reasons_of_the_operator_are_masked(leaking: Path) -> None:
    git(leaking, "add", "-A")
    git(leaking, "commit", "-qm", "configs")
    gitorch(leaking, "ready", env=ENV)
    gitorch(leaking, "hold", "--all", "--why", f"waits for {SECRET}", env=ENV)
    gitorch(leaking, "kill", "--all", "-y", "--why", f"used {SECRET}", env=ENV)
    assert "horse" not in branch_text(leaking)


def test_passwords_in_addresses_are_masked_and_a_rerun_works(project: Path) -> None:
    git(project, "remote", "add", "origin", ADDRESS)
    config = f"githubRepository: {ADDRESS}\ntasks: [{{id: one, command: 'true'}}]\n"
    write(project, "experiments/a.yaml", config)
    commit_files(project, {})
    gitorch(project, "ready")
    gitorch(project, "run")
    gitorch(project, "rerun", "a")
    assert PASSWORD not in branch_text(project)
    (project / ".git/gitorch/queue.db").unlink()
    gitorch(project, "run")
    assert {run["status"] for run in gitorch_json(project, "list")["runs"]} == {
        "COMPLETE"
    }


def test_messages_about_addresses_are_masked(project: Path) -> None:
    git(project, "remote", "add", "origin", "https://example.org/other.git")
    config = f"githubRepository: {ADDRESS}\ntasks: [{{id: one, command: 'true'}}]\n"
    write(project, "experiments/a.yaml", config)
    commit_files(project, {})
    for arguments in (
        ["check"],
        ["check", "--json"],
        ["ready"],
        ["ready", "--json"],
    ):
        result = gitorch(project, *arguments, code=None)
        assert PASSWORD not in result.stdout + result.stderr


def test_the_log_of_a_running_attempt_is_masked(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = project.parent / "go"
    command = f'echo "a $HUB_TOKEN b"; while [ ! -e {go} ]; do sleep 0.05; done'
    write(
        project,
        "experiments/a.yaml",
        json.dumps({"tasks": [{"id": "t", "command": command}]}),
    )
    gitorch(project, "ready")
    # Only the worker has the secret, and not who reads the log.
    monkeypatch.setenv("HUB_TOKEN", "s3cr3t-v4lue")
    worker = started(project, "run")
    monkeypatch.delenv("HUB_TOKEN")
    wait_for(lambda: "a " in gitorch(project, "logs", "a").stdout)
    assert gitorch(project, "logs", "a").stdout == "a ******** b\n"
    follower = started(project, "logs", "-f", "a")
    go.touch()
    assert follower.communicate(timeout=30)[0] == "a ******** b\n"
    worker.communicate(timeout=30)


def test_a_secret_in_a_config_is_refused_unless_it_is_allowed(
    project: Path,
) -> None:
    command = "test {api_key} = 0123456789-abcdef"
    write(
        project,
        "experiments/a.yaml",
        f"""
        api_key: none
        tasks: [{{id: t, command: '{command}'}}]
        """,
    )
    given = "api_key=0123456789-abcdef"
    for words in (("check", "-S", given), ("run", "experiments", "-S", given)):
        warned = gitorch(project, *words)
        assert "'api_key' may be a secret (its name is that of a secret)" in (
            warned.stdout + warned.stderr
        )
    for words in (("ready",), ("ready", "--json"), ("check",)):
        address = gitorch(
            project, *words, "-S", "note=db://me:hunter2-pass@db/x", code=1
        )
        assert "it is an address with a password" in address.stdout + address.stderr
        assert "hunter2" not in address.stdout + address.stderr
    named = gitorch(
        project,
        *("ready", "-S", "note=s3cr3t-v4lue"),
        env={"HUB_TOKEN": "s3cr3t-v4lue"},
        code=1,
    )
    assert "'note' is a secret" in named.stdout + named.stderr
    assert "s3cr3t" not in named.stdout + named.stderr
    git(project, "config", "gitorch.secrets", "allow")
    allowed = gitorch(project, "run", "experiments", "--again", "-S", given)
    assert "secret" not in allowed.stderr
    gitorch(project, "rerun", "a")


def test_the_setting_secret_names_more_variables(project: Path) -> None:
    git(project, "config", "gitorch.secret", "LAB_*")
    git(project, "config", "--add", "gitorch.secret", "*_PIN")
    git(project, "config", "gitorch.recordEnv", "LAB_*")
    env = {"LAB_DOOR": "open-sesame-1", "CARD_PIN": "very-secret-2"}
    config = "tasks: [{id: t, command: 'echo $LAB_DOOR; echo https://$CARD_PIN@host/x'}]\n"
    commit_files(project, {"experiments/a.yaml": config})
    gitorch(project, "run", "experiments", env=env)
    objects = git(project, "rev-list", "--objects", "gitorch/results").splitlines()
    texts = [git(project, "cat-file", "-p", line.split()[0]) for line in objects]
    assert len(texts) > 5
    assert not [text for text in texts if "sesame" in text or "very-secret" in text]
    variables = gitorch_json(project, "show", "@")["run"]["environment"][
        "variables"
    ]
    assert variables["LAB_DOOR"] == "********"
