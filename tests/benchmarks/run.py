"""The cost of gitorch, measured against a baseline in the same rounds. Compare the ratios.

On a busy machine, compare the processor times. By the clock, a process with many threads gets more
than its share of the processor.

TMPDIR selects the file system. On ext4 a new file costs several times more if many files have been
deleted within the last minute, for example by earlier rounds. On tmpfs the cost does not change,
and nothing is flushed to a disk.

    python -m tests.benchmarks.run [NAME…] [--rounds N]

The benchmarks run in a virtual environment that contains gitorch alone (see bare.py).

run        100 trivial runs with -j 2, minus `gitorch run` of an empty queue,
           against `xargs -P2` over the same process
start      --help, list, status and show with 1,000 and 20,000 runs, against `python -c pass`
commit     the commit of an attempt to a results branch with 20,000 runs, against one with none
ready      `ready` of 100 configs, minus `ready` if nothing is new
ready1000  `ready` of 1,000 points in a repository of 5,000 files,
           minus `git worktree add` for each worktree made ahead
worktree   a further worktree of a commit of 5,000 files, against `git worktree add`
size       the size of 1,000 small runs on the results branch, as they were committed and after
           `git repack -ad`
memory     the resident memory of `gitorch run` after 500, 2,500 and 5,000 runs
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from gitorch import runner
from gitorch.git.repository import Repository
from gitorch.git.store.results import ResultsBranch
from gitorch.git.worktree.worktrees import FastWorktrees
from gitorch.interpreter.environment import STAND_IN
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.ids import run_id
from gitorch.tools.clock import stamp
from tests.benchmarks import bare

RUNS = 100
KIB = 1024
TASKS = """\
class Trivial:
    def __init__(self, config):
        pass

    def run(self):
        pass
