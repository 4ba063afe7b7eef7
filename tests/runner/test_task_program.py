"""The program that runs a class task, started as an attempt starts it."""

from __future__ import annotations

import json
import math
import os
import re
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
    reason: str | None = None
    is_done: bool = True


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree/code").mkdir(parents=True)
    return tmp_path / "tree"


def run(tree: Path, source: str, method: str = "Task", config: Any = None) -> Done:
    (tree / "code/Tasks.py").write_text(source)
    config_path, result = tree.parent / "config.json", tree.parent / "result.json"
    result.unlink(missing_ok=True)
    (tree.parent / "error.json").unlink(missing_ok=True)
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
    is_done = result.exists()
    value = json.loads(result.read_text()) if is_done else None
    error = tree.parent / "error.json"
    reason = json.loads(error.read_text())["reason"] if error.exists() else None
    return Done(done.returncode, done.stdout, value, reason, is_done)


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
        ("import sys; sys.exit()", 1, "sys.exit() was called before run()"),
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


def task(body: str, *, define: str = "def run(self):", before: str = "") -> str:
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    return (
        "import asyncio, concurrent.futures, itertools, os, sys, threading, unittest.mock\n"
        f"{before}\n"
        "class Stop(SystemExit): pass\n"
        "class Odd(BaseException): pass\n"
        "class Task:\n"
        "    def __init__(self, config): pass\n"
        f"    {define}\n{lines}"
    )


# How a task ends, with its exit code, and the reason if there is one.
ENDS = {
    "sys.exit(0)": (0, None),
    "sys.exit(3)": (3, None),
    "sys.exit(256)": (1, "sys.exit(256)"),
    "sys.exit(os.system('exit 1'))": (1, "sys.exit(256)"),
    "sys.exit(-1)": (255, "sys.exit(-1)"),
    "sys.exit(-256)": (1, "sys.exit(-256)"),
    "sys.exit(1 << 70)": (1, f"sys.exit({1 << 70})"),
    "sys.exit('no data')": (1, "no data"),
    "raise Stop(512)": (1, "sys.exit(512)"),
    "os._exit(256)": (1, None),
    "os._exit(os.system('exit 2'))": (1, None),
    "os._exit(4)": (4, None),
    "os._exit(0)": (0, None),
    "raise Odd('x')": (1, "Tasks.Odd: x"),
    "raise GeneratorExit": (1, "GeneratorExit"),
    "raise KeyboardInterrupt": (1, "KeyboardInterrupt"),
    "raise asyncio.CancelledError": (1, "asyncio.exceptions.CancelledError"),
    "yield 1": (1, "run() returns a generator, which nobody iterates over"),
    "return (x for x in 'ab')": (
        1,
        "run() returns a generator, which nobody iterates over",
    ),
    "return map(print, 'ab')": (
        1,
        "run() returns a map, which nobody iterates over",
    ),
    "return itertools.starmap(print, 'ab')": (
        1,
        "run() returns a starmap, which nobody iterates over",
    ),
    "return unittest.mock.MagicMock()": (
        1,
        "run() returns a MagicMock: it is not the task's own",
    ),
    "return concurrent.futures.ThreadPoolExecutor().submit(int, 'x')": (
        1,
        "ValueError: invalid literal for int() with base 10: 'x'",
    ),
}


@pytest.mark.parametrize("body", ENDS)
def test_called_is_not_done(tree: Path, body: str) -> None:
    code, reason = ENDS[body]
    done = run(tree, task(body))
    assert (done.code, done.reason, done.is_done) == (code, reason, code == 0)


def test_an_asynchronous_run_is_awaited(tree: Path) -> None:
    body = "await asyncio.sleep(0)\nreturn {'loss': 0.5}"
    done = run(tree, task(body, define="async def run(self):"))
    assert (done.code, done.result) == (0, {"loss": 0.5})
    done = run(tree, task("raise OSError(1, 'x')", define="async def run(self):"))
    assert (done.code, done.reason) == (1, "PermissionError: [Errno 1] x")
    assert "asyncio" not in done.log
    done = run(tree, task("yield 1", define="async def run(self):"))
    assert done.reason == (
        "run() returns a async_generator, which nobody iterates over"
    )


