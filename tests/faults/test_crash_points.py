"""A kill -9 at every durable boundary, one at a time: no result is lost, no attempt runs twice.

Two lanes run the same story, each in its own repository. Before each command of the story, the
lane's files are saved. Then the command is killed at its first boundary, at its second and so on
(one lane takes the odd boundaries, the other lane the even ones), each time from the saved files,
until the command has no further boundary. After each death, the test checks the surviving records
and queue. It also checks that the same command and a `gitorch run` lead to the state that they
would have led to without the death.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gitorch.git.repository import Repository
from gitorch.git.store.results import ResultsBranch
from tests.conftest import commit_files, git, wait_for, write
from tests.prefork import server

LANES = 2
AT_LEAST = 200  # boundaries in total; a smaller number means that calls of `boundary` were lost

Statuses = dict[str, str]


@dataclass(frozen=True)
class Step:
    """A command, and the statuses of all runs that it leads to.

    `after` is by run name, after the command. `finally_` is the same after a worker has finished.
    """

    command: str
    after: Statuses
    finally_: Statuses
    code: int = 0


def story() -> Iterator[Step]:
    """Yield one step for every verb that writes.

    Run `a` completes. `b` completes once it is repaired. `c` is added and killed. `d` always fails.
    `e` reuses a result of `a`.
    """
    runs: Statuses = {}

    def step(
        command: str,
        *,
        code: int = 0,
        then: Statuses | None = None,
        **after: str | None,
    ) -> Step:
        for name, status in after.items():
            if status is None:
                del runs[name]
            else:
                runs[name] = status
        return Step(command, dict(runs), {**runs, **(then or {})}, code)

    complete_a = {"a": "COMPLETE", "b": "ERROR"}
    yield step(
        "ready --snapshot experiments/first",
        a="WAITING",
        b="WAITING",
        then=complete_a,
    )
    yield step("run -j 2", a="COMPLETE", b="ERROR", code=1)
    yield step("retry b --at HEAD", b="WAITING", then={"b": "COMPLETE"})
    yield step("run", b="COMPLETE")
    yield step("ready --hold experiments/c.yaml", c="HOLD")
    yield step("release c", c="WAITING", then={"c": "COMPLETE"})
    yield step("hold c", c="HOLD")
    yield step("kill --yes c", c=None)
    yield step("run experiments/d.yaml", d="ERROR", code=1)
    yield step("fail d", d="FAILED")
    yield step("resubmit d", d="WAITING", then={"d": "ERROR"})
    yield step("set d --priority 2", then={"d": "ERROR"})
    yield step("collect", then={"d": "ERROR"})
    yield step("run experiments/e.yaml", e="COMPLETE", then={"d": "ERROR"})


# The exit codes that a repeated command may have if its first call was done: done, failed, not
# found, refused.
REPEATED = {0, 1, 3, 4}


class Lane:
    """A repository in which the story happens."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.live = directory / "live"
        self.root = self.live / "project"
        # HOME of every process that is started for this lane, and of no other process.
        self.home = self.live / "home"
        self.counters = self.live / "counters"
        self.count = directory / "count"
        for needed in (self.root, self.home, self.counters):
            needed.mkdir(parents=True)
        git(self.root, "init", "-q")
        commit_files(self.root, {"README.md": "A project.\n", "Tasks.py": ""})
        git(self.root, "config", "gitorch.largeFile", "200")
        git(self.root, "config", "gitorch.worktreesAhead", "1")
        self.configs()

    def configs(self) -> None:
        def counted(name: str, command: str) -> str:
            """Return a task that counts its attempt, then executes `command`.

            Each attempt appends its number to the task's counter.
            """
            counting = f"echo $GITORCH_ATTEMPT >> {self.counters}/{name}"
            return f"{{id: {name[-1]}, command: '{counting}; {command}'}}"

        shared = (
            counted("at", "seq 100 > {outputDir}/large")[:-1]
            + ", gitorch: {cache: {code: [Tasks.py]}}}"
        )
        is_repaired = f"test -e {self.live}/repaired"
        for path, tasks in {
            "first/a": [shared],
            "first/b": [
                counted("bt", "echo 1 > {outputDir}/one"),
                counted("bu", is_repaired),
            ],
            "c": [counted("ct", "true")],
            "d": [counted("dt", "exit 3")],
            "e": [
                counted("eb", "true"),
                shared,
                counted("ec", "test -s {outputDir}/large"),
            ],
        }.items():
            write(
                self.root,
                f"experiments/{path}.yaml",
                f"tasks: [{', '.join(tasks)}]\n",
            )
        write(self.root, "README.md", "Changed, and not committed.\n")

    # -- commands

    def gitorch(self, command: str, **env: str) -> subprocess.CompletedProcess[str]:
        whole = {**os.environ, "HOME": str(self.home), **env}
        return server().run(command.split(), self.root, whole, timeout=60)

    def dying(
        self, command: str, n: int
    ) -> tuple[subprocess.CompletedProcess[str], bool]:
        """Execute the command, killed at its n-th boundary.

        Return also True if it reached that boundary.
        """
        self.count.unlink(missing_ok=True)
        died = self.gitorch(command, GITORCH_DIE_AT=f"{n}:{self.count}")
        return died, self.count.exists() and self.count.stat().st_size >= n

    # -- files

    def save(self) -> None:
        saved = self.directory / "saved"
        subprocess.run(["rm", "-rf", saved], check=True)
        subprocess.run(["cp", "-a", "--reflink=auto", self.live, saved], check=True)

    def restore(self) -> None:
        """Replace all files by the saved ones, in the same repository directory.

        The directory keeps its inode, by which gitorch recognises that it is not a copy.
        """
        everything = ["find", self.live, "-mindepth", "1"]
        but_directory = [
            "-not",
            "-path",
            self.root,
            "-not",
            "-path",
            self.root / ".git",
        ]
        subprocess.run([*everything, *but_directory, "-delete"], check=True)
        subprocess.run(
            ["cp", "-a", "--reflink=auto", f"{self.directory}/saved/.", self.live],
            check=True,
        )

    # -- state

    def records(self) -> dict[str, dict[str, Any]]:
        """Return the records of all runs, by run name."""
        return {
            record["name"]: record
            for record in ResultsBranch(Repository.discover(self.root)).records()
        }

    def statuses(self) -> Statuses:
        return {name: record["status"] for name, record in self.records().items()}

    def complete(self) -> dict[tuple[str, str], int]:
        """Return the number of attempts of each complete task, by run and task."""
        return {
            (record["id"], task["id"]): task["attempt_count"]
            for record in self.records().values()
            for task in record["tasks"]
            if task["status"] == "COMPLETE"
        }

    def processes(self) -> list[str]:
        """Return the command lines of this lane's processes."""
        marker = f"HOME={self.home}".encode()
        commands = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes().split(b"\0")
                if marker in environment:
                    command = (
                        (process / "cmdline").read_bytes().replace(b"\0", b" ")
                    )
                    commands.append(command.decode())
            except OSError:
                continue  # the process has ended
        return commands


