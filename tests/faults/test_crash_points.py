"""kill -9 at every durable boundary, in turn: nothing acknowledged is lost, nothing is done twice, and it goes on.

A story is told by two lanes, each in a repository of its own. Before each of its commands the lane's files are put
aside; then the command is made to die at its first boundary, at its second and so on (one lane takes the odd ones, the
other the even ones), each time from the same files, until there is no boundary left to die at. What survives is
checked each time, and that the same command and a `gitorch run` bring about what they would have without the death.
"""

from __future__ import annotations

import itertools
import json
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from gitorch.git.repository import Repository
from gitorch.git.store.results import ResultsBranch
from tests.conftest import commit_files, git, wait_for, write

LANES = 2
AT_LEAST = 200  # boundaries; fewer, and the calls of `boundary` have been lost

Statuses = dict[str, str]


@dataclass(frozen=True)
class Step:
    """A command; `after` is what it makes of the runs by name, `finally_` what a worker makes of them then."""

    command: str
    after: Statuses
    finally_: Statuses
    code: int = 0


def story() -> Iterator[Step]:
    """Every verb that writes; `a` completes, `b` does once it is mended, `c` comes and goes, `d` always fails, `e` is
    given what `a` has computed.
    """
    runs: Statuses = {}

    def step(
        command: str, *, code: int = 0, then: Statuses | None = None, **after: str | None
    ) -> Step:
        for name, status in after.items():
            if status is None:
                del runs[name]
            else:
                runs[name] = status
        return Step(command, dict(runs), {**runs, **(then or {})}, code)

    complete_a = {"a": "COMPLETE", "b": "ERROR"}
    yield step("ready --snapshot experiments/first", a="WAITING", b="WAITING", then=complete_a)
    yield step("run -j 2", a="COMPLETE", b="ERROR", code=1)
    yield step("retry b --at HEAD", b="WAITING", then={"b": "COMPLETE"})
    yield step("run", b="COMPLETE")
    yield step("ready --hold experiments/c.yaml", c="HOLD")
    yield step("release c", c="WAITING", then={"c": "COMPLETE"})
    yield step("hold c", c="HOLD")
    yield step("kill c", c=None)
    yield step("run experiments/d.yaml", d="ERROR", code=1)
    yield step("fail d", d="FAILED")
    yield step("resubmit d", d="WAITING", then={"d": "ERROR"})
    yield step("set d --priority 2", then={"d": "ERROR"})
    yield step("collect", then={"d": "ERROR"})
    yield step("run experiments/e.yaml", e="COMPLETE", then={"d": "ERROR"})


# Starts `gitorch` for a lane, again and again: as a child of a process that has imported it already, since most of what
# such a short command takes is importing.
STARTER = """
import json, os, sys
import gitorch.actions.collect, gitorch.actions.kill, gitorch.actions.ready, gitorch.actions.run, gitorch.actions.set
import jsonschema, pygit2, yaml
from gitorch.cli.app import main
from gitorch.tools import faults
for line in sys.stdin:
    order = json.loads(line)
    started = os.fork()
    if started == 0:
        for descriptor, name in enumerate((os.devnull, "out", "err")):
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(os.path.join(order["place"], name), flags), descriptor)
        os.environ.update(order["env"])
        faults._DIE_AT = order["env"].get("GITORCH_DIE_AT")
        os.chdir(order["root"])
        sys.argv = ["gitorch", *order["words"]]
        main()
    print(os.waitstatus_to_exitcode(os.waitpid(started, 0)[1]), flush=True)
"""

# What the same command may answer to whoever repeats it, not knowing that it was done: done, failed, gone, refused.
REPEATED = {0, 1, 3, 4}


