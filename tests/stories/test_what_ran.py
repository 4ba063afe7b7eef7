"""The record describes what really ran: interpreter, versions, and the time of all attempts."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gitorch.tools import reported
from tests.conftest import commit_files, git, gitorch, gitorch_json, write


def run(project: Path, config: str, **files: str) -> dict[str, Any]:
    """Commit a config, run it and return its record."""
    write(project, "experiments/e.yaml", config)
    commit_files(project, dict(files))
    gitorch(project, "run", "experiments", code=None)
    record: dict[str, Any] = gitorch_json(project, "show", "@")["run"]
    return record


def virtual_environment(directory: Path) -> None:
    """Make the least that is a virtual environment."""
    (directory / "bin").mkdir(parents=True)
    (directory / "bin/python").symlink_to(os.path.realpath(sys.executable))
    (directory / "pyvenv.cfg").write_text(
        f"home = {Path(os.path.realpath(sys.executable)).parent}\n"
    )


def test_a_project_without_python_has_no_python_in_its_record(
    project: Path,
) -> None:
    record = run(project, 'tasks: [{id: a, command: "echo 1"}]')
    assert record["status"] == "COMPLETE"
    assert record["environment"].keys().isdisjoint({"python", "packages"})
    assert "python" not in gitorch(project, "show", "@").stdout


@pytest.mark.parametrize(
    "config",
    [
        'tasks: [{id: a, command: "python -c 1"}]',
        'tasks: [{id: a, command: ["sh", "./train.py"]}]',
        "tasks: [{id: a, method: T}]",
    ],
)
def test_a_task_in_python_has_its_python_in_the_record(
    project: Path, config: str
) -> None:
    tasks = "class T:\n    def __init__(self, c): pass\n    def run(self): pass\n"
    record = run(project, config, **{"Tasks.py": tasks, "train.py": "true\n"})
    assert record["status"] == "COMPLETE"
    assert record["environment"]["python"].startswith("3.")


@pytest.mark.parametrize(
    ("command", "is_used"),
    [
        ("echo 1", False),
        ("./plain.sh", False),
        ("sh ./trains.sh", True),
        ("make -v || true", True),
        ("tool", True),
    ],
)
def test_the_environment_of_the_project_is_in_the_record_if_it_is_used(
    project: Path, command: str, is_used: bool
) -> None:
    """A command uses it if it leads to Python, also in a file that it names."""
    write(project, ".gitignore", ".venv\n")
    virtual_environment(project / ".venv")
    tool = write(project, ".venv/bin/tool", "#!/bin/sh\n")
    script = write(project, "plain.sh", "#!/bin/sh\n")
    for path in (tool, script):
        path.chmod(0o755)
    record = run(
        project,
        f'tasks: [{{id: a, command: "{command}"}}]',
        **{
            "plain.sh": "#!/bin/sh\ntrue\n",
            "trains.sh": "test -x 1 || true # python train.py\n",
            "Makefile": "all:\n\tpython -c 1\n",
        },
    )
    assert record["status"] == "COMPLETE"
    assert ("packages" in record["environment"]) == is_used


def test_what_the_tasks_ran_with_is_in_the_record(project: Path) -> None:
    config = """
        gitorch:
          env: {COLOR: red}
          environment:
            - cat version.txt
            - echo $COLOR >&2
            - nothing-like-this --version
            - head -c 100000 /dev/zero | tr '\\0' x
        tasks: [{id: a, command: "true"}, {id: b, command: "true"}]
    """
    record = run(project, config, **{"version.txt": "R 4.2\n"})
    commands = record["environment"]["commands"]
    assert commands["cat version.txt"] == "R 4.2"
    assert commands["echo $COLOR >&2"] == "red"
    assert "(exit code 127)" in commands["nothing-like-this --version"]
    assert 10_000 < len(commands["head -c 100000 /dev/zero | tr '\\0' x"]) < 20_000
    again = run(project, config.replace("cat v", "cat  v"))
    assert again["id"] == record["id"], "the commands do not make another run"


def test_the_machine_the_process_and_the_locks_are_in_the_record(
    project: Path,
) -> None:
    git(project, "config", "gitorch.recordEnv", "DATA_*, MODE")
    git(project, "config", "--add", "gitorch.recordEnv", "AWS_*")
    given = {
        "OMP_NUM_THREADS": "3",
        "DATA_ROOT": "/data",
        "MODE": "fast",
        "AWS_REGION": "eu-1",
        "AWS_SECRET_ACCESS_KEY": "abc",
        "OTHER": "other",
        "TZ": "Europe/Berlin",
        "LC_ALL": "C.UTF-8",
    }
    config = """
        gitorch: {env: {OMP_NUM_THREADS: "2"}}
        pathToTasks: part
        tasks: [{id: a, command: 'test $PYTHONHASHSEED = 0'}]
    """
    write(project, "experiments/e.yaml", config)
    files = {
        "uv.lock": "version = 1\n",
        "part/requirements-dev.txt": "a==1\n",
        "other/poetry.lock": "",
        "unlocked.txt": "",
    }
    commit_files(project, dict(files))
    gitorch(project, "run", "experiments", env=given)
    environment = gitorch_json(project, "show", "@")["run"]["environment"]
    variables = environment["variables"]
    variables.pop("LANG", None)
    assert variables == {
        "AWS_REGION": "eu-1",
        "AWS_SECRET_ACCESS_KEY": "********",
        "DATA_ROOT": "/data",
        "LC_ALL": "C.UTF-8",
        "MODE": "fast",
        "OMP_NUM_THREADS": "2",
        "PYTHONHASHSEED": "0",
        "TZ": "Europe/Berlin",
    }
    locks = {}
    for name in ("part/requirements-dev.txt", "uv.lock"):
        locks[name] = hashlib.sha256(files[name].encode()).hexdigest()
    assert environment["locks"] == locks
    assert environment["locale"] == "C.UTF-8"
    assert environment["timezone"] == "Europe/Berlin"
    assert int(environment["umask"], 8) < 0o1000


def test_a_hash_seed_of_ones_own_stays(project: Path) -> None:
    config = """
        gitorch: {env: {PYTHONHASHSEED: "7"}}
        tasks: [{id: a, command: 'test $PYTHONHASHSEED = 7'}]
    """
    record = run(project, config)
    assert record["status"] == "COMPLETE"
    assert record["environment"]["variables"]["PYTHONHASHSEED"] == "7"


def test_a_command_that_does_not_end_is_bounded(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reported, "TIME_LIMIT_S", 0.3)
    outputs = reported.report(["sleep 60"], tree=project, env=dict(os.environ))
    assert outputs == {"sleep 60": "(it did not end within 0.3 s)"}


def no_python(directory: Path) -> None:
    (directory / "bin").mkdir(parents=True)


def dangling_python(directory: Path) -> None:
    no_python(directory)
    (directory / "bin/python").symlink_to("/nowhere/python3.9")


def dangling_environment(directory: Path) -> None:
    directory.symlink_to("/nowhere/env")


def python_of_another_machine(directory: Path) -> None:
    no_python(directory)
    (directory / "bin/python").write_bytes(b"\x7fELF of another machine")
    (directory / "bin/python").chmod(0o755)


@pytest.mark.parametrize(
    "break_it",
    [no_python, dangling_python, dangling_environment, python_of_another_machine],
)
def test_a_broken_environment_is_refused(project: Path, break_it: Any) -> None:
    config = 'tasks: [{id: a, command: "python -V"}]\n'
    commit_files(project, {".gitignore": ".venv\n", "experiments/e.yaml": config})
    break_it(project / ".venv")
    refused = gitorch(project, "ready", code=1)
    assert ".venv/bin/python" in refused.stderr
    assert "`python:`" in refused.stderr
    assert gitorch_json(project, "list")["runs"] == []


def test_an_environment_that_breaks_after_ready_is_not_replaced(
    project: Path,
) -> None:
    config = 'tasks: [{id: a, command: "python -V"}]\n'
    commit_files(project, {".gitignore": ".venv\n", "experiments/e.yaml": config})
    virtual_environment(project / ".venv")
    gitorch(project, "ready")
    (project / ".venv").rename(project.parent / "elsewhere")
    gitorch(project, "run", code=1)
    [task] = gitorch_json(project, "show", "@")["run"]["tasks"]
    outcome = task["attempts"][0]["outcome"]
    assert outcome["kind"] == "could-not-start"
    assert ".venv/bin/python" in outcome["message"]


def test_the_interpreter_that_ran_is_in_the_record(project: Path) -> None:
    config = 'tasks: [{id: a, command: "python -V"}]\n'
    commit_files(project, {"experiments/e.yaml": config})
    first = project.parent / "first"
    virtual_environment(first)
    gitorch(project, "ready", env={"VIRTUAL_ENV": str(first)})
    first.rename(project.parent / "second")
    second = {"VIRTUAL_ENV": str(project.parent / "second")}
    gitorch(project, "run", env=second)
    environment = gitorch_json(project, "show", "@")["run"]["environment"]
    assert environment["interpreter"] == f"{project.parent}/second/bin/python"
    assert (
        f"{project.parent}/second/bin/python"
        in gitorch(project, "show", "@").stdout
    )


def test_took_is_the_sum_and_show_says_how_each_attempt_ended(
    project: Path,
) -> None:
    config = """
        tasks:
          - id: a
            command: sleep 0.2; echo x >> {outputDir}/n; test $(wc -l < {outputDir}/n) = 3 || exit 4
            gitorch: {retries: 2}
    """
    record = run(project, config)
    [task] = record["tasks"]
    attempts = task["attempts"]
    total = sum(attempt["duration_s"] for attempt in attempts)
    assert len(attempts) == 3
    assert record["duration_s"] == pytest.approx(total, abs=0.01)
    [row] = gitorch_json(project, "list")["runs"]
    assert row["duration_s"] == record["duration_s"]
    shown = gitorch(project, "show", "@").stdout.splitlines()
    lines = [line.split() for line in shown if line.startswith("    attempt")]
    assert [line[:2] for line in lines] == [["attempt", n] for n in "123"]
    assert [" ".join(line[3:]) for line in lines] == [
        "exit code 4",
        "exit code 4",
        "succeeded",
    ]
