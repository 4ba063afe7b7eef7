"""Preflight in a process of its own: whatever a task does is a problem of its config alone."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gitorch.interpreter.environment import attempt_environment
from gitorch.interpreter.preflight import (
    Complaint,
    Findings,
    PreflightConfig,
    PreflightTask,
    preflight,
)
from gitorch.interpreter.probe import Interpreter, probe

TASKS = """
import ctypes, logging, os, subprocess, sys, threading, time
from gitorch import TaskBase

print("imported", flush=True)

class Good(TaskBase):
    def run(self):
        raise AssertionError("nothing runs in preflight")
    def validate(self):
        return self.config.get("complaints", [])

class ByShape:
    def __init__(self, config):
        pass
    def run(self):
        pass

class Loud(Good):
    def validate(self):
        print("printed")
        print("to stderr", file=sys.stderr)
        logging.info("logged")
        subprocess.run(["echo", "by a child"])
        return []

class Constructor(Good):
    def __init__(self, config):
        self.rate = config["rate"]

class Raises(Good):
    def validate(self):
        raise ValueError("  not good\\n")

class Exits(Good):
    def validate(self):
        sys.exit("reason")

class Dies(Good):
    def validate(self):
        os._exit(9)

class Crashes(Good):
    def validate(self):
        os.kill(os.getpid(), 11)

class Slow(Good):
    def validate(self):
        time.sleep(0.6)
        return []


class Hangs(Good):
    def validate(self):
        child = subprocess.Popen(["setsid", "sleep", "600"])
        open(self.config["pids"], "w").write(f"{child.pid} {os.getpid()}")
        while True:
            try:
                time.sleep(600)
            except BaseException:
                pass

class DiesUnlessAlone(Good):
    seen = 0
    def validate(self):
        if count > 1:
            os._exit(9)
        return ["alone"]

class Counts(Good):
    def validate(self):
        global count
        count += 1
        return []

class Moves(Good):
    def validate(self):
        here = os.getcwd()
        os.chdir("/")
        return [here]

class Forks(Good):
    def validate(self):
        if os.fork() == 0:
            time.sleep(600)
        os._exit(4)

class Thread(Good):
    def validate(self):
        threading.Thread(target=time.sleep, args=[600]).start()

class One(Good):
    def validate(self):
        return "one string"

class Number(Good):
    def validate(self):
        return 3

class Abstract(TaskBase):
    pass

class NoRun:
    run = 3

def function(config):
    pass