class Lane:
    def __init__(self, place: Path) -> None:
        self.place = place
        self.live = place / "live"
        self.root = self.live / "project"
        self.home = (
            self.live / "home"
        )  # in the environment of everything that is started here, and of nothing else
        self.counters = self.live / "counters"
        self.count = place / "count"
        for directory in (self.root, self.home, self.counters):
            directory.mkdir(parents=True)
        git(self.root, "init", "-q")
        commit_files(self.root, {"README.md": "A project.\n", "Tasks.py": ""})
        git(self.root, "config", "gitorch.largeFile", "200")
        git(self.root, "config", "gitorch.worktreesAhead", "1")
        self.configs()
        self.starter = subprocess.Popen(
            [sys.executable, "-c", STARTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.starter.communicate(timeout=20)

    def configs(self) -> None:
        def counted(name: str, what: str) -> str:
            return f"{{id: {name[-1]}, command: 'echo $GITORCH_ATTEMPT >> {self.counters}/{name}; {what}'}}"

        shared = (
            counted("at", "seq 100 > {outputDir}/large")[:-1]
            + ", gitorch: {cache: {code: [Tasks.py]}}}"
        )
        mended = f"test -e {self.live}/mended"
        for path, tasks in {
            "first/a": [shared],
            "first/b": [counted("bt", "echo 1 > {outputDir}/one"), counted("bu", mended)],
            "c": [counted("ct", "true")],
            "d": [counted("dt", "exit 3")],
            "e": [counted("eb", "true"), shared, counted("ec", "test -s {outputDir}/large")],
        }.items():
            write(self.root, f"experiments/{path}.yaml", f"tasks: [{', '.join(tasks)}]\n")
        write(self.root, "README.md", "Changed, and not committed.\n")

    # -- commands

    def gitorch(self, command: str, **env: str) -> subprocess.CompletedProcess[str]:
        assert self.starter.stdin is not None
        assert self.starter.stdout is not None
        order = {
            "words": command.split(),
            "root": str(self.root),
            "place": str(self.place),
            "env": {"HOME": str(self.home), **env},
        }
        print(json.dumps(order), file=self.starter.stdin, flush=True)
        code = int(self.starter.stdout.readline())
        out, err = ((self.place / name).read_text() for name in ("out", "err"))
        return subprocess.CompletedProcess(command, code, out, err)

    def dying(self, command: str, n: int) -> tuple[subprocess.CompletedProcess[str], bool]:
        """The command with the n-th boundary as its last; and whether there was one."""
        self.count.unlink(missing_ok=True)
        died = self.gitorch(command, GITORCH_DIE_AT=f"{n}:{self.count}")
        return died, self.count.exists() and self.count.stat().st_size >= n

    # -- files

    def put_aside(self) -> None:
        subprocess.run(["rm", "-rf", self.place / "aside"], check=True)
        subprocess.run(["cp", "-a", "--reflink=auto", self.live, self.place / "aside"], check=True)

    def put_back(self) -> None:
        """But for the repository's directory itself: its inode says that it is no copy."""
        subprocess.run(["find", self.live, "-mindepth", "1", "-not", "-path", self.root, "-not", "-path",
                        self.root / ".git", "-delete"], check=True)  # fmt: skip
        subprocess.run(
            ["cp", "-a", "--reflink=auto", f"{self.place}/aside/.", self.live], check=True
        )

    # -- what is there

    def records(self) -> dict[str, dict[str, Any]]:
        return {
            record["name"]: record
            for record in ResultsBranch(Repository.discover(self.root)).records()
        }

    def statuses(self) -> Statuses:
        return {name: record["status"] for name, record in self.records().items()}

    def complete(self) -> dict[tuple[str, str], int]:
        """The attempts of complete tasks."""
        return {
            (record["id"], task["id"]): task["attempt_count"]
            for record in self.records().values()
            for task in record["tasks"]
            if task["status"] == "COMPLETE"
        }

    def processes(self) -> list[str]:
        marker = f"HOME={self.home}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and marker in (entry / "environ").read_bytes().split(
                    b"\0"
                ):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found


def acknowledged(said: subprocess.CompletedProcess[str]) -> tuple[set[str], set[tuple[str, str]]]:
    """The runs that were said to be queued, and the tasks that were said to be complete."""
    queued = set(re.findall(r"^([0-9a-f]{12})  .* (?:queued|held)", said.stdout, re.MULTILINE))
    return queued, set(
        re.findall(r"^([0-9a-f]{12})  .*: (\w+) COMPLETE", said.stderr, re.MULTILINE)
    )


def check(
    lane: Lane,
    step: Step,
    died: subprocess.CompletedProcess[str],
    before: dict[tuple[str, str], int],
) -> None:
    """After a death: what was acknowledged is there, and the command and a worker get everywhere they would have."""
    complete = lane.complete()
    queued, done = acknowledged(died)
    known = {record["id"] for record in lane.records().values()}
    assert before.items() <= complete.items() or step.command == "kill c"
    assert queued <= known
    assert done <= complete.keys()

    again = lane.gitorch(step.command)
    assert again.returncode in REPEATED, again.stderr
    worked = again if step.command in ("run", "run -j 2") else lane.gitorch("run -j 2")
    assert worked.returncode in (0, 1), worked.stderr
    assert lane.statuses() == step.finally_, worked.stderr
    assert complete.items() <= lane.complete().items(), "what was complete did not run again"
    check_attempts(lane)
    check_queue(lane, step)
    if step.command == "retry b --at HEAD":
        pins = [task["pin"]["commit"] for task in lane.records()["b"]["tasks"]]
        assert pins == [pins[0], git(lane.root, "rev-parse", "HEAD")] != [pins[0]] * 2
    wait_for(lambda: not lane.processes())
    assert "error" not in git(lane.root, "fsck", "--full", "--no-dangling")


def check_attempts(lane: Lane) -> None:
    """Each attempt ran once at most, and of each complete task exactly one was accepted."""
    branch = ResultsBranch(Repository.discover(lane.root))
    for counter in lane.counters.iterdir():
        numbers = counter.read_text().split()
        assert len(numbers) == len(set(numbers)), (
            f"an attempt of {counter.name} ran twice: {numbers}"
        )
    for record in lane.records().values():
        for task in record["tasks"]:
            base = f"runs/{record['id'][:2]}/{record['id']}/tasks/{task['id']}"
            kept = [
                json.loads(branch.read(f"{base}/{number}/attempt.json") or b"{}")
                for number in branch.names(base)
            ]
            succeeded = [attempt for attempt in kept if attempt["outcome"]["kind"] == "succeeded"]
            is_given = (task.get("cache") or {}).get("from") is not None
            assert len(succeeded) == (task["status"] == "COMPLETE" and not is_given)
            assert is_given == (
                record["name"] == "e" and task["id"] == "t" and task["status"] == "COMPLETE"
            )
            assert len(kept) == task["attempt_count"]
            if succeeded:
                assert kept[-1]["pin"] == task["pin"], "it ran at what it was to run at"


def check_queue(lane: Lane, step: Step) -> None:
    with closing(sqlite3.connect(lane.root / ".git/gitorch/queue.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM workers").fetchone() == (0,)
        in_queue = {status for (status,) in database.execute("SELECT DISTINCT status FROM tasks")}
    wanted = set(step.finally_.values())
    assert {"ERROR", "HOLD"} & in_queue == {"ERROR", "HOLD"} & wanted
    assert "RUNNING" not in in_queue


def tell(place: Path, lane_number: int) -> dict[str, int]:
    """Tell the story; gives how many deaths each command died in this lane."""
    deaths = {}
    with Lane(place) as lane:
        for step in story():
            if step.command == "retry b --at HEAD":
                (lane.live / "mended").touch()
                git(lane.root, "checkout", "-q", "README.md")
            deaths[step.command] = tell_step(lane, step, lane_number)
        assert lane.gitorch("run").returncode == 1
        assert lane.statuses() == step.finally_
    return deaths


def tell_step(lane: Lane, step: Step, lane_number: int) -> int:
    """Die at every boundary of this lane's, then go on with the story."""
    lane.put_aside()
    before = lane.complete() if lane.root.joinpath(".git/gitorch").exists() else {}
    for deaths in itertools.count():
        n = 1 + lane_number + deaths * LANES
        said, there_was_one = lane.dying(step.command, n)
        if not there_was_one:
            break
        try:
            assert said.returncode in (-signal.SIGKILL, step.code)  # the latter of a slot's death
            check(lane, step, said, before)
        except BaseException as error:
            error.add_note(
                f"{step.command!r} died at its boundary {n}, having said:\n{said.stdout}{said.stderr}"
            )
            raise
        lane.put_back()
    assert said.returncode == step.code, said.stderr
    assert lane.statuses() == step.after
    return deaths


@pytest.mark.timeout(400)
def test_a_death_at_every_durable_boundary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor(LANES) as lanes:
        told = list(
            lanes.map(tell, [tmp_path / f"lane{number}" for number in range(LANES)], range(LANES))
        )
    deaths = {step.command: sum(lane.get(step.command, 0) for lane in told) for step in story()}
    with capsys.disabled():
        print(f"\n{sum(deaths.values())} crash points: {deaths}")
    assert all(deaths.values())
    assert sum(deaths.values()) >= AT_LEAST
