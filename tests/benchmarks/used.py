"""The cost of recording the files that a task uses: `python -m tests.benchmarks.used [ROUNDS]`.

Each workload runs as a class task, in pairs with and without the recorder, in alternating order.
The figures are CPU times of the whole process: the medians of all rounds, their ratio, and the
ratio of the shortest, which other programs have lengthened least. An empty hook in Python alone
costs 1 to 3 % of opening and reading 10,000 files of 200 bytes, which take 11 µs each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from gitorch import runner
from gitorch.interpreter.environment import STAND_IN

PROGRAM = str(Path(runner.__file__).with_name("task_program.py"))
FILES = 10_000
MODULES = 2000
TASKS = """
    import sys

    def read(name):
        with open(name) as file:
            return len(file.read())

    class Task:
        def __init__(self, config): pass

    class Nothing(Task):
        def run(self): pass

    class Files(Task):
        def run(self):
            for number in range(10000): read(f"data/{number}.txt")

    class Parsed(Task):
        def run(self):
            import json
            for number in range(10000):
                with open(f"data/{number}.json") as file:
                    json.load(file)

    class Forked(Task):
        def run(self):
            import multiprocessing
            names = [f"data/{number}.txt" for number in range(10000)]
            with multiprocessing.get_context("fork").Pool(1) as pool:
                pool.map(read, names, chunksize=500)

    class Modules(Task):
        def run(self):
            import tree

    class Copies(Task):
        def run(self):
            import copy
            copy.deepcopy([{"a": [1, (2, 3)], "b": {"c": n}} for n in range(50000)])
"""
MODULE = """
    import os, functools, collections

    class {name}:
        '''A class with methods, as in any library.'''
        LIMIT = {number}
        def __init__(self, size=1): self.size = size
        def grow(self, by): return type(self)(self.size + by)
        @property
        def is_large(self): return self.size > self.LIMIT

    Pair = collections.namedtuple("Pair", "left right")

    def function(a, b=1, *, c=None):
        return [{name}(size).grow(b) for size in range(a) if c is None]
"""


def make_project(root: Path) -> Path:
    """Write a worktree, with the layout of an attempt around it, and return its directory."""
    tree = root / "run/tree"
    (tree / "data").mkdir(parents=True)
    (root / "run/log/task/1").mkdir(parents=True)
    (tree / "Tasks.py").write_text(textwrap.dedent(TASKS))
    for number in range(FILES):
        (tree / f"data/{number}.txt").write_text(f"{number}\n" * 50)
        (tree / f"data/{number}.json").write_text(json.dumps([number / 7] * 100))
    (tree / "tree").mkdir()
    imports = []
    for number in range(MODULES):
        text = MODULE.format(name=f"Class{number}", number=number)
        (tree / f"tree/m{number}.py").write_text(textwrap.dedent(text))
        imports.append(f"from tree import m{number}\n")
    (tree / "tree/__init__.py").write_text("".join(imports))
    return tree


def cpu_ms(command: list[str], tree: Path, *, is_recorded: bool) -> float:
    """Run a command in the worktree, and return the CPU time of it and of its children."""
    attempt = tree.parent / "log/task/1"
    used = attempt / "used"
    used.unlink(missing_ok=True)
    (attempt / "config.json").write_text(json.dumps({}))
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": STAND_IN,
        "GITORCH_CONFIG": str(attempt / "config.json"),
    }
    if is_recorded:
        environment["GITORCH_USED"] = str(used)
    process = subprocess.Popen(
        command, cwd=tree, env=environment, start_new_session=True
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed")
    if is_recorded and not used.read_bytes().endswith(b"\n=\0"):
        raise SystemExit(f"{command} has not recorded its files")
    return (usage.ru_utime + usage.ru_stime) * 1000


def commands(tree: Path) -> Mapping[str, list[str]]:
    """Return the commands to measure, by a description."""
    result = str(tree.parent / "log/task/1/result.json")

    def task(name: str) -> list[str]:
        return [sys.executable, PROGRAM, str(tree), name, result]

    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "a class task that does nothing": task("Nothing"),
        f"{FILES} files opened and read": task("Files"),
        f"{FILES} files of 100 numbers parsed": task("Parsed"),
        f"{FILES} files read by a forked process": task("Forked"),
        f"{MODULES} modules imported": task("Modules"),
        "deepcopy, which calls id()": task("Copies"),
    }


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tree = make_project(Path(directory))
        for name, command in commands(tree).items():
            plain, recorded = [], []
            cpu_ms(command, tree, is_recorded=True)  # compiles the modules
            for number in range(rounds):
                order = (False, True) if number % 2 else (True, False)
                for is_recorded in order:
                    taken = cpu_ms(command, tree, is_recorded=is_recorded)
                    (recorded if is_recorded else plain).append(taken)
            without, with_it = median(plain), median(recorded)
            print(
                f"{name:40} {without:8.1f} ms  {with_it:8.1f} ms  "
                f"{with_it / without - 1:+7.1%}  {min(recorded) / min(plain) - 1:+7.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 21)