def announced_complete(
    output: subprocess.CompletedProcess[str],
) -> set[tuple[str, str]]:
    """Return the tasks that a command announced as complete, by run and task."""
    return set(
        re.findall(
            r"^([0-9a-f]{12})  .*: (\w+) COMPLETE", output.stderr, re.MULTILINE
        )
    )


def check(
    lane: Lane,
    step: Step,
    died: subprocess.CompletedProcess[str],
    before: dict[tuple[str, str], int],
) -> None:
    """Check the state after a death, and that the command and a worker reach the final state.

    `ready` announces its runs only after its last boundary, so for it there is no announcement to
    check.
    """
    complete = lane.complete()
    assert before.items() <= complete.items() or step.command == "kill --yes c"
    assert announced_complete(died) <= complete.keys()

    again = lane.gitorch(step.command)
    assert again.returncode in REPEATED, again.stderr
    worked = (
        again if step.command in ("run", "run -j 2") else lane.gitorch("run -j 2")
    )
    assert worked.returncode in (0, 1), worked.stderr
    assert lane.statuses() == step.finally_, worked.stderr
    assert complete.items() <= lane.complete().items(), (
        "a complete task does not run again"
    )
    check_attempts(lane)
    check_queue(lane, step)
    if step.command == "retry b --at HEAD":
        pins = [task["pin"]["commit"] for task in lane.records()["b"]["tasks"]]
        assert (
            pins == [pins[0], git(lane.root, "rev-parse", "HEAD")] != [pins[0]] * 2
        )
    wait_for(lambda: not lane.processes())
    assert "error" not in git(lane.root, "fsck", "--full", "--no-dangling")