def test_a_process_that_ends_before_run_returns_has_no_result(tree: Path) -> None:
    """A library may call exit(3), and a fork may end with os._exit(0)."""
    leave = "import ctypes; ctypes.CDLL(None).exit(0)"
    done = run(tree, task(leave))
    assert (done.code, done.is_done) == (0, False)
    fork = "if os.fork() == 0: os._exit(0)\nos.wait()\nraise ValueError"
    done = run(tree, task(fork))
    assert (done.code, done.is_done, done.reason) == (1, False, "ValueError")


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        ("KeyError('rate')", "KeyError: 'rate'"),
        ("AssertionError()", "AssertionError"),
        (
            "ValueError('several:\\n\\n  lines\\nmore')",
            "ValueError: several: lines",
        ),
        ("ValueError('first\\nsecond')", "ValueError: first"),
        ("Unprintable()", "Tasks.Unprintable"),
        ("RuntimeError('ä\\udc80' * 3)", "RuntimeError: " + "ä\udc80" * 3),
    ],
)
def test_the_reason_is_the_exception(tree: Path, raised: str, reason: str) -> None:
    """Neither what is printed afterwards nor an exception that was handled is the reason."""
    before = (
        "import atexit\n"
        "atexit.register(print, 'Error: a trailing note')\n"
        "class Unprintable(Exception):\n"
        "    def __str__(self): raise ValueError\n"
    )
    body = f"try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise {raised}"
    done = run(tree, task(body, before=before))
    assert (done.code, done.reason) == (1, reason)
    assert done.log.count("Traceback") <= 2


LOGGING = {
    # What the task does, and what is in the log; # stands for a time.
    "logging.info('a')": "# INFO a",
    "logging.debug('a'); logging.getLogger('x').warning('b')": "# WARNING b",
    "logging.basicConfig(format='%(name)s:%(message)s'); logging.info('a')": "root:a",
    "logging.basicConfig(level=logging.DEBUG, format='%(message)s'); logging.debug('a')": "a",
    "logging.basicConfig(level='ERROR', format='%(message)s'); logging.warning('a')": "",
    "logging.basicConfig(filename='f'); logging.info('a')\nprint(open('f').read(), end='')": (
        "INFO:root:a"
    ),
    "logging.getLogger().addHandler(logging.StreamHandler()); logging.info('a')": "a",
    "log = logging.getLogger('x'); log.addHandler(logging.StreamHandler()); log.info('a')": "a",
    "print(logging.getLogger().hasHandlers())": "False",
    "logging.config.dictConfig({'version': 1, 'root': {'level': 'INFO'}}); logging.info('a')": (
        "# INFO a"
    ),
    "logging.getLogger().setLevel(10); logging.getLogger('x').debug('a')": "# DEBUG a",
    "logging.info('a'); logging.basicConfig(force=True, format='%(message)s'); logging.info('b')": (
        "# INFO a\nb"
    ),
}


@pytest.mark.parametrize("body", LOGGING)
def test_logging_works_as_in_every_program_and_prints_once(
    tree: Path, body: str
) -> None:
    done = run(tree, task(body, before="import logging, logging.config"))
    lines = done.log.replace("\r", "").splitlines()
    log = "\n".join(
        re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", "# ", line)
        for line in lines
    )
    assert (done.code, log) == (0, LOGGING[body])


def test_the_program_starts_where_python_adds_no_directory_of_its_own(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
class Task:
    def __init__(self, config): pass
    def run(self): return 1
"""
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    (tree / "code/Tasks.py").write_text(source)
    config = tree.parent / "config.json"
    config.write_text("{}")
    result = tree.parent / "result.json"
    subprocess.run(
        [sys.executable, PROGRAM, tree / "code", "Task", result],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": STAND_IN, "GITORCH_CONFIG": str(config)},
        check=True,
    )
    assert json.loads(result.read_text()) == 1
