"""The program that runs a class task, started as an attempt starts it."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gitorch import runner
from gitorch.interpreter.environment import STAND_IN

PROGRAM = Path(runner.__file__).with_name("task_program.py")


class Done(NamedTuple):
    code: int
    log: str
    result: Any


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree/code").mkdir(parents=True)
    return tmp_path / "tree"


def run(tree: Path, source: str, method: str = "Task", config: Any = None) -> Done:
    (tree / "code/Tasks.py").write_text(source)
    config_path, result = tree.parent / "config.json", tree.parent / "result.json"
    config_path.write_text(json.dumps(config or {}))
    done = subprocess.run(
        [sys.executable, PROGRAM, tree / "code", method, result],
        cwd=tree,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": STAND_IN,
            "GITORCH_CONFIG": str(config_path),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Done(
        done.returncode,
        done.stdout,
        json.loads(result.read_text()) if result.exists() else None,
    )


def returning(expression: str) -> str:
    return f"""
import math
class Scalar:
    def item(self): return 0.25
class Tensor:
    def item(self): raise RuntimeError("a Tensor with 2 elements")
class Task:
    def __init__(self, config): self.config = config
    def run(self): return {expression}
"""


def test_a_task_receives_its_config_and_returns_a_result(tree: Path) -> None:
    config = {"rate": 0.1, "nested": {"ä": [1, None, True]}}
    assert run(tree, returning("self.config"), config=config) == Done(0, "", config)


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("None", None),
        ("(1, 2)", [1, 2]),
        (
            "{'inf': [-math.inf], 'huge': -10**5000}",
            {"inf": [-math.inf], "huge": math.inf},
        ),
        ("{'large': 10**30, 'flag': True}", {"large": 1e30, "flag": True}),
        ("{'accuracy': Scalar(), 1: 'one'}", {"accuracy": 0.25, "1": "one"}),
    ],
)
def test_results(tree: Path, expression: str, result: Any) -> None:
    assert run(tree, returning(expression)) == Done(0, "", result)


@pytest.mark.parametrize(
    "expression",
    [
        "object()",
        "{'a': {1, 2}}",
        "(lambda x: (x.append(x), x)[1])([])",
        "[Tensor()]",
    ],
)
def test_a_result_that_is_not_json_is_reported_and_is_not_a_failure(
    tree: Path, expression: str
) -> None:
    done = run(tree, returning(expression))
    assert (done.code, done.result) == (0, None)
    assert "the result of the task is not kept, since it is not JSON" in done.log


def test_an_exception_fails_and_shows_only_frames_of_the_project(
    tree: Path,
) -> None:
    (tree / "deep.py").write_text("def f():\n    raise ValueError('bad')\n")
    done = run(
        tree,
        "import deep\nclass Task:\n    def __init__(self, c): pass\n    def run(self): deep.f()\n",
    )
    assert done.code == 1
    assert [line for line in done.log.splitlines() if "^^" not in line] == [
        "Traceback (most recent call last):",
        f'  File "{tree}/code/Tasks.py", line 4, in run',
        "    def run(self): deep.f()",
        f'  File "{tree}/deep.py", line 2, in f',
        "    raise ValueError('bad')",
        "ValueError: bad",
    ]


@pytest.mark.parametrize(
    ("source", "code", "last"),
    [
        ("x = = 1", 1, "SyntaxError: invalid syntax"),
        (
            "import nothing_like_it",
            1,
            "ModuleNotFoundError: No module named 'nothing_like_it'",
        ),
        ("", 1, "AttributeError: module 'Tasks' has no attribute 'Task'"),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit('reason')", 1, "reason"),
    ],
)
def test_other_ends(tree: Path, source: str, code: int, last: str) -> None:
    done = run(tree, source)
    assert (done.code, (done.log.splitlines() or [""])[-1]) == (code, last)


def test_a_result_that_cannot_be_written_is_a_failure(tree: Path) -> None:
    (tree.parent / "result.json").mkdir()
    (tree / "code/Tasks.py").write_text(returning("1"))
    (tree.parent / "config.json").write_text("{}")
    done = subprocess.run(
        [
            sys.executable,
            PROGRAM,
            tree / "code",
            "Task",
            tree.parent / "result.json",
        ],
        cwd=tree,
        env={"GITORCH_CONFIG": str(tree.parent / "config.json")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "IsADirectoryError" in done.stderr


def test_the_order_of_import_directories(tree: Path) -> None:
    """pathToTasks is first, then the root; gitorch's own directory is not on the path."""
    (tree / "code/both.py").write_text("where = 'code'")
    (tree / "both.py").write_text("where = 'root'")
    (tree / "only.py").write_text("where = 'root'")
    (tree / "probe.py").write_text("where = 'root'")
    source = """
import os, sys, both, only, probe
class Task:
    def __init__(self, config): pass
    def run(self): return [both.where, only.where, probe.where, sys.path[:2], sys.argv, os.getcwd(), __name__]
"""
    code = str(tree / "code")
    assert run(tree, source).result == [
        "code",
        "root",
        "root",
        [code, str(tree)],
        [f"{code}/Tasks.py"],
        str(tree),
        "Tasks",
    ]


def test_older_convention(tree: Path) -> None:
    """A class may derive from the TaskBase of another package, and report by logging."""
    (tree / "job").mkdir()
    (tree / "job/__init__.py").write_text(
        "class TaskBase:\n    def __init__(self, config):\n        self.config = config\n"
    )
    source = """
import logging
from job import TaskBase

class Task(TaskBase):
    def run(self):
        logging.info("working with %s", self.config["rate"])
        logging.debug("not this")
        print("printed")
"""
    done = run(tree, source, config={"rate": 3})
    assert done.code == 0
    said, printed = sorted(done.log.splitlines())
    assert said.endswith(" INFO working with 3")
    assert printed == "printed"


def test_child_processes_of_a_task_can_import_the_tasks(tree: Path) -> None:
    source = """
import multiprocessing
def double(x): return 2 * x
class Task:
    def __init__(self, config): pass
    def run(self):
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            return pool.map(double, [1, 2])
"""
    assert run(tree, source).result == [2, 4]
