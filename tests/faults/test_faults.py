"""Faults, each by its name: one accepted result, no orphan, nothing RUNNING for ever, and `git fsck` finds nothing.

Some are covered where the part that must hold is tested; they are named here, so that none of them gets lost.
Tests that mount a file system, or set a limit to memory, need root and say so.
"""

from __future__ import annotations

import ast
import fcntl
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, started, wait_for, write

TESTS = Path(__file__).parents[1]

ELSEWHERE = {
    "a daemonising tree that ignores TERM: worker killed, with its supervisor, with its slots; kill, time limit": (
        "engines/test_local.py: test_worker_killed",
        "engines/test_local.py: test_worker_and_supervisor_killed",
        "engines/test_local.py: test_what_is_left_when_all_are_killed_is_swept",
        "engines/test_local.py: test_cancel_and_time_limit_end_daemons_too",
        "stories/test_verbs.py: test_kill_ends_the_whole_tree_before_the_record_goes",
        "stories/test_killed.py: test_everything_of_a_worker_killed_at_once_is_swept_at_the_next_start",
    ),
    "no space for the log and the attempt's own record": ("engines/test_local.py: test_full_disk",),
    "out of memory, told from a kill": ("engines/test_local.py: test_out_of_memory_is_named",),
    "the clock set back during a backoff": (
        "database/test_run_queue.py: test_a_clock_that_is_set_back_does_not_make_a_backoff_longer",
    ),
    "Ctrl-C once and twice; kill of what waits": (
        "stories/test_a_run.py: test_ctrl_c_once_finishes_running_tasks_and_starts_no_more",
        "stories/test_a_run.py: test_ctrl_c_twice_stops_running_tasks_and_returns_them_to_the_queue",
        "stories/test_verbs.py: test_a_verb_from_every_status",
    ),
    "a corrupt or missing database": (
        "stories/test_hostile.py: test_a_damaged_queue_is_told_and_loses_nothing",
        "stories/test_killed.py: test_without_its_queue_a_repository_goes_on_where_it_was",
    ),
    "stale git locks, a worktree deleted by hand": (
        "git/store/test_refs.py: test_a_lock_that_a_killed_process_left_is_removed",
        "stories/test_hostile.py: test_what_is_lost_between_ready_and_run_is_made_again",
    ),
    "git gc --prune=now beside it": (
        "git/store/test_results.py: test_commits_beside_a_gc_or_prune_of_the_user_lose_nothing",
    ),
    "a task that kills its slot": (
        "stories/test_scheduling.py: test_a_task_that_always_kills_its_worker_is_given_up",
    ),
    "the interpreter is gone, the directory is gone": (
        "stories/test_odd_repositories.py: test_an_interpreter_that_is_gone_fails_its_own_run_alone",
        "stories/test_odd_repositories.py: test_a_workspace_that_was_deleted_takes_no_result_with_it",
    ),
    "a database of an older and of a newer format": (
        "database/test_run_queue.py: test_a_queue_of_an_earlier_format_goes_on",
        "database/test_run_queue.py: test_a_newer_format_is_refused_and_not_touched",
    ),
}