def check_attempts(lane: Lane) -> None:
    """Check that no attempt ran twice, and a complete task has exactly one successful attempt."""
    branch = ResultsBranch(Repository.discover(lane.root))
    for counter in lane.counters.iterdir():
        numbers = counter.read_text().split()
        assert len(numbers) == len(set(numbers)), (
            f"an attempt of {counter.name} ran twice: {numbers}"
        )
    for record in lane.records().values():
        for task in record["tasks"]:
            base = f"runs/{record['id'][:2]}/{record['id']}/tasks/{task['id']}"
            attempts = [
                json.loads(branch.read(f"{base}/{number}/attempt.json") or b"{}")
                for number in branch.names(base)
            ]
            kinds = [attempt["outcome"]["kind"] for attempt in attempts]
            is_complete = task["status"] == "COMPLETE"
            is_reused = (task.get("cache") or {}).get("from") is not None
            was_computed = is_complete and not is_reused
            assert kinds.count("succeeded") == (1 if was_computed else 0)
            assert is_reused == (
                is_complete and (record["name"], task["id"]) == ("e", "t")
            )
            assert len(attempts) == task["attempt_count"]
            if was_computed:
                assert attempts[-1]["pin"] == task["pin"], (
                    "the attempt ran at the task's commit"
                )


def check_queue(lane: Lane, step: Step) -> None:
    with closing(sqlite3.connect(lane.root / ".git/gitorch/queue.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM workers").fetchone() == (0,)
        in_queue = {
            status
            for (status,) in database.execute("SELECT DISTINCT status FROM tasks")
        }
    wanted = set(step.finally_.values())
    assert {"ERROR", "HOLD"} & in_queue == {"ERROR", "HOLD"} & wanted
    assert "RUNNING" not in in_queue


def run_story(directory: Path, lane_number: int) -> dict[str, int]:
    """Run the story in one lane. Return the number of deaths by command."""
    deaths = {}
    lane = Lane(directory)
    for step in story():
        if step.command == "retry b --at HEAD":
            (lane.live / "repaired").touch()
            git(lane.root, "checkout", "-q", "README.md")
        deaths[step.command] = run_step(lane, step, lane_number)
    assert lane.gitorch("run").returncode == 1
    assert lane.statuses() == step.finally_
    return deaths


def run_step(lane: Lane, step: Step, lane_number: int) -> int:
    """Kill the command at each boundary of this lane, then let it finish. Return its deaths."""
    lane.save()
    before = lane.complete() if lane.root.joinpath(".git/gitorch").exists() else {}
    for deaths in itertools.count():
        n = 1 + lane_number + deaths * LANES
        output, was_reached = lane.dying(step.command, n)
        if not was_reached:
            break
        try:
            # If the boundary is one of a slot, only the slot dies, and the command ends as usual.
            assert output.returncode in (-signal.SIGKILL, step.code)
            check(lane, step, output, before)
        except BaseException as error:
            printed = output.stdout + output.stderr
            error.add_note(
                f"{step.command!r} died at its boundary {n} after printing:\n{printed}"
            )
            raise
        lane.restore()
    assert output.returncode == step.code, output.stderr
    assert lane.statuses() == step.after
    return deaths


@pytest.mark.alone
@pytest.mark.timeout(400)
def test_a_death_at_every_durable_boundary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server()  # started here, so that no lane starts another one
    directories = [tmp_path / f"lane{number}" for number in range(LANES)]
    with ThreadPoolExecutor(LANES) as lanes:
        deaths_by_lane = list(lanes.map(run_story, directories, range(LANES)))
    deaths: Counter[str] = Counter()
    for deaths_in_lane in deaths_by_lane:
        deaths.update(deaths_in_lane)
    with capsys.disabled():
        print(f"\n{deaths.total()} crash points: {dict(deaths)}")
    assert all(deaths.values())
    assert deaths.total() >= AT_LEAST