count = 1
"""


@pytest.fixture(scope="module")
def interpreter() -> Interpreter:
    return probe(sys.executable, cwd=Path("/"), env=os.environ)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree/code").mkdir(parents=True)
    (tmp_path / "tree/code/Tasks.py").write_text(TASKS)
    return tmp_path / "tree"


def config(key: str, *methods: str, **params: Any) -> PreflightConfig:
    return PreflightConfig(
        key,
        [
            PreflightTask(f"{method.lower()}-id", method, params)
            for method in methods
        ],
    )


def look_over(
    interpreter: Interpreter,
    tree: Path,
    *configs: PreflightConfig,
    limit: float = 20,
    where: str = "code",
) -> dict[str, Findings]:
    env = attempt_environment(
        os.environ,
        interpreter=interpreter,
        tree=tree,
        main_root=Path("/nowhere"),
        declared={},
        gitorch={},
    )
    return preflight(interpreter, tree, where, configs, env=env, time_limit_s=limit)


def test_valid_tasks_have_no_complaints(
    interpreter: Interpreter, tree: Path
) -> None:
    found = look_over(
        interpreter,
        tree,
        config("a", "Good", "ByShape"),
        config("b", "Thread"),
        config("c"),
    )
    assert [findings.complaints for findings in found.values()] == [[], [], []]
    assert list(found) == ["a", "b", "c"]


def test_complaints_of_all_tasks_of_all_configs(
    interpreter: Interpreter, tree: Path
) -> None:
    found = look_over(
        interpreter,
        tree,
        config("a", "Good", "One", complaints=["first", "second"]),
        config("b", "Good", complaints=["third"]),
    )
    assert found["a"].complaints == [
        Complaint("good-id", "first", None, "task"),
        Complaint("good-id", "second", None, "task"),
        Complaint("one-id", "one string", None, "task"),
    ]
    assert found["b"].complaints == [Complaint("good-id", "third", None, "task")]


def test_output_is_attributed_to_its_config(
    interpreter: Interpreter, tree: Path
) -> None:
    found = look_over(
        interpreter,
        tree,
        config("a", "Good"),
        config("b", "Loud"),
        config("c", "Good"),
    )
    assert {
        key: findings.printed.splitlines() for key, findings in found.items()
    } == {
        "a": ["imported"],
        "b": ["printed", "to stderr", "INFO logged", "by a child"],
        "c": [],
    }


@pytest.mark.parametrize(
    ("method", "message", "hint"),
    [
        ("Goood", "there is no class 'Goood' in Tasks.py", "did you mean 'Good'?"),
        ("function", "'function' in Tasks.py is not a class, but a function", None),
        ("NoRun", "class 'NoRun' in Tasks.py has no method run(self)", None),
        ("Abstract", "class 'Abstract' in Tasks.py has no method run(self)", None),
    ],
)
def test_no_such_task(
    interpreter: Interpreter,
    tree: Path,
    method: str,
    message: str,
    hint: str | None,
) -> None:
    found = look_over(
        interpreter, tree, config("a", method, "Good", complaints=["also"])
    )
    assert found["a"].complaints == [
        Complaint(f"{method.lower()}-id", message, hint, "method"),
        Complaint("good-id", "also", None, "task"),
    ]


def test_the_hint_lists_the_tasks_if_none_is_close(
    interpreter: Interpreter, tree: Path
) -> None:
    (tree / "code/Tasks.py").write_text(TASKS.partition("class Loud")[0])
    [complaint] = look_over(interpreter, tree, config("a", "Xyz"))["a"].complaints
    assert complaint.hint == "there are: Good, ByShape"


def test_a_hint_names_the_line_after_the_project_changed_sys_path(
    interpreter: Interpreter, tree: Path
) -> None:
    (tree / "code/Tasks.py").write_text(
        "import sys\nsys.path.insert(0, '/')\n1 / 0\n"
    )
    [complaint] = look_over(interpreter, tree, config("a", "Good"))["a"].complaints
    assert complaint.hint == "see code/Tasks.py:3"


def line_of(text: str) -> int:
    return TASKS[: TASKS.index(text)].count("\n") + 1


@pytest.mark.parametrize(
    ("method", "message", "line"),
    [
        (
            "Constructor",
            "Constructor(config) raised KeyError: 'rate'",
            "self.rate =",
        ),
        (
            "Raises",
            "Raises.validate() raised ValueError: not good",
            "raise ValueError",
        ),
        ("Exits", "Exits.validate() asked to exit (reason)", "sys.exit("),
        (
            "Number",
            "Number.validate() raised TypeError: it has to return a list of strings, not 3",
            None,
        ),
    ],
)
def test_exceptions(
    interpreter: Interpreter,
    tree: Path,
    method: str,
    message: str,
    line: str | None,
) -> None:
    found = look_over(interpreter, tree, config("a", method), config("b", "Good"))
    hint = f"see code/Tasks.py:{line_of(line)}" if line else None
    assert found["a"].complaints == [
        Complaint(f"{method.lower()}-id", message, hint, "task")
    ]
    assert found["b"].complaints == []


@pytest.mark.parametrize(
    ("method", "how"),
    [("Dies", "exit code 9"), ("Crashes", "signal 11"), ("Forks", "exit code 4")],
)
def test_one_config_is_blamed_for_a_death(
    interpreter: Interpreter, tree: Path, method: str, how: str
) -> None:
    others = [
        config(f"other {number}", "Good", complaints=[str(number)])
        for number in range(4)
    ]
    found = look_over(
        interpreter,
        tree,
        *others[:2],
        config("a", method),
        *others[2:],
        config("b", method),
    )
    message = f"{method}.validate() ended the process with {how}"
    for key in "ab":
        assert found[key].complaints == [
            Complaint(f"{method.lower()}-id", message, None, "task")
        ]
    for number in range(4):
        assert [
            complaint.message for complaint in found[f"other {number}"].complaints
        ] == [str(number)]


def test_a_config_that_dies_because_of_another_is_tried_by_itself(
    interpreter: Interpreter, tree: Path
) -> None:
    found = look_over(
        interpreter,
        tree,
        config("a", "Counts"),
        config("b", "DiesUnlessAlone"),
        config("c", "Good"),
    )
    assert found["b"].complaints == [
        Complaint("diesunlessalone-id", "alone", None, "task")
    ]
    assert found["a"].complaints == found["c"].complaints == []


def test_a_hanging_process_is_killed_with_its_descendants(
    interpreter: Interpreter, tree: Path, tmp_path: Path
) -> None:
    began = time.monotonic()
    found = look_over(
        interpreter,
        tree,
        config("a", "Good", complaints=["before"]),
        config("b", "Hangs", pids=str(tmp_path / "pids")),
        config("c", "Good", complaints=["after"]),
        limit=0.8,
    )
    assert time.monotonic() - began < 10
    assert found["b"].complaints == [
        Complaint(
            "hangs-id", "Hangs.validate() does not end within 0.8 s", None, "task"
        )
    ]
    assert [found[key].complaints[0].message for key in "ac"] == ["before", "after"]
    for pid in (tmp_path / "pids").read_text().split():
        assert not Path(f"/proc/{pid}/fd/0").exists()


def test_the_time_limit_is_for_each_call(
    interpreter: Interpreter, tree: Path
) -> None:
    found = look_over(
        interpreter, tree, config("a", "Slow", "Slow", "Slow"), limit=1.5
    )
    assert found["a"].complaints == []


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        (
            "import nothing_like_it",
            "importing Tasks.py raised ModuleNotFoundError",
            "see code/Tasks.py:1",
        ),
        (
            "\n\nx = = 1",
            "importing Tasks.py raised SyntaxError",
            "see code/Tasks.py:3",
        ),
        (
            "import sys; sys.exit(3)",
            "importing Tasks.py asked to exit (3)",
            "see code/Tasks.py:1",
        ),
        (
            "import os; os._exit(3)",
            "importing Tasks.py ended the process with exit code 3",
            None,
        ),
        (
            "import time; time.sleep(600)",
            "importing Tasks.py does not end within 0.5 s",
            None,
        ),
    ],
)
def test_tasks_that_cannot_be_imported(
    interpreter: Interpreter,
    tree: Path,
    source: str,
    message: str,
    hint: str | None,
) -> None:
    (tree / "code/Tasks.py").write_text(source)
    limit = 0.5 if "does not end" in message else 20
    began = time.monotonic()
    found = look_over(
        interpreter,
        tree,
        config("a", "Good"),
        config("b", "Good"),
        config("c"),
        limit=limit,
    )
    assert time.monotonic() - began < 5
    [complaint] = found["a"].complaints
    assert complaint.message.startswith(message)
    assert (complaint.task, complaint.hint, complaint.where) == (
        None,
        hint,
        "pathToTasks",
    )
    assert found["b"].complaints == found["a"].complaints
    assert found["c"].complaints == []


def test_a_missing_tasks_module(interpreter: Interpreter, tree: Path) -> None:
    found = look_over(
        interpreter, tree, config("a", "Good"), config("c"), where="."
    )
    assert found["a"].complaints == [
        Complaint(
            None,
            "there is no Tasks.py in '.' in the commit",
            "`pathToTasks` names the directory of Tasks.py",
            "pathToTasks",
        )
    ]
    assert found["c"].complaints == []
    (tree / "tasks.py").touch()
    [complaint] = look_over(interpreter, tree, config("a", "Good"), where=".")[
        "a"
    ].complaints
    assert complaint.hint == "it is spelled tasks.py: rename it"


def test_each_config_starts_in_the_root(
    interpreter: Interpreter, tree: Path
) -> None:
    found = look_over(interpreter, tree, config("a", "Moves"), config("b", "Moves"))
    assert [findings.complaints[0].message for findings in found.values()] == [
        str(tree)
    ] * 2


def test_long_output_is_cut(interpreter: Interpreter, tree: Path) -> None:
    (tree / "code/Tasks.py").write_text(TASKS + "\nprint('x' * (3 << 20))\n")
    assert (
        len(look_over(interpreter, tree, config("a", "Good"))["a"].printed)
        == 1 << 20
    )
