"""The cost of recording the files that a task uses: `python -m tests.benchmarks.used [ROUNDS]`.

Each workload runs as a class task without an audit hook, with an empty one, and with the recorder,
in every round. The figures are CPU times of the whole process: the median without a hook, and for
each hook the ratio of the medians and that of the shortest, which other programs lengthened least.

CPython 3.11 built without PGO, 15 rounds on a quiet machine, by the medians (a file takes 10 us):

    10,000 files                      empty hook  recorder
    of 0 bytes                             1.9 %     3.5 %
    of 200 bytes                           1.5 %     4.6 %
    of 200 bytes, binary                   2.3 %     4.2 %
    of 200 bytes, Path.read_bytes          2.3 %     3.2 %
    of 4,000 bytes                         1.9 %     4.6 %
    of 100,000 bytes, binary               1.5 %     2.5 %
    that are one file                      2.1 %     4.2 %
    of 200 bytes, in a command             1.9 %     3.9 %
    of 100 numbers, parsed as JSON         1.3 %     1.9 %
    loaded by NumPy                        1.8 %     2.2 %
    of 200 bytes, by a forked process      0.6 %    13.2 %

With Debian's CPython 3.11, which is built with PGO, the recorder costs 3.7 % with 200 bytes, 0.8 %
parsed as JSON, and 0.2 % with 2,000 modules (25 rounds).

Two runs of this program differ by 1 to 2 %. In 60 rounds with 200 bytes, an empty hook cost 1.6 %
and the recorder 3.5 %. A hook in C that keeps nothing (`operator.is_`) costs 1.5 %. 2,000 modules
cost 3 %, and `copy.deepcopy`, which calls `id`, takes 59 % longer (46 % with an empty hook).

Python makes a string and a tuple for each event before it calls a hook, and the kernel's work for
each file leaves little of the hook in the caches of the processor. A program that does nothing but
read tiny files therefore loses about 3 %, and more where it reads them faster.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import numpy as np

from gitorch import runner
from gitorch.interpreter.environment import STAND_IN

PROGRAM = str(Path(runner.__file__).with_name("task_program.py"))
HOOKS = ("none", "empty", "recorder")
FILES = 10_000
MODULES = 2000
TASKS = """
    import sys

    def read(name, mode="r"):
        with open(name, mode) as file:
            return len(file.read())

    class Task:
        def __init__(self, config): pass

    class Nothing(Task):
        def run(self): pass

    class Parsed(Task):
        def run(self):
            import json
            for number in range(10000):
                with open(f"json/{number}") as file:
                    json.load(file)

    class Forked(Task):
        def run(self):
            import multiprocessing
            names = [f"200/{number}" for number in range(10000)]
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
# Ways to open 10,000 files: the content of a class, by a description.
READS = {
    "of 0 bytes": "read(f'0/{number}')",
    "of 200 bytes": "read(f'200/{number}')",
    "of 200 bytes, binary": "read(f'200/{number}', 'rb')",
    "of 200 bytes, Path.read_bytes": "Path(f'200/{number}').read_bytes()",
    "of 4,000 bytes": "read(f'4000/{number}')",
    "of 100,000 bytes, binary": "read(f'100000/{number}', 'rb')",
    "that are one file": "read('200/0')",
    "loaded by NumPy": "numpy.load(f'npy/{number}')",
}
TRAIN = READS["of 200 bytes"]
READ = """
    class Read{place}(Task):
        def run(self):
            {imports}
            for number in range(10000): {read}
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
    tree.mkdir(parents=True)
    (root / "run/log/task/1").mkdir(parents=True)
    (root / "run/empty").mkdir()
    empty = "import sys\nsys.addaudithook(lambda event, arguments: None)\n"
    (root / "run/empty/sitecustomize.py").write_text(empty)
    texts = [textwrap.dedent(TASKS)]
    for place, read in enumerate(READS.values()):
        needed = "import numpy" if "numpy" in read else "from pathlib import Path"
        text = READ.format(place=place, imports=needed, read=read)
        texts.append(textwrap.dedent(text))
    (tree / "Tasks.py").write_text("".join(texts))
    (tree / "train.py").write_text(
        f"{texts[0]}\nfor number in range(10000): {TRAIN}\n"
    )
    for size in (0, 200, 4000, 100_000):
        _write_copies(tree / str(size), b"0123456\n" * (size // 8))
    _write_copies(tree / "json", json.dumps([1 / 7] * 100).encode())
    _write_copies(tree / "npy", _array())
    (tree / "tree").mkdir()
    imports = []
    for number in range(MODULES):
        text = MODULE.format(name=f"Class{number}", number=number)
        (tree / f"tree/m{number}.py").write_text(textwrap.dedent(text))
        imports.append(f"from tree import m{number}\n")
    (tree / "tree/__init__.py").write_text("".join(imports))
    return tree


def _write_copies(directory: Path, content: bytes) -> None:
    """Write files with one content, which are links to one so that they take little room."""
    directory.mkdir()
    first = directory / "0"
    first.write_bytes(content)
    for number in range(1, FILES):
        os.link(first, directory / str(number))


def _array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(25.0))
    return file.getvalue()


def cpu_ms(command: list[str], tree: Path, *, hook: str) -> float:
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
    if hook == "empty":
        environment["PYTHONPATH"] = f"{tree.parent / 'empty'}:{STAND_IN}"
    elif hook == "recorder":
        environment["GITORCH_USED"] = str(used)
    process = subprocess.Popen(
        command, cwd=tree, env=environment, start_new_session=True
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed")
    if hook == "recorder" and not used.read_bytes().endswith(b"\n=\0"):
        raise SystemExit(f"{command} has not recorded its files")
    return (usage.ru_utime + usage.ru_stime) * 1000


def commands(tree: Path) -> Mapping[str, list[str]]:
    """Return the commands to measure, by a description."""
    result = str(tree.parent / "log/task/1/result.json")

    def task(name: str) -> list[str]:
        return [sys.executable, PROGRAM, str(tree), name, result]

    reads = {}
    for place, description in enumerate(READS):
        reads[f"{FILES} files {description}"] = task(f"Read{place}")
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "a class task that does nothing": task("Nothing"),
        **reads,
        f"a command: {FILES} files of 200 bytes": [sys.executable, "train.py"],
        f"{FILES} files of 100 numbers parsed": task("Parsed"),
        f"{FILES} files read by a forked process": task("Forked"),
        f"{MODULES} modules imported": task("Modules"),
        "deepcopy, which calls id()": task("Copies"),
    }


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tree = make_project(Path(directory))
        for name, command in commands(tree).items():
            measure(name, command, tree, rounds)


def measure(name: str, command: list[str], tree: Path, rounds: int) -> None:
    """Run a command with each hook in every round, and print the costs."""
    taken: dict[str, list[float]] = {hook: [] for hook in HOOKS}
    cpu_ms(command, tree, hook="recorder")  # compiles the modules
    for number in range(rounds):
        order = HOOKS if number % 2 else reversed(HOOKS)
        for hook in order:
            taken[hook].append(cpu_ms(command, tree, hook=hook))
    line = f"{name:45} {median(taken['none']):8.1f} ms"
    for hook in HOOKS[1:]:
        of_medians = median(taken[hook]) / median(taken["none"]) - 1
        of_shortest = min(taken[hook]) / min(taken["none"]) - 1
        line += f"   {hook} {of_medians:+6.1%} {of_shortest:+6.1%}"
    print(line, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 21)
