"""Preflight runs in its own process. A fault of a task is reported for its own config only."""

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
import ctypes, logging, os, subprocess, sys, threading, time, unittest.mock
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
    def validate(self):
        if count > 1:
            os._exit(9)
        return ["alone"]

class Counts(Good):
    def validate(self):
        global count
        count += 1
        return []

registered = set()

class Registers(Good):
    def __init__(self, config):
        super().__init__(config)
        if self.__class__ in registered:
            raise ValueError("'encoder' is already registered")
        registered.add(self.__class__)

    def validate(self):
        return ["wrong rate %s" % self.config["rate"]] if self.config["rate"] > 8 else []

class AbortsSecond(Good):
    def validate(self):
        if "aborts" in registered:
            os._exit(3)
        registered.add("aborts")

class Moves(Good):
    def validate(self):
        directory = os.getcwd()
        os.chdir("/")
        return [directory]

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

class Generator:
    def run(self): yield 1

class Streamed:
    async def run(self): yield 1

class Nested:
    class run: ...

class Mocked:
    run = unittest.mock.MagicMock()

def function(config):
    pass

count = 1
"""


DO_THE_WORK = "do the work in run(self), and return the result"


@pytest.fixture(scope="module")
def interpreter() -> Interpreter:
    return probe(sys.executable, cwd=Path("/"), env=os.environ)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree/code").mkdir(parents=True)
    (tmp_path / "tree/code/Tasks.py").write_text(TASKS)
    return tmp_path / "tree"


def config(key: str, *methods: str, **params: Any) -> PreflightConfig:
    """Create a config with a task for each method. The id of a task is made from its method."""
    tasks = [PreflightTask(id_of(method), method, params) for method in methods]
    return PreflightConfig(key, tasks)


def id_of(method: str) -> str:
    return f"{method.lower()}-id"


def check(
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
    found = check(
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
    found = check(
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
    found = check(
        interpreter,
        tree,
        config("a", "Good"),
        config("b", "Loud"),
        config("c", "Good"),
    )
    printed = {}
    for key, findings in found.items():
        printed[key] = findings.printed.splitlines()
    assert printed == {
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
        (
            "Generator",
            "run of class 'Generator' in Tasks.py contains `yield`, so calling it does nothing",
            DO_THE_WORK,
        ),
        (
            "Streamed",
            "run of class 'Streamed' in Tasks.py contains `yield`, so calling it does nothing",
            DO_THE_WORK,
        ),
        (
            "Nested",
            "run of class 'Nested' in Tasks.py is a class, and calling it only makes an object",
            DO_THE_WORK,
        ),
        (
            "Mocked",
            "run of class 'Mocked' in Tasks.py is a MagicMock",
            DO_THE_WORK,
        ),
    ],
)
def test_a_method_that_does_not_name_a_task_class(
    interpreter: Interpreter,
    tree: Path,
    method: str,
    message: str,
    hint: str | None,
) -> None:
    found = check(
        interpreter, tree, config("a", method, "Good", complaints=["also"])
    )
    assert found["a"].complaints == [
        Complaint(id_of(method), message, hint, "method"),
        Complaint("good-id", "also", None, "task"),
    ]


def test_the_hint_lists_the_tasks_if_none_is_close(
    interpreter: Interpreter, tree: Path
) -> None:
    (tree / "code/Tasks.py").write_text(TASKS.partition("class Loud")[0])
    found = check(interpreter, tree, config("a", "Xyz"))
    [complaint] = found["a"].complaints
    assert complaint.hint == "there are: Good, ByShape"


def test_a_hint_names_the_line_even_if_the_project_changes_sys_path(
    interpreter: Interpreter, tree: Path
) -> None:
    (tree / "code/Tasks.py").write_text(
        "import sys\nsys.path.insert(0, '/')\n1 / 0\n"
    )
    found = check(interpreter, tree, config("a", "Good"))
    [complaint] = found["a"].complaints
    assert complaint.hint == "see code/Tasks.py:3"


def line_of(source: str) -> int:
    """Return the number of the line of TASKS that contains `source`."""
    start = TASKS.index(source)
    return TASKS.count("\n", 0, start) + 1


@pytest.mark.parametrize(
    ("method", "message", "source"),
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
def test_an_exception_is_a_complaint(
    interpreter: Interpreter,
    tree: Path,
    method: str,
    message: str,
    source: str | None,
) -> None:
    """A hint names the line that contains `source`. There is no hint if `source` is None."""
    found = check(interpreter, tree, config("a", method), config("b", "Good"))
    hint = None
    if source is not None:
        hint = f"see code/Tasks.py:{line_of(source)}"
    assert found["a"].complaints == [
        Complaint(id_of(method), message, hint, "task")
    ]
    assert found["b"].complaints == []


@pytest.mark.parametrize(
    ("method", "ending"),
    [("Dies", "exit code 9"), ("Crashes", "signal 11"), ("Forks", "exit code 4")],
)
def test_only_the_config_that_ends_the_process_gets_a_complaint(
    interpreter: Interpreter, tree: Path, method: str, ending: str
) -> None:
    found = check(
        interpreter,
        tree,
        config("other 0", "Good", complaints=["0"]),
        config("other 1", "Good", complaints=["1"]),
        config("a", method),
        config("other 2", "Good", complaints=["2"]),
        config("other 3", "Good", complaints=["3"]),
        config("b", method),
    )
    message = f"{method}.validate() ended the process with {ending}"
    complaint = Complaint(id_of(method), message, None, "task")
    assert found["a"].complaints == [complaint]
    assert found["b"].complaints == [complaint]
    for number in range(4):
        [complaint] = found[f"other {number}"].complaints
        assert complaint.message == str(number)


def test_a_config_that_fails_because_of_another_is_checked_alone(
    interpreter: Interpreter, tree: Path
) -> None:
    found = check(
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


@pytest.mark.parametrize("method", ["Registers", "AbortsSecond"])
def test_the_runs_of_a_sweep_do_not_depend_on_each_other(
    interpreter: Interpreter, tree: Path, method: str
) -> None:
    tasks = [
        PreflightTask(str(rate), method, {"rate": rate / 10}) for rate in range(6)
    ]
    found = check(
        interpreter, tree, PreflightConfig("a", tasks), PreflightConfig("b", tasks)
    )
    assert found["a"].complaints == []
    assert found["b"].complaints == []


def test_a_fault_of_one_run_of_a_sweep_is_found_beside_those_of_others(
    interpreter: Interpreter, tree: Path
) -> None:
    tasks = [
        PreflightTask(str(rate), "Registers", {"rate": rate}) for rate in (1, 9)
    ]
    found = check(interpreter, tree, PreflightConfig("a", tasks))
    [complaint] = found["a"].complaints
    assert complaint == Complaint("9", "wrong rate 9", None, "task")


def test_many_runs_that_fail_for_one_reason_need_few_processes(
    interpreter: Interpreter, tree: Path
) -> None:
    params = [{"complaints": [f"rate {rate} is wrong"]} for rate in range(300)]
    tasks = [
        PreflightTask(str(index), "Good", values)
        for index, values in enumerate(params)
    ]
    began = time.monotonic()
    found = check(interpreter, tree, PreflightConfig("a", tasks))
    assert len(found["a"].complaints) == 300
    assert time.monotonic() - began < 5


def test_a_hanging_process_is_killed_with_its_descendants(
    interpreter: Interpreter, tree: Path, tmp_path: Path
) -> None:
    began = time.monotonic()
    found = check(
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
    assert found["a"].complaints[0].message == "before"
    assert found["c"].complaints[0].message == "after"
    for pid in (tmp_path / "pids").read_text().split():
        assert not Path(f"/proc/{pid}/fd/0").exists()


def test_the_time_limit_applies_to_each_task(
    interpreter: Interpreter, tree: Path
) -> None:
    found = check(interpreter, tree, config("a", "Slow", "Slow", "Slow"), limit=1.5)
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
def test_a_tasks_module_that_cannot_be_imported(
    interpreter: Interpreter,
    tree: Path,
    source: str,
    message: str,
    hint: str | None,
) -> None:
    (tree / "code/Tasks.py").write_text(source)
    limit = 20.0
    if "does not end" in message:
        limit = 0.5
    began = time.monotonic()
    found = check(
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
    assert complaint.task is None
    assert complaint.hint == hint
    assert complaint.where == "pathToTasks"
    assert found["b"].complaints == found["a"].complaints
    assert found["c"].complaints == []


def test_a_missing_tasks_module(interpreter: Interpreter, tree: Path) -> None:
    found = check(interpreter, tree, config("a", "Good"), config("c"), where=".")
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
    found = check(interpreter, tree, config("a", "Good"), where=".")
    [complaint] = found["a"].complaints
    assert complaint.hint == "it is spelled tasks.py: rename it"


def test_each_config_starts_in_the_root(
    interpreter: Interpreter, tree: Path
) -> None:
    found = check(interpreter, tree, config("a", "Moves"), config("b", "Moves"))
    assert found["a"].complaints[0].message == str(tree)
    assert found["b"].complaints[0].message == str(tree)


def test_long_output_is_cut(interpreter: Interpreter, tree: Path) -> None:
    (tree / "code/Tasks.py").write_text(TASKS + "\nprint('x' * (3 << 20))\n")
    found = check(interpreter, tree, config("a", "Good"))
    assert len(found["a"].printed) == 1 << 20
