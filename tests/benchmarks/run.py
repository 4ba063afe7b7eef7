"""What gitorch costs, each figure beside a baseline that is measured in the same rounds: ratios are what to look at.

On a machine that has other things to do, look at the processor time: a crowd of threads gets more of it than its share.

TMPDIR says on which file system. On ext4 a new file is several times dearer while many have been deleted within the
last minute, by the rounds before it among others; on tmpfs it is not, and nothing is flushed.

    python -m tests.benchmarks.run [NAME…] [--rounds N]

All of it runs in an environment of its own that holds gitorch alone (see bare.py).

run        100 trivial runs with -j 2, less `gitorch run` of an empty queue, against `xargs -P2` over the same process
start      --help, list, status and show with 1,000 runs, against `python -c pass`
commit     an attempt committed to the results branch with 20,000 runs, against one with none
ready      `ready` of 100 configs, less `ready` where nothing is new
ready1000  `ready` of 1,000 points in a repository of 5,000 files, less `git worktree add` for each worktree made ahead
worktree   a further worktree of a commit of 5,000 files, against `git worktree add`
size       what 1,000 small runs take on the results branch, as they were committed and packed by `git repack -ad`
memory     what `gitorch run` holds in memory after 500, 2,500 and 5,000 runs
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
TASKS = "class Trivial:\n    def __init__(self, config):\n        pass\n\n    def run(self):\n        pass\n"
TASK_LINES = {
    "class": "{id: only, method: Trivial}",
    "command": f"{{id: only, command: [{json.dumps(sys.executable)}, -c, pass]}}",
}


class Took(NamedTuple):
    """Seconds by the clock, and of the processor."""

    wall: float
    cpu: float

    def less(self, other: Took) -> Took:
        return Took(self.wall - other.wall, self.cpu - other.cpu)


Measures = Mapping[str, Callable[[], Any]]


def benchmark_run(room: Path, rounds: int) -> None:
    for kind, line in TASK_LINES.items():
        root = make_project(room / f"run-{kind}", RUNS, line)
        task = Path(runner.__file__).with_name("task_program.py")
        command = {
            "class": [str(task), str(root), "Trivial", f"{room}/{{}}.result.json"],
            "command": ["-c", "pass"],
        }[kind]
        (room / "config.json").write_text("{}")
        numbers = "\n".join(map(str, range(RUNS))).encode()

        def xargs(
            command: list[str] = command, root: Path = root, numbers: bytes = numbers
        ) -> None:
            environment = {
                "PYTHONPATH": STAND_IN,
                "PYTHONUNBUFFERED": "1",
                "GITORCH_CONFIG": str(room / "config.json"),
            }
            with (room / "log.txt").open("ab") as log:
                subprocess.run(
                    ["xargs", "-P2", "-I{}", sys.executable, *command],
                    input=numbers,
                    stdout=log,
                    stderr=log,
                    cwd=root,
                    env={**os.environ, **environment},
                    check=True,
                )

        measures = {
            "xargs": xargs,
            "ready": lambda root=root: gitorch(root, "ready", "--again"),
            "run": lambda root=root: gitorch(root, "run", "-j", "2"),
            "empty": lambda root=root: gitorch(root, "run", "-j", "2"),
        }
        measures["ready"](), measures["run"]()
        took = interleaved(measures, rounds)
        work = [run.less(empty) for run, empty in zip(took["run"], took["empty"], strict=True)]
        both = [
            Took(ready.wall + run.wall, ready.cpu + run.cpu).less(ideal)
            for ready, run, ideal in zip(took["ready"], took["run"], took["xargs"], strict=True)
        ]
        show(f"{kind} task: xargs -P2", took["xargs"], unit=RUNS)
        show(f"{kind} task: run", work, unit=RUNS, baseline=took["xargs"])
        show(f"{kind} task: ready + run over xargs", both, unit=RUNS)
        show(f"{kind} task: run of an empty queue", took["empty"])


def benchmark_start(room: Path, rounds: int) -> None:
    measures: dict[str, Callable[[], Any]] = {
        "python -c pass": lambda: subprocess.run([sys.executable, "-c", "pass"], check=True),
        "--help": lambda: gitorch(room, "--help"),
    }
    commands = {
        name: name.split()
        for name in (
            "list",
            "list --json",
            "list --sort -loss",
            "list --group lr",
            "status",
            "show @",
        )
    }
    sizes = (1_000, 20_000)
    for size in sizes:
        root = make_project(room / f"start-{size}", 1, TASK_LINES["command"])
        gitorch(root, "run", "experiments")
        fill(root, size)
        first = interleaved({"first": lambda root=root: gitorch(root, "list")}, 1)["first"]
        show(f"the first list of {size:,} runs", first)
        for name, words in commands.items():
            measures[f"{name}, {size:,} runs"] = lambda root=root, words=words: gitorch(
                root, *words
            )
    took = interleaved(measures, 3 * rounds)
    for name, figures in took.items():
        show(name, figures, baseline=took["python -c pass"])
    for name in commands:
        few, many = (took[f"{name}, {size:,} runs"] for size in sizes)
        show(f"{name}, many runs against few", many, baseline=few)


def benchmark_commit(room: Path, rounds: int) -> None:
    measures: dict[str, Callable[[], Any]] = {}
    for filled in (0, 20_000):
        root = make_project(room / f"commit-{filled}", 1, TASK_LINES["command"])
        gitorch(root, "run", "experiments")
        fill(root, filled)
        measures[f"{filled} runs"] = _committing(root)
    took = interleaved(measures, 20 * rounds)
    few, many = took.values()
    show("commit with 0 runs", few)
    show("commit with 20,000 runs", many, baseline=few)


def _committing(root: Path) -> Callable[[], None]:
    branch = ResultsBranch(Repository.discover(root))
    record = next(branch.records())

    def commit() -> None:
        new = {**record, "id": run_id(os.urandom(6))}
        with branch.changing() as change:
            change.put_record(new)
            change.put(f"{RunPaths.of(new['id']).directory}/config.yaml", b"tasks: []\n")
            change.put(f"{RunPaths.of(new['id']).directory}/tasks/only/1/log.txt", b"a line\n")
            change.put(
                f"{RunPaths.of(new['id']).directory}/tasks/only/1/attempt.json", os.urandom(200)
            )
            change.commit(f"penguins {new['id']}: only COMPLETE in 1.0s")

    return commit


def benchmark_ready(room: Path, rounds: int) -> None:
    root = make_project(room / "ready", RUNS, TASK_LINES["class"])
    took = interleaved(
        {
            "ready": lambda: gitorch(root, "ready", "--again"),
            "nothing new": lambda: gitorch(root, "ready"),
            "run": lambda: gitorch(root, "run", "-j", "2"),
        },
        rounds,
    )
    work = [
        ready.less(nothing)
        for ready, nothing in zip(took["ready"], took["nothing new"], strict=True)
    ]
    show("ready of 100", took["ready"])
    show("ready where nothing is new", took["nothing new"])
    show("the difference", work, unit=RUNS)


def benchmark_ready1000(room: Path, rounds: int) -> None:
    took: dict[str, list[Took]] = {}
    for number in range(rounds):
        root = make_project(room / f"sweep{number}", 0, TASK_LINES["class"], files=5000)
        sweep = f"gitorch: {{matrix: {{seed: {list(range(1000))}}}}}\ntasks:\n  - {TASK_LINES['class']}\n"
        (root / "sweep.yaml").write_text(sweep)
        repo = Repository.discover(root)
        ahead = repo.settings.worktrees_ahead
        add = ["git", "-C", root, "worktree", "add", "-q", "--detach"]

        def by_git(
            room: Path = room, add: list[Any] = add, ahead: int = ahead, number: int = number
        ) -> None:
            for tree in range(ahead):
                subprocess.run(
                    [*add, room / f"by-git{number}" / str(tree)],
                    check=True,
                    stderr=subprocess.DEVNULL,
                )

        measures = {"git": by_git, "ready": lambda root=root: gitorch(root, "ready", "sweep.yaml")}
        for name, figures in interleaved(measures, 1).items():
            took.setdefault(name, []).extend(figures)
        print(f"worktrees made ahead: {len(list(repo.workspace.glob('*/tree')))} of {ahead}")
    more = [ready.less(git) for ready, git in zip(took["ready"], took["git"], strict=True)]
    show("git worktree add for those ahead", took["git"])
    show("ready of 1,000 points, 5,000 files", took["ready"], baseline=took["git"])
    show("the difference", more)


def benchmark_worktree(room: Path, rounds: int) -> None:
    root = make_project(room / "worktree", 0, TASK_LINES["class"], files=5000)
    repo = Repository.discover(root)
    commit = subprocess.check_output(["git", "-C", root, "rev-parse", "HEAD"], text=True).strip()
    places = (repo.workspace / f"{number}" / "tree" for number in count())

    def by_git() -> None:
        add = ["git", "-C", root, "worktree", "add", "-q", "--detach", next(places), commit]
        subprocess.run(add, check=True, stderr=subprocess.DEVNULL)

    def by_gitorch() -> None:
        FastWorktrees(repo).materialise(commit, next(places))

    by_gitorch(), by_gitorch()  # from the second on there is a template
    took = interleaved({"git": by_git, "gitorch": by_gitorch}, rounds)
    show("5,000 files: git worktree add", took["git"])
    show("5,000 files: a further worktree", took["gitorch"], baseline=took["git"])


def benchmark_size(room: Path, _: int) -> None:
    runs = 1000
    root = make_project(room / "size", runs, TASK_LINES["class"])
    gitorch(root, "ready")
    gitorch(root, "run", "-j", "2")
    packs = root / ".git" / "objects" / "pack"
    left = len(list(packs.glob("*.pack"))), sum(1 for _ in packs.parent.glob("??/*"))
    as_committed = _size(packs.parent)
    subprocess.run(["git", "-C", root, "repack", "-adq"], check=True)
    print(f"{runs} runs left {left[0]} packs and {left[1]} loose objects")
    print(
        f"as committed {as_committed / runs / 1024:.2f} KiB a run, packed {_size(packs.parent) / runs / 1024:.2f} KiB"
    )


def _size(directory: Path) -> int:
    """In bytes, of the blocks on the disk."""
    return sum(512 * path.stat().st_blocks for path in directory.rglob("*") if path.is_file())


def benchmark_memory(room: Path, _: int) -> None:
    root = make_project(room / "memory", 5000, TASK_LINES["command"])
    gitorch(root, "ready")
    command = [str(Path(sys.executable).with_name("gitorch")), "run", "-j", "2"]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stderr
        ended = 0
        for line in worker.stderr:
            ended += "COMPLETE" in line
            if "COMPLETE" in line and ended in (500, 2500, 5000):
                status = Path(f"/proc/{worker.pid}/status").read_text()
                resident = next(
                    line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")
                )
                print(f"after {ended:5} runs {int(resident) / 1024:8.1f} MiB", flush=True)


# What they share


def make_project(root: Path, configs: int, task: str, files: int = 20) -> Path:
    """A repository of so many files, with so many configs beside them."""
    contents = {f"package{n // 50}/module{n}.py": f"x = {n}\n" * 50 for n in range(files - 2)}
    contents |= {"Tasks.py": TASKS, "README.md": "A project.\n", ".gitignore": "experiments/\n"}
    contents |= {
        f"experiments/point{n}.yaml": f"seed: {n}\ntasks:\n  - {task}\n" for n in range(configs)
    }
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run(["git", "-C", root, *words], check=True)
    return root


def fill(root: Path, count: int) -> None:
    """So many more finished runs on the branch, each like the one that is there but for parameters and metrics."""
    branch = ResultsBranch(Repository.discover(root))
    record = next(branch.records())
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with branch.changing() as change:
        for number in range(count):
            params = {"lr": 10.0 ** -(number % 3), "seed": number, "model": "small"}
            made = {
                **record,
                "id": run_id(os.urandom(6)),
                "identity": os.urandom(32).hex(),
                "created": stamp(start + timedelta(seconds=number), "microseconds"),
                "params": params,
                "metrics": {"loss": number / count, "accuracy": 1 - number / count},
            }
            made["spec"] = {**record["spec"], "document": {**record["spec"]["document"], **params}}
            change.put_record(made)
            change.put(f"{RunPaths.of(made['id']).directory}/config.yaml", b"tasks: []\n")
            change.put(f"{RunPaths.of(made['id']).directory}/tasks/only/1/log.txt", b"a line\n")
        change.commit(f"{count} runs")


def gitorch(root: Path, *arguments: str) -> None:
    command = [str(Path(sys.executable).with_name("gitorch")), *arguments]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"gitorch {' '.join(arguments)}: {result.stderr}")


def interleaved(measures: Measures, rounds: int) -> dict[str, list[Took]]:
    """What each took, in every round."""
    took: dict[str, list[Took]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            wall, cpu = time.perf_counter(), _processor_time()
            measure()
            took[name].append(Took(time.perf_counter() - wall, _processor_time() - cpu))
    return took


def _processor_time() -> float:
    """Of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def show(name: str, took: list[Took], *, unit: int = 1, baseline: list[Took] | None = None) -> None:
    """The medians in milliseconds for each of `unit`, and what they are times those of the baseline."""
    median = _median(took)
    line = f"{name:40}{1000 * median.wall / unit:9.2f} ms{1000 * median.cpu / unit:9.2f} ms of processor"
    if baseline:
        base = _median(baseline)
        line += f"{median.wall / base.wall:9.2f} x, processor{median.cpu / base.cpu:6.2f} x"
    print(line, flush=True)


def _median(took: list[Took]) -> Took:
    return Took(*(statistics.median(figures) for figures in zip(*took, strict=True)))


@contextmanager
def sealed_room() -> Iterator[Path]:
    """An empty home, as little of the caller's settings as in the tests."""
    with tempfile.TemporaryDirectory() as directory:
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG") if name in os.environ}
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
    parser.add_argument("which", nargs="*", metavar="NAME", help="all of them if none is named")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    bare.enter("tests.benchmarks.run")
    for name in chosen.which or BENCHMARKS:
        with sealed_room() as room:
            BENCHMARKS[name](room, chosen.rounds)


if __name__ == "__main__":
    main()