"""
TASK_LINES = {
    "class": "{id: only, method: Trivial}",
    "command": f"{{id: only, command: [{json.dumps(sys.executable)}, -c, pass]}}",
}


class Took(NamedTuple):
    """The cost of one measurement, in seconds by the clock and in seconds of processor time."""

    wall: float
    cpu: float

    def plus(self, other: Took) -> Took:
        return Took(self.wall + other.wall, self.cpu + other.cpu)

    def minus(self, other: Took) -> Took:
        return Took(self.wall - other.wall, self.cpu - other.cpu)


Measure = Callable[[], Any]


def benchmark_run(room: Path, rounds: int) -> None:
    for kind, line in TASK_LINES.items():
        root = make_project(room / f"run-{kind}", RUNS, line)
        measures: dict[str, Measure] = {
            "xargs": partial(_run_by_xargs, room, root, kind),
            "ready": partial(gitorch, root, "ready", "--again"),
            "run": partial(gitorch, root, "run", "-j", "2"),
            # The queue is empty after "run".
            "empty": partial(gitorch, root, "run", "-j", "2"),
        }
        # Warm up.
        measures["ready"]()
        measures["run"]()
        took = interleaved(measures, rounds)
        work = difference(took["run"], took["empty"])
        both = [
            ready.plus(run)
            for ready, run in zip(took["ready"], took["run"], strict=True)
        ]
        show(f"{kind} task: xargs -P2", took["xargs"], unit=RUNS)
        show(f"{kind} task: run", work, unit=RUNS, baseline=took["xargs"])
        show(
            f"{kind} task: ready + run over xargs",
            difference(both, took["xargs"]),
            unit=RUNS,
        )
        show(f"{kind} task: run of an empty queue", took["empty"])


def _run_by_xargs(room: Path, root: Path, kind: str) -> None:
    """Execute RUNS times the process of a task, two at a time, without gitorch."""
    program = Path(runner.__file__).with_name("task_program.py")
    config = room / "config.json"
    config.write_text("{}")
    commands = {
        "class": [str(program), str(root), "Trivial", f"{room}/{{}}.result.json"],
        "command": ["-c", "pass"],
    }
    environment = {
        "PYTHONPATH": STAND_IN,
        "PYTHONUNBUFFERED": "1",
        "GITORCH_CONFIG": str(config),
    }
    numbers = "\n".join(map(str, range(RUNS)))
    with (room / "log.txt").open("ab") as log:
        subprocess.run(
            ["xargs", "-P2", "-I{}", sys.executable, *commands[kind]],
            input=numbers.encode(),
            stdout=log,
            stderr=log,
            cwd=root,
            env={**os.environ, **environment},
            check=True,
        )


def benchmark_start(room: Path, rounds: int) -> None:
    measures: dict[str, Measure] = {
        "python -c pass": lambda: subprocess.run(
            [sys.executable, "-c", "pass"], check=True
        ),
        "--help": lambda: gitorch(room, "--help"),
    }
    commands = (
        "list",
        "list --json",
        "list --sort -loss",
        "list --group lr",
        "status",
        "show @",
    )
    sizes = (1_000, 20_000)
    for size in sizes:
        root = make_project(room / f"start-{size}", 1, TASK_LINES["command"])
        gitorch(root, "run", "experiments")
        fill(root, size)
        first = interleaved({"first": partial(gitorch, root, "list")}, 1)["first"]
        show(f"the first list of {size:,} runs", first)
        for command in commands:
            measures[f"{command}, {size:,} runs"] = partial(
                gitorch, root, *command.split()
            )
    took = interleaved(measures, 3 * rounds)
    for name, figures in took.items():
        show(name, figures, baseline=took["python -c pass"])
    for command in commands:
        few, many = (took[f"{command}, {size:,} runs"] for size in sizes)
        show(f"{command}, many runs against few", many, baseline=few)


def benchmark_commit(room: Path, rounds: int) -> None:
    measures: dict[str, Measure] = {}
    for size in (0, 20_000):
        root = make_project(room / f"commit-{size}", 1, TASK_LINES["command"])
        gitorch(root, "run", "experiments")
        fill(root, size)
        measures[f"{size} runs"] = _committing(root)
    took = interleaved(measures, 20 * rounds)
    few, many = took.values()
    show("commit with 0 runs", few)
    show("commit with 20,000 runs", many, baseline=few)


def _committing(root: Path) -> Measure:
    """Return a function that commits an attempt of a new run."""
    branch = ResultsBranch(Repository.discover(root))
    record = next(branch.records())

    def commit() -> None:
        new = {**record, "id": run_id(os.urandom(6))}
        directory = RunPaths.of(new["id"]).directory
        with branch.changing() as edit:
            edit.put_record(new)
            edit.put(f"{directory}/config.yaml", b"tasks: []\n")
            edit.put(f"{directory}/tasks/only/1/log.txt", b"a line\n")
            edit.put(f"{directory}/tasks/only/1/attempt.json", os.urandom(200))
            edit.commit(f"penguins {new['id']}: only COMPLETE in 1.0s")

    return commit


def benchmark_ready(room: Path, rounds: int) -> None:
    root = make_project(room / "ready", RUNS, TASK_LINES["class"])
    measures: dict[str, Measure] = {
        "ready": partial(gitorch, root, "ready", "--again"),
        "nothing new": partial(gitorch, root, "ready"),
        "run": partial(gitorch, root, "run", "-j", "2"),
    }
    took = interleaved(measures, rounds)
    show("ready of 100", took["ready"])
    show("ready if nothing is new", took["nothing new"])
    show(
        "the difference", difference(took["ready"], took["nothing new"]), unit=RUNS
    )


def benchmark_ready1000(room: Path, rounds: int) -> None:
    took: dict[str, list[Took]] = {}
    for number in range(rounds):
        root = make_project(
            room / f"sweep{number}", 0, TASK_LINES["class"], files=5000
        )
        (root / "sweep.yaml").write_text(
            f"gitorch: {{matrix: {{seed: {list(range(1000))}}}}}\n"
            "tasks:\n"
            f"  - {TASK_LINES['class']}\n"
        )
        repository = Repository.discover(root)
        ahead = repository.settings.worktrees_ahead
        measures: dict[str, Measure] = {
            "git": partial(_add_worktrees, root, room / f"by-git{number}", ahead),
            "ready": partial(gitorch, root, "ready", "sweep.yaml"),
        }
        for name, figures in interleaved(measures, 1).items():
            took.setdefault(name, []).extend(figures)
        made = len(list(repository.workspace.glob("*/tree")))
        print(f"worktrees made ahead: {made} of {ahead}")
    show("git worktree add for those made ahead", took["git"])
    show("ready of 1,000 points, 5,000 files", took["ready"], baseline=took["git"])
    show("the difference", difference(took["ready"], took["git"]))


def _add_worktrees(root: Path, directory: Path, trees: int) -> None:
    for tree in range(trees):
        _add_worktree(root, directory / str(tree))


def _add_worktree(root: Path, path: Path) -> None:
    """Add a worktree of HEAD with the git program."""
    command = ["git", "-C", root, "worktree", "add", "-q", "--detach", path]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def benchmark_worktree(room: Path, rounds: int) -> None:
    root = make_project(room / "worktree", 0, TASK_LINES["class"], files=5000)
    repository = Repository.discover(root)
    commit = subprocess.check_output(
        ["git", "-C", root, "rev-parse", "HEAD"], text=True
    ).strip()
    paths = (repository.workspace / f"{number}" / "tree" for number in count())

    def by_git() -> None:
        _add_worktree(root, next(paths))

    def by_gitorch() -> None:
        FastWorktrees(repository).materialise(commit, next(paths))

    # Warm up: further worktrees are copied from a template that exists after the second one.
    by_gitorch()
    by_gitorch()
    took = interleaved({"git": by_git, "gitorch": by_gitorch}, rounds)
    show("5,000 files: git worktree add", took["git"])
    show("5,000 files: a further worktree", took["gitorch"], baseline=took["git"])


def benchmark_size(room: Path, _: int) -> None:
    runs = 1000
    root = make_project(room / "size", runs, TASK_LINES["class"])
    gitorch(root, "ready")
    gitorch(root, "run", "-j", "2")
    objects = root / ".git" / "objects"
    packs = len(list(objects.glob("pack/*.pack")))
    loose = len(list(objects.glob("??/*")))
    as_committed = _size(objects) / runs / KIB
    subprocess.run(["git", "-C", root, "repack", "-adq"], check=True)
    packed = _size(objects) / runs / KIB
    print(f"{runs} runs left {packs} packs and {loose} loose objects")
    print(f"as committed {as_committed:.2f} KiB a run, packed {packed:.2f} KiB")


def _size(directory: Path) -> int:
    """Return the size of the directory's files in bytes, counted in blocks on the disk."""
    return sum(
        512 * path.stat().st_blocks
        for path in directory.rglob("*")
        if path.is_file()
    )


