"""Invalid configs: every error is reported; queue, results branch and worktrees do not change."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitorch.actions import preflight
from gitorch.actions.ready import Ready, ready
from gitorch.model.problem import has_errors
from gitorch.storage.site import Site
from tests.config.test_properties import PATHS, VALUES, config_with, written
from tests.conftest import (
    commit_files,
    git,
    gitorch,
    gitorch_json,
    started,
    wait_for,
    write,
)

TASKS = """
class Prepare:
    def __init__(self, config): pass
    def run(self): pass
Train = Prepare
"""


def _state(project: Path) -> tuple[Any, ...]:
    """Return everything that `ready` may change, and the state of the user's own files.

    These are the references, the worktrees, the queue, the directories of runs, and the output of
    `git status`.
    """
    site = Site.at(project)
    queued = site.queue.runs() if site.queue_path.exists() else []
    directories = sorted(path.name for path in site.workspace.glob("????????????"))
    return (
        git(project, "for-each-ref"),
        git(project, "worktree", "list", "--porcelain"),
        queued,
        directories,
        git(project, "status", "--porcelain"),
    )


def _ready(project: Path, *paths: Path) -> Ready:
    return ready(Site.at(project), paths, environment=os.environ)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(path=st.sampled_from(PATHS), value=VALUES)
def test_a_config_is_queued_completely_or_refused_without_a_trace(
    project: Path, tmp_path: Path, path: tuple[str, ...], value: Any
) -> None:
    if not (project / "Tasks.py").exists():
        commit_files(project, {"Tasks.py": TASKS})
    config = tmp_path / "some.yaml"
    config.write_bytes(written(config_with(path, value)))
    before = _state(project)
    made = _ready(project, config)
    if has_errors(list(made.problems)):
        assert not made.queued
        assert not made.skipped
        assert _state(project) == before
        lines = config.read_bytes().count(b"\n") + 1
        for problem in made.problems:
            assert 1 <= problem.line <= lines
            assert problem.message.strip()
    else:
        assert len(made.queued) + len(made.skipped) == 1


def test_all_errors_of_all_files_are_reported_and_other_configs_are_queued(
    project: Path,
) -> None:
    commit_files(project, {"Tasks.py": TASKS})
    (project / "outside").symlink_to("/etc")
    commit_files(project, {})
    good = "tasks: [{id: t, command: 'true'}]\n"
    # Each line refers nine times to the line before: nine to the power of nine elements in all.
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n"
    for last, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{name}: &{name} [{','.join(['*' + last] * 9)}]\n"
    broken = {
        "syntax": "a: [1\ntasks: []\n",
        "empty": "",
        "list": "- 1\n",
        "twice": "a: 1\na: 2\ntasks: [{id: t, command: 'true'}]\n",
        "tag": "a: !!python/object:os.system x\ntasks: [{id: t, command: 'true'}]\n",
        "bomb": bomb + good,
        "no_tasks": "a: 1\n",
        "cycle": "tasks:\n- {id: a, command: x, needs: [b]}\n- {id: b, command: x, needs: [a]}\n",
        "same_id": "tasks: [{id: a, command: x}, {id: A, command: y}]\n",
        "unknown_need": "tasks: [{id: a, command: x, needs: [z]}]\n",
        "near": "tasks: [{id: a, comand: x}]\n",
        "no_class": "tasks: [{id: a, method: Trian}]\n",
        "no_param": "tasks: [{id: a, command: 'echo {rate}'}]\n",
        "quoted": "rate: 1\ntasks: [{id: a, command: \"echo '{rate}'\"}]\n",
        "climbs": "pathToTasks: ../..\n" + good,
        "absolute": "outputDir: /etc\n" + good,
        "link_out": "pathToTasks: outside\ntasks: [{id: a, method: Train}]\n",
        "matrix": "gitorch: {matrix: {a: []}}\n" + good,
        "future": "gitorch: {version: 99}\n" + good,
        "python": "gitorch: {python: no-such-python}\n" + good,
        "two_errors": "outputDir: ../x\ntasks: [{id: a}]\n",
    }
    for name, text in broken.items():
        write(project, f"experiments/{name}.yaml", "").write_text(text)
    write(project, "experiments/latin.yaml", "").write_bytes(b"a: \xff\n")
    before = _state(project)
    refused = gitorch(project, "ready", code=1)
    assert refused.stdout == ""
    assert "Nothing was queued from 22 configs with problems" in refused.stderr
    for name in (*broken, "latin"):
        assert f"--> experiments/{name}.yaml:" in refused.stderr, name
    assert refused.stderr.count("--> experiments/two_errors.yaml:") == 2
    assert _state(project) == before

    for name in ("good1", "good2"):
        write(project, f"experiments/{name}.yaml", f"dataset: {name}\n{good}")
    checked = gitorch_json(project, "check", code=1)
    made = gitorch_json(project, "ready", code=1)
    assert sorted(run["name"] for run in made["queued"]) == ["good1", "good2"]
    assert made["problems"] == checked["problems"]
    positions = [
        (problem["file"], problem["line"], problem["column"])
        for problem in made["problems"]
    ]
    assert positions == sorted(positions), "problems are sorted by file and line"
    assert all(problem["message"] for problem in made["problems"])
    assert [run["name"] for run in gitorch_json(project, "list")["runs"]] == [
        "good2",
        "good1",
    ]


def test_an_impossible_link_is_a_problem_of_its_config_alone(project: Path) -> None:
    commit_files(project, {".gitignore": "data*/\n", "Tasks.py": TASKS})
    (project / "data").mkdir()
    links = {
        "missing": "data2",
        "inTheCommit": "README.md",
        "belowAFile": "README.md/x",
        "fine": "data",
    }
    for name, link in links.items():
        text = f"gitorch: {{link: [{link}]}}\ntasks: [{{id: {name}, command: 'ls {link}'}}]\n"
        write(project, f"experiments/{name}.yaml", text)
    write(project, "experiments/other.yaml", "tasks: [{id: t, method: Train}]\n")
    made = gitorch_json(project, "ready", code=1)
    assert sorted(run["name"] for run in made["queued"]) == ["fine", "other"]
    positions = [
        (Path(problem["file"]).stem, problem["line"], problem["column"])
        for problem in made["problems"]
    ]
    assert positions == [
        ("belowAFile", 1, 18),
        ("inTheCommit", 1, 18),
        ("missing", 1, 18),
    ]
    gitorch(project, "run")


def test_a_broken_tracked_config_does_not_block_other_configs(
    project: Path,
) -> None:
    config = "tasks: [{id: t, command: 'true'}]\n"
    commit_files(
        project,
        {
            "experiments/a.yaml": config,
            "experiments/b.yaml": f"b: 1\n{config}",
            "gone.yaml": config,
        },
    )
    write(project, "experiments/a.yaml", "tasks: [\n")
    (project / "gone.yaml").unlink()
    stderr = gitorch(project, "ready", code=1).stderr
    assert stderr.count("error:") == 1, (
        "neither a deleted config nor an invalid one counts as an uncommitted change"
    )
    assert [run["name"] for run in gitorch_json(project, "list")["runs"]] == ["b"]


VALIDATES = """
import os, sys, time

