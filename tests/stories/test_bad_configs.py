"""Configs that cannot be right: each is told what is wrong, and queue, branch and worktrees stay as they were."""

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
from gitorch.runs.site import Site
from tests.config.test_properties import PATHS, VALUES, config_with, written
from tests.conftest import commit_files, git, gitorch, gitorch_json, started, wait_for, write

TASKS = "class Prepare:\n    def __init__(self, config): pass\n    def run(self): pass\nTrain = Prepare\n"


def _state(project: Path) -> tuple[Any, ...]:
    """All that a config may change: refs, worktrees, queue, and what git sees of the user's own files."""
    site = Site.at(project)
    return (
        git(project, "for-each-ref"),
        git(project, "worktree", "list", "--porcelain"),
        site.queue.runs() if site.queue_path.exists() else [],
        sorted(path.name for path in site.workspace.glob("????????????")),
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
def test_a_config_is_queued_whole_or_refused_without_a_trace(
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
        assert all(
            1 <= problem.line <= lines and problem.message.strip() for problem in made.problems
        )
    else:
        assert len(made.queued) + len(made.skipped) == 1


def test_all_errors_of_all_files_are_told_and_other_configs_are_queued(project: Path) -> None:
    commit_files(project, {"Tasks.py": TASKS})
    (project / "outside").symlink_to("/etc")
    commit_files(project, {})
    good = "tasks: [{id: t, command: 'true'}]\n"
    broken = {
        "syntax": "a: [1\ntasks: []\n",
        "empty": "",
        "list": "- 1\n",
        "twice": "a: 1\na: 2\ntasks: [{id: t, command: 'true'}]\n",
        "tag": "a: !!python/object:os.system x\ntasks: [{id: t, command: 'true'}]\n",
        "bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{name}: &{name} [{','.join(['*' + last] * 9)}]\n"
            for last, name in zip("abcdefgh", "bcdefghi", strict=True)
        )
        + good,
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
    told = gitorch(project, "ready", code=1)
    assert told.stdout == ""
    assert "Nothing was queued from 22 configs with problems" in told.stderr
    for name in (*broken, "latin"):
        assert f"--> experiments/{name}.yaml:" in told.stderr, name
    assert told.stderr.count("--> experiments/two_errors.yaml:") == 2
    assert _state(project) == before

    for name in ("good1", "good2"):
        write(project, f"experiments/{name}.yaml", f"name: {name}\n{good}")
    checked = gitorch_json(project, "check", code=1)
    made = gitorch_json(project, "ready", code=1)
    assert sorted(run["name"] for run in made["queued"]) == ["good1", "good2"]
    assert made["problems"] == checked["problems"]
    places = [(problem["file"], problem["line"], problem["column"]) for problem in made["problems"]]
    assert places == sorted(places), "in the order of files and lines"
    assert all(problem["message"] for problem in made["problems"])
    assert [run["name"] for run in gitorch_json(project, "list")["runs"]] == ["good2", "good1"]


def test_a_link_that_cannot_be_made_is_its_configs_problem(project: Path) -> None:
    commit_files(project, {".gitignore": "data*/\n", "Tasks.py": TASKS})
    (project / "data").mkdir()
    for name, link in (
        ("missing", "data2"),
        ("inTheCommit", "README.md"),
        ("belowAFile", "README.md/x"),
        ("fine", "data"),
    ):
        text = f"gitorch: {{link: [{link}]}}\ntasks: [{{id: {name}, command: 'ls {link}'}}]\n"
        write(project, f"experiments/{name}.yaml", text)
    write(project, "experiments/other.yaml", "tasks: [{id: t, method: Train}]\n")
    made = gitorch_json(project, "ready", code=1)
    assert sorted(run["name"] for run in made["queued"]) == ["fine", "other"]
    assert [
        (Path(problem["file"]).stem, problem["line"], problem["column"])
        for problem in made["problems"]
    ] == [
        ("belowAFile", 1, 18),
        ("inTheCommit", 1, 18),
        ("missing", 1, 18),
    ]
    gitorch(project, "run")


def test_a_broken_config_that_git_knows_stands_in_nobodys_way(project: Path) -> None:
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
    told = gitorch(project, "ready", code=1)
    assert told.stderr.count("error:") == 1, (
        "a deleted config is no dirt, and neither is one with an error"
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
        os.closerange(0, 100)
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


def test_what_validate_does_is_its_own_configs_problem(
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
        assert message in messages[name][0], name
    assert messages["Complains"] == ["the rate is too high", "and so is the seed"]
    assert [record.name for record in made.queued] == ["Fine", "Prints"]
    printed = made.validated.printed["experiments/Prints.yaml"]
    assert "looked at 14" in printed
    assert "raw" in printed
    assert len(_state(project)[1].split("worktree ")) == 4, "the user's own and one for each run"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_validate_that_is_interrupted_leaves_nothing(
    project: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    validates = "def validate(self):\n        open(self.config['told'], 'w').write(str(os.getpid()))\n        time.sleep(60)"
    tasks = f"import os, time\nclass Slow:\n    def __init__(self, config): self.config = config\n    {validates}\n"
    commit_files(project, {"Tasks.py": f"{tasks}    def run(self): pass\n"})
    told = tmp_path / "told"
    write(project, "experiments/slow.yaml", f"told: {told}\ntasks: [{{id: t, method: Slow}}]\n")
    before = _state(project)
    process = started(project, "ready")
    wait_for(lambda: told.exists() and told.read_text())
    process.send_signal(sent)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (130, "error: interrupted\n")
    wait_for(lambda: not Path(f"/proc/{told.read_text()}").exists())
    assert _state(project) == before
    assert list(Site.at(project).workspace.glob("scratch/*")) == []