def benchmark_memory(room: Path, _: int) -> None:
    root = make_project(room / "memory", 5000, TASK_LINES["command"])
    gitorch(root, "ready")
    command = [str(Path(sys.executable).with_name("gitorch")), "run", "-j", "2"]
    with subprocess.Popen(
        command,
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stderr
        ended = 0
        for line in worker.stderr:
            if "COMPLETE" not in line:
                continue
            ended += 1
            if ended in (500, 2500, 5000):
                mib = _resident_kib(worker.pid) / KIB
                print(f"after {ended:5} runs {mib:8.1f} MiB", flush=True)


def _resident_kib(pid: int) -> int:
    """Return the resident memory of a process in KiB. See proc_pid_status(5)."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


# Helpers


def make_project(root: Path, configs: int, task: str, files: int = 20) -> Path:
    """Make a repository with `files` tracked files and `configs` ignored configs."""
    contents = {
        "Tasks.py": TASKS,
        "README.md": "A project.\n",
        ".gitignore": "experiments/\n",
    }
    for n in range(files - 2):
        contents[f"package{n // 50}/module{n}.py"] = f"x = {n}\n" * 50
    for n in range(configs):
        contents[f"experiments/point{n}.yaml"] = f"seed: {n}\ntasks:\n  - {task}\n"
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run(["git", "-C", root, *words], check=True)
    return root


def fill(root: Path, count: int) -> None:
    """Commit `count` finished runs to the branch.

    They are copies of the only run on the branch, with other parameters and metrics.
    """
    branch = ResultsBranch(Repository.discover(root))
    record = next(branch.records())
    (task,) = record["tasks"]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with branch.changing() as edit:
        for number in range(count):
            params = {"lr": 10.0 ** -(number % 3), "seed": number, "model": "small"}
            metrics = {"loss": number / count, "accuracy": 1 - number / count}
            made = {
                **record,
                "id": run_id(os.urandom(6)),
                "identity": os.urandom(32).hex(),
                "created": stamp(start + timedelta(seconds=number), "microseconds"),
                "params": params,
                "metrics": metrics,
                "tasks": [{**task, "metrics": metrics}],
            }
            document = {**record["spec"]["document"], **params}
            made["spec"] = {**record["spec"], "document": document}
            directory = RunPaths.of(made["id"]).directory
            edit.put_record(made)
            edit.put(f"{directory}/config.yaml", b"tasks: []\n")
            edit.put(f"{directory}/tasks/only/1/log.txt", b"a line\n")
        edit.commit(f"{count} runs")


def gitorch(root: Path, *arguments: str) -> None:
    """Run gitorch in `root`. Raises SystemExit if it fails."""
    command = [str(Path(sys.executable).with_name("gitorch")), *arguments]
    result = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise SystemExit(f"gitorch {' '.join(arguments)}: {result.stderr}")


def interleaved(
    measures: Mapping[str, Measure], rounds: int
) -> dict[str, list[Took]]:
    """Call all measures in each round. Return the cost of each call by the measure's name."""
    took: dict[str, list[Took]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            wall = time.perf_counter()
            cpu = _processor_time()
            measure()
            took[name].append(
                Took(time.perf_counter() - wall, _processor_time() - cpu)
            )
    return took


def _processor_time() -> float:
    """Return the processor time of this process and its ended children, in seconds."""
    used = [
        resource.getrusage(who)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def difference(took: list[Took], subtrahend: list[Took]) -> list[Took]:
    """Return the difference of two measures in each round."""
    return [one.minus(other) for one, other in zip(took, subtrahend, strict=True)]


def show(
    name: str,
    took: list[Took],
    *,
    unit: int = 1,
    baseline: list[Took] | None = None,
) -> None:
    """Print the medians in milliseconds, divided by `unit`.

    With a baseline, print also the ratios of the medians to those of the baseline.
    """
    median = _median(took)
    wall_ms = 1000 * median.wall / unit
    cpu_ms = 1000 * median.cpu / unit
    line = f"{name:40}{wall_ms:9.2f} ms{cpu_ms:9.2f} ms of processor"
    if baseline:
        base = _median(baseline)
        line += f"{median.wall / base.wall:9.2f} x, processor{median.cpu / base.cpu:6.2f} x"
    print(line, flush=True)


def _median(took: list[Took]) -> Took:
    wall = statistics.median(one.wall for one in took)
    cpu = statistics.median(one.cpu for one in took)
    return Took(wall, cpu)


@contextmanager
def sealed_room() -> Iterator[Path]:
    """Give the benchmark an empty home and, as in the tests, a bare environment."""
    with tempfile.TemporaryDirectory() as directory:
        kept = {
            name: os.environ[name]
            for name in ("PATH", "TMPDIR", "LANG")
            if name in os.environ
        }
        os.environ.clear()
        os.environ.update(kept, HOME=directory, GIT_CONFIG_NOSYSTEM="1")
        (Path(directory) / ".gitconfig").write_text(
            "[user]\n\tname = A. Researcher\n\temail = a@example.org\n"
        )
        yield Path(directory)


BENCHMARKS = {
    "run": benchmark_run,
    "start": benchmark_start,
    "commit": benchmark_commit,
    "ready": benchmark_ready,
    "ready1000": benchmark_ready1000,
    "worktree": benchmark_worktree,
    "size": benchmark_size,
    "memory": benchmark_memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "which", nargs="*", metavar="NAME", help="default: all benchmarks"
    )
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    bare.enter("tests.benchmarks.run")
    for name in chosen.which or BENCHMARKS:
        with sealed_room() as room:
            BENCHMARKS[name](room, chosen.rounds)


if __name__ == "__main__":
    main()