@pytest.mark.parametrize("named", [test for tests in ELSEWHERE.values() for test in tests])
def test_the_tests_of_faults_that_are_elsewhere_are_there(named: str) -> None:
    file, _, name = named.partition(": ")
    tree = ast.parse((TESTS / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


# -- what has to hold after each


def queue_of(project: Path) -> Path:
    return project / ".git/gitorch/queue.db"


@contextmanager
def opened(project: Path) -> Iterator[sqlite3.Connection]:
    """The queue's database; what is changed in it is committed at the end."""
    with closing(sqlite3.connect(queue_of(project))) as database, database:
        yield database


def assert_sound(project: Path) -> None:
    """Nothing runs, nothing of it is left, and neither git nor SQLite finds anything."""
    assert gitorch_json(project, "status")["counts"]["RUNNING"] == 0
    assert gitorch_json(project, "status")["workers"] == []
    assert git(project, "fsck", "--full", "--no-dangling") == ""
    with opened(project) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    wait_for(lambda: not processes(project))


def processes(project: Path) -> list[str]:
    """Those of this test's tasks and workers, by a variable that only they have; git's own chores aside."""
    marker = f"HOME={os.environ['HOME']}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and marker in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [command for command in found if command and not command.startswith("git ")]


def statuses(project: Path) -> dict[str, str]:
    return {run["name"]: run["status"] for run in gitorch_json(project, "list")["runs"]}


def kinds(project: Path, run: str = "@", task: int = 0) -> list[str]:
    """How the attempts at a task ended."""
    attempts = gitorch_json(project, "show", run)["run"]["tasks"][task]["attempts"]
    return [attempt["outcome"]["kind"] for attempt in attempts]


def config(project: Path, name: str, *commands: str, **params: object) -> None:
    tasks = [{"id": f"t{number}", "command": command} for number, command in enumerate(commands)]
    write(project, f"experiments/{name}.yaml", json.dumps({**params, "tasks": tasks}))


# -- workers that stop, die, or come back


def test_a_stopped_worker_that_goes_on_after_its_run_was_killed_is_fenced(
    project: Path, tmp_path: Path
) -> None:
    git(project, "config", "gitorch.grace", "0")
    config(project, "a", f"touch {tmp_path}/begun; sleep 0.2; echo late > {{outputDir}}/late")
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    worker.send_signal(signal.SIGSTOP)
    wait_for(lambda: list(project.parent.glob("project.gitorch/*/log/t0/1/status.json")))
    gitorch(project, "kill", "a")
    worker.send_signal(signal.SIGCONT)
    _, said = worker.communicate(timeout=20)
    assert worker.returncode == 0, said
    assert "COMPLETE" not in said
    assert gitorch_json(project, "list")["runs"] == []
    assert_sound(project)


def test_a_stopped_worker_keeps_what_it_has_and_nobody_does_it_twice(
    project: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        config(project, name, f"echo s >> {tmp_path}/{name}; sleep 0.2")
    gitorch(project, "ready")
    stopped = started(project, "run")
    wait_for((tmp_path / "a").exists)
    stopped.send_signal(signal.SIGSTOP)
    gitorch(project, "run", "b")
    assert statuses(project) == {"a": "RUNNING", "b": "COMPLETE"}
    stopped.send_signal(signal.SIGCONT)
    _, said = stopped.communicate(timeout=20)
    assert stopped.returncode == 0, said
    assert statuses(project) == {"a": "COMPLETE", "b": "COMPLETE"}
    assert [(tmp_path / name).read_text() for name in ("a", "b")] == ["s\n", "s\n"]
    assert_sound(project)


@pytest.mark.parametrize("what", ["another boot", "a pid that is somebody else's by now"])
def test_no_foreign_process_is_killed_for_a_dead_workers(
    project: Path, tmp_path: Path, what: str
) -> None:
    config(project, "a", f"echo s >> {tmp_path}/begun; test -e {tmp_path}/go || exec sleep 60")
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    worker.kill()
    worker.communicate(timeout=20)
    foreign = subprocess.Popen(["sleep", "60"])
    try:
        with opened(project) as database:
            if what == "another boot":
                database.execute("UPDATE workers SET boot = 'another', pid = ?", [foreign.pid])
            else:
                database.execute("UPDATE workers SET pid = ?", [foreign.pid])
        (tmp_path / "go").touch()
        gitorch(project, "run")
        assert kinds(project) == ["lost", "succeeded"]
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()
    assert_sound(project)


TASKS = 200
WORKERS = 50


@pytest.mark.alone
@pytest.mark.timeout(240)
def test_fifty_workers_at_once_give_each_task_one_accepted_attempt(
    project: Path, tmp_path: Path
) -> None:
    """The first of them make the queue anew from the records, all at once."""
    for number in range(TASKS):
        config(project, f"r{number}", f"echo s >> {tmp_path}/{number}", number=number)
    gitorch(project, "ready")
    for path in queue_of(project).parent.glob("queue.db*"):
        path.unlink()
    workers = [started(project, "run", "-j", "1") for _ in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as readers:
        said = list(readers.map(lambda worker: worker.communicate(timeout=200)[1], workers))
    assert [
        (worker.returncode, text)
        for worker, text in zip(workers, said, strict=True)
        if worker.returncode
    ] == []
    assert set(statuses(project).values()) == {"COMPLETE"}
    assert [(tmp_path / str(number)).read_text() for number in range(TASKS)] == ["s\n"] * TASKS
    subjects = git(project, "log", "--format=%b", "gitorch/results").count(
        "Gitorch-Status: COMPLETE"
    )
    assert subjects == TASKS
    assert_sound(project)


def test_a_writer_stopped_inside_a_transaction_is_told_and_status_goes_on(project: Path) -> None:
    config(project, "a", "true")
    gitorch(project, "ready")
    program = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1], isolation_level=None); d.execute('BEGIN IMMEDIATE')"
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"{program}; print('in', flush=True); input()",
            str(queue_of(project)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.send_signal(signal.SIGSTOP)
        waiting = started(project, "run")
        assert [run["status"] for run in gitorch_json(project, "status")["runs"]] == ["WAITING"]
        _, said = waiting.communicate(timeout=40)
        assert waiting.returncode == 5, said
        assert "is locked: another program has been writing to it" in said
    finally:
        writer.kill()
        writer.communicate()
    gitorch(project, "run")
    assert statuses(project) == {"a": "COMPLETE"}
    assert_sound(project)


def test_a_task_that_kills_its_worker_is_given_up_and_the_queue_goes_on(project: Path) -> None:
    """Not only its slot: slot, supervisor and worker, in the order of descent."""
    find = "import os; p = os.getpid(); stat = lambda p: int(open(f'/proc/{p}/stat').read().rpartition(')')[2].split()[1])"
    line = "slot = stat(stat(p)); boss = stat(slot); worker = stat(boss)"  # the program is a child of a shell
    kill = "[os.kill(one, 9) for one in (worker, boss, slot)]"
    write(project, "killer.py", f"{find}\n{line}\n{kill}\nimport time; time.sleep(30)\n")
    commit_files(project, {})  # the file that was written
    config(project, "bad", f"{sys.executable} killer.py; true")
    config(project, "good", "echo good")
    gitorch(project, "ready", "experiments/bad.yaml", "--priority", "5")
    gitorch(project, "ready", "experiments/good.yaml")
    codes = [gitorch(project, "run", code=None).returncode for _ in range(4)]
    assert codes[:3] == [-signal.SIGKILL] * 3
    assert codes[3] == 1
    assert statuses(project) == {"bad": "ERROR", "good": "COMPLETE"}
    assert kinds(project, "bad") == ["lost"] * 3
    assert_sound(project)


# -- kill, at every moment


def slow_checkout(project: Path, tmp_path: Path) -> None:
    """From now on whoever makes a worktree tells that he began, and waits until `go` is there."""
    gate = f"touch {tmp_path}/begun; while test ! -e {tmp_path}/go; do sleep 0.05; done; cat"
    git(project, "config", "filter.slow.smudge", gate)
    commit_files(project, {".gitattributes": "*.slow filter=slow\n", "a.slow": "a\n"})


@pytest.mark.parametrize("moment", ["starting", "running", "finishing"])
def test_kill_of_a_run_that_is(project: Path, tmp_path: Path, moment: str) -> None:
    git(project, "config", "gitorch.grace", "1")
    config(
        project, "a", f"touch {tmp_path}/ran; {'exec sleep 60' if moment == 'running' else 'true'}"
    )
    gitorch(project, "ready")
    if moment == "starting":
        shutil.rmtree(project.parent / "project.gitorch")
        slow_checkout(project, tmp_path)
        gitorch(project, "kill", "a")
        (tmp_path / "go").touch()
        gitorch(project, "ready")
        (tmp_path / "go").unlink()
        (tmp_path / "begun").unlink()
        shutil.rmtree(project.parent / "project.gitorch")
    with (project / ".git/gitorch/lock").open("r+") as lock:
        if moment == "finishing":
            fcntl.flock(lock, fcntl.LOCK_EX)
        worker = started(project, "run")
        if moment == "finishing":
            wait_for(lambda: list(project.parent.glob("project.gitorch/*/log/t0/1/status.json")))
        else:
            wait_for((tmp_path / ("ran" if moment == "running" else "begun")).exists)
        killer = started(project, "kill", "a")
        wait_for(lambda: is_doomed(project))
    if moment == "starting":
        (tmp_path / "go").touch()
    _, said = killer.communicate(timeout=30)
    assert killer.returncode in ((0, 4) if moment == "finishing" else (0,)), said
    _, worked = worker.communicate(timeout=30)
    assert worker.returncode == 0, worked
    assert statuses(project) == ({} if killer.returncode == 0 else {"a": "COMPLETE"})
    assert (tmp_path / "ran").exists() == (moment != "starting")
    assert_sound(project)


def is_doomed(project: Path) -> bool:
    """Or gone already."""
    with opened(project) as database:
        return all(doomed for (doomed,) in database.execute("SELECT doomed FROM runs"))


# -- disks


@contextmanager
def mounted(place: Path, *how: str | Path) -> Iterator[Path]:
    """Something mounted at `place`. Needs root."""
    place.mkdir(exist_ok=True)
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a file system")
    subprocess.run(["mount", *how, place], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def small(size: str) -> tuple[str, ...]:
    return "-t", "tmpfs", "-o", f"size={size}", "none"


def grow(place: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", place], check=True)


def fill(place: Path, but: int) -> None:
    """Leave `but` bytes of it."""
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    (place / "filling").write_bytes(bytes(max(0, free - but)))


@pytest.mark.parametrize("what", ["the worktree", "the log", "the database", "git"])
def test_no_space_for(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The fault is said, nothing is half there, and with room made `gitorch run` goes on."""
    commit_files(project, {"large.bin": os.urandom(300_000)})
    config(project, "a", "head -c 2000000 /dev/urandom", "echo second")
    if what == "git":
        with mounted(tmp_path / "disk", *small("4m")) as disk:
            root = disk / "project"
            git(project, "config", "gitorch.workspace", str(tmp_path / "workspace"))
            shutil.copytree(project, root)
            no_space_then_room(root, disk, 256_000, "the results cannot be written")
    elif what == "the database":
        with mounted(tmp_path / "disk", *small("4m")) as disk:
            git(project, "config", "gitorch.stateDir", str(disk))
            no_space_then_room(project, disk, 8_000, "is the disk full")
    else:
        with mounted(tmp_path / "disk", *small("4m")) as disk:
            git(project, "config", "gitorch.workspace", str(disk))
            if what == "the worktree":
                no_space_then_room(project, disk, 100_000, "could not start: git worktree")
            else:
                no_space_then_room(project, disk, 1_000_000, "t0 ERROR")


def no_space_then_room(project: Path, disk: Path, before: int, said: str) -> None:
    gitorch(project, "ready")
    shutil.rmtree(next(disk.glob("project-*/*/tree"), disk / "none"), ignore_errors=True)
    fill(disk, but=before)
    failed = gitorch(project, "run", code=None)
    assert failed.returncode == 1, failed.stderr
    assert said in failed.stderr
    (disk / "filling").unlink()
    grow(disk)
    gitorch(project, "run", code=None)
    if statuses(project) == {"a": "ERROR"}:
        gitorch(project, "retry", "a")
        gitorch(project, "run")
    assert statuses(project) == {"a": "COMPLETE"}
    assert kinds(project)[-1] == "succeeded"
    assert kinds(project).count("succeeded") == 1
    assert gitorch(project, "logs", "a", "--task", "t1").stdout == "second\n"
    assert_sound_at(project)


def assert_sound_at(project: Path) -> None:
    """As `assert_sound`, wherever the queue is."""
    assert gitorch_json(project, "status")["counts"]["RUNNING"] == 0
    assert git(project, "fsck", "--full", "--no-dangling") == ""
    wait_for(lambda: not processes(project))


def test_a_read_only_file_system_is_said_and_what_is_there_can_be_read(project: Path) -> None:
    config(project, "a", "echo done")
    config(project, "b", "echo more", b=1)
    gitorch(project, "run", "experiments/a.yaml")
    with mounted(project, "--bind", project):
        subprocess.run(["mount", "-o", "remount,ro,bind", project], check=True)
        assert "read-only" in gitorch(project, "ready", code=None).stderr.casefold()
        for words in (["list"], ["show", "a"], ["logs", "a"], ["status"]):
            assert gitorch(project, *words).stdout
    gitorch(project, "run", "experiments")
    assert statuses(project) == {"a": "COMPLETE", "b": "COMPLETE"}
    assert_sound(project)


FLOOD = 1 << 30


@pytest.mark.alone
def test_a_log_flood_of_a_gibibyte_leaves_the_workers_memory_flat(project: Path) -> None:
    line = "x" * 1023
    config(
        project,
        "a",
        f"{sys.executable} -c 'import os; [os.write(1, b\"{line}\\n\" * 1024) for _ in range(1024)]'",
    )
    config(project, "b", "echo small")

    def peak(name: str) -> int:
        gitorch(project, "ready", f"experiments/{name}.yaml")
        worker = subprocess.Popen(
            [sys.executable, "-m", "gitorch", "run"], cwd=project, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(worker.pid, 0)
        worker.returncode = os.waitstatus_to_exitcode(status)
        assert worker.returncode == 0
        return usage.ru_maxrss

    small_log = peak("b")
    assert peak("a") - small_log < 60_000
    run = gitorch_json(project, "show", "a")["run"]["id"]
    pointer = git(project, "show", f"gitorch/results:runs/{run[:2]}/{run}/tasks/t0/1/log.txt")
    assert f"size {FLOOD}" in pointer
    assert_sound(project)
    shutil.rmtree(project / ".git/lfs")
    shutil.rmtree(project / ".git/gitorch/objects")


# -- clocks

SHIFTED = """
import datetime, os, sys, time
class datetime_(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(time.time(), tz)
real, began = time.time, time.monotonic()
by, after = map(float, sys.argv[1:3])
sys.argv[1:3] = []
time.time = lambda: real() + (by if time.monotonic() - began > after else 0)
datetime.datetime = datetime_
from gitorch.cli.app import main
main()
"""


@pytest.mark.parametrize("hours", [2, -3])
def test_a_clock_that_jumps_while_a_worker_works(project: Path, tmp_path: Path, hours: int) -> None:
    """The worker's alone: a machine's cannot be set for one test. That of the slots goes on."""
    tries = f"echo s >> {tmp_path}/tries; sleep 0.3; test $(wc -l < {tmp_path}/tries) -ge 3"
    task = {
        "id": "t0",
        "command": tries,
        "gitorch": {"timeout": "30s", "retries": {"max": 4, "backoff": "0.3s"}},
    }
    write(project, "experiments/a.yaml", json.dumps({"tasks": [task]}))
    gitorch(project, "ready")
    worked = subprocess.run(
        [sys.executable, "-c", SHIFTED, str(hours * 3600), "0.6", "run"],
        cwd=project,
        timeout=60,
        check=False,
    )
    assert worked.returncode == 0
    assert kinds(project) == ["exit-code", "exit-code", "succeeded"]
    attempts = gitorch_json(project, "show", "@")["run"]["tasks"][0]["attempts"]
    assert all(0 < attempt["duration_s"] < 20 for attempt in attempts)
    assert_sound(project)


# -- what lies on the disk, spoilt


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'{"token": 1}', b"\xff\xfe"])
def test_a_corrupt_status_file_makes_its_attempt_lost_and_nothing_else(
    project: Path, tmp_path: Path, junk: bytes
) -> None:
    config(
        project, "a", f"touch {tmp_path}/begun; sleep 0.1; exit $(test -e {tmp_path}/go; echo $?)"
    )
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    worker.send_signal(signal.SIGSTOP)
    wait_for(lambda: list(project.parent.glob("project.gitorch/*/log/t0/1/status.json")))
    [status] = project.parent.glob("project.gitorch/*/log/t0/1/status.json")
    status.write_bytes(junk)
    worker.kill()
    worker.communicate()
    (tmp_path / "go").touch()
    gitorch(project, "run")
    assert kinds(project) == ["lost", "succeeded"]
    assert_sound(project)


def test_gc_with_prune_now_and_worktrees_deleted_by_hand_beside_a_worker(
    project: Path, tmp_path: Path
) -> None:
    for number in range(20):
        config(
            project,
            f"r{number}",
            "sleep 0.05; echo 1 > {outputDir}/a",
            "cat {outputDir}/a",
            number=number,
        )
    gitorch(project, "ready")
    over = threading.Event()
    collected = 0

    def chores() -> None:
        nonlocal collected
        while not over.is_set():
            git(project, "gc", "-q", "--prune=now", check=False)
            git(project, "worktree", "prune", check=False)
            collected += 1

    collector = threading.Thread(target=chores)
    collector.start()
    try:
        waiting = sorted(project.parent.glob("project.gitorch/*/tree"))
        shutil.rmtree(waiting[-1])
        gitorch(project, "run", "-j", "2")
    finally:
        over.set()
        collector.join()
    assert collected > 1
    assert set(statuses(project).values()) == {"COMPLETE"}
    assert_sound(project)


def test_a_queue_of_an_older_format_goes_on_and_one_of_a_newer_is_left_alone(project: Path) -> None:
    config(project, "a", "echo one", "echo two")
    gitorch(project, "ready")
    with opened(project) as database:
        rows = {
            "meta": database.execute("SELECT key, value FROM meta").fetchall(),
            "runs": database.execute("SELECT seq, id, payload, worker FROM runs").fetchall(),
            "tasks": database.execute(
                "SELECT run, id, seq, position, priority, status, attempts, token, worker, started, outcome FROM tasks"
            ).fetchall(),
            "needs": database.execute("SELECT run, task, needed FROM needs").fetchall(),
        }
    for path in queue_of(project).parent.glob("queue.db*"):
        path.unlink()
    schema, _, _ = (TESTS / "database/format-1.sql").read_text().partition("INSERT INTO")
    with opened(project) as database:
        database.executescript(schema)
        for table, values in rows.items():
            database.executemany(
                f"INSERT INTO {table} VALUES ({', '.join('?' * len(values[0]))})", values
            )
        database.execute("PRAGMA user_version = 1")
    assert [run["status"] for run in gitorch_json(project, "status")["runs"]] == ["WAITING"]
    gitorch(project, "run")
    assert statuses(project) == {"a": "COMPLETE"}
    assert_sound(project)

    with opened(project) as database:
        database.execute("PRAGMA user_version = 99")
    refused = gitorch(project, "run", code=4).stderr
    assert "newer gitorch" in refused
    assert "upgrade" in refused
    with opened(project) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (99,)