class Fine:
    def __init__(self, config):
        self.config = config
    def run(self):
        pass
    def validate(self):
        return []

class Raises(Fine):
    def validate(self):
        raise ValueError("boom \\x1b[2J")
class Complains(Fine):
    def validate(self):
        return ["the rate is too high", "and so is the seed"]
class Prints(Fine):
    def validate(self):
        print("looked at", self.config["x"], "\\x1b]0;title\\x07")
        os.write(1, b"\\xff\\xfe raw")
        return []
class Five(Fine):
    def validate(self):
        return 5
class Odd(Fine):
    def validate(self):
        return [1, None]
class Generates(Fine):
    def validate(self):
        while True:
            yield "x"
class Exits(Fine):
    def validate(self):
        sys.exit(0)
class Dies(Fine):
    def validate(self):
        os._exit(0)
class Killed(Fine):
    def validate(self):
        os.kill(os.getpid(), 9)
class Closes(Fine):
    def validate(self):
        os.closerange(0, 1 << 16)
        return []
class Wide(Fine):
    def __init__(self, config):
        raise TypeError("no such config")
class NoRun:
    def __init__(self, config):
        pass
class Hangs(Fine):
    def validate(self):
        time.sleep(600)
class Eats(Fine):
    def validate(self):
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
        hoard = []
        while True:
            hoard.append(bytearray(1 << 26))
"""


def test_a_fault_of_validate_is_a_problem_of_its_config_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_files(project, {"Tasks.py": VALIDATES})
    expected = {
        "Raises": "ValueError: boom",
        "Complains": "the rate is too high",
        "Five": "not 5",
        "Odd": "[1, None]",
        "Generates": "generator",
        "Exits": "asked to exit (0)",
        "Dies": "exit code 0",
        "Killed": "signal 9",
        "Closes": "ended the process",
        "Wide": "no such config",
        "NoRun": "has no method run(self)",
        "Hangs": "does not end within 3 s",
        "Eats": "MemoryError",
    }
    for number, name in enumerate((*expected, "Fine", "Prints")):
        write(
            project,
            f"experiments/{name}.yaml",
            f"x: {number}\ntasks: [{{id: t, method: {name}}}]\n",
        )
    monkeypatch.chdir(project)
    monkeypatch.setattr(preflight, "_VALIDATE_LIMIT_S", 3.0)
    made = _ready(project)
    messages: dict[str, list[str]] = {name: [] for name in expected}
    for problem in made.problems:
        messages[Path(problem.file).stem].append(problem.message)
    for name, message in expected.items():
        assert message in str(messages[name]), name
    assert messages["Complains"] == ["the rate is too high", "and so is the seed"]
    assert [record.name for record in made.queued] == ["Fine", "Prints"]
    printed = made.validated.printed["experiments/Prints.yaml"]
    assert "looked at 14" in printed
    assert "raw" in printed
    worktrees = git(project, "worktree", "list", "--porcelain")
    assert worktrees.count("worktree ") == 3, (
        "the project itself and one for each run"
    )


SLOW_VALIDATE = """
import os, time

class Slow:
    def __init__(self, config):
        self.config = config
    def validate(self):
        with open(self.config["pidFile"], "w") as file:
            file.write(str(os.getpid()))
        time.sleep(60)
    def run(self):
        pass
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_validate_leaves_nothing_behind(
    project: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    commit_files(project, {"Tasks.py": SLOW_VALIDATE})
    pid_file = tmp_path / "pid"
    write(
        project,
        "experiments/slow.yaml",
        f"""
        pidFile: {pid_file}
        tasks: [{{id: t, method: Slow}}]
        """,
    )
    before = _state(project)
    process = started(project, "ready")
    wait_for(lambda: pid_file.exists() and pid_file.read_text())
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (130, "error: interrupted\n")
    wait_for(lambda: not Path(f"/proc/{pid_file.read_text()}").exists())
    assert _state(project) == before
    assert list(Site.at(project).workspace.glob("scratch/*")) == []
