"""The local engine under every fault: one end for each attempt, and nothing left running."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from gitorch.engines.contract import Ended, Order, recorded_end
from gitorch.engines.local import LocalEngine
from gitorch.engines.sweep import sweep
from gitorch.errors import GitorchError
from gitorch.model.run.outcome import (
    CouldNotStart,
    ExitCode,
    Interrupted,
    Killed,
    OutOfMemory,
    Signalled,
    Succeeded,
)
from gitorch.model.run.outcome_kind import OutcomeKind
from gitorch.tools import process
from gitorch.tools.files import write_aside
from tests.engines.bench import (
    PATIENCE_S,
    carry_out,
    eventually,
    living,
    log_of,
    next_ends,
    order,
    pids_in,
    python,
    shell,
)

# Starts daemons that ignore TERM. They have sessions of their own, and their parents are gone. One
# has an empty environment and none of our files open. Each leaves its pid as a file name in ./pids.
DAEMONS = """
import os, signal, sys, time

def leave_pid():
    open(f"pids/{os.getpid()}", "w").close()

def daemon(environment):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            null = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            if environment is None:
                os.environ.clear()
                script = (
                    "import os, time\\n"
                    "open(f'pids/{os.getpid()}', 'w').close()\\n"
                    "time.sleep(600)\\n"
                )
                os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", script], {})
            leave_pid()
            time.sleep(600)
        os._exit(0)
    os.wait()

daemon(os.environ)
daemon(os.environ)
daemon(None)
while len(os.listdir("pids")) < 3:
    time.sleep(0.005)
leave_pid()
"""
STAYS = (
    DAEMONS + "\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)\n"
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    with LocalEngine(2, tmp_path / "lock") as engine:
        yield engine


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Path]:
    """The directory where processes leave their pids. What a failing test left alive is killed."""
    directory = tmp_path / "pids"
    directory.mkdir()
    yield directory
    for pid in living(pids_in(directory)):
        if (
            Path(f"/proc/{pid}/cwd").resolve() == tmp_path
        ):  # not another process with that pid
            os.kill(pid, signal.SIGKILL)


def supervisors_of(pid: int) -> list[int]:
    """Return the supervisor processes of a worker."""
    return [
        found.pid
        for found in process.table()
        if found.parent == pid and b"supervise" in command_of(found.pid)
    ]


def slots_of(pid: int) -> list[int]:
    supervisors = supervisors_of(pid)
    slots = []
    for child in process.table():
        if child.parent in supervisors and b"supervise" in command_of(child.pid):
            slots.append(child.pid)
    return slots


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def slot_at(pids: Path) -> int:
    """Return the slot of the attempt whose program has left its pid."""
    slots = slots_of(os.getpid())
    for pid in pids_in(pids):
        program = process.process_of(pid)
        if program is not None and program.parent in slots and command_of(pid):
            return program.parent
    raise AssertionError("no program is the child of a slot")


def start(
    engine: LocalEngine, parent: Path, script: str = STAYS, **how: float
) -> Order:
    """Start an attempt, and wait until all its daemons are up."""
    wanted = python(parent, script, **how)
    engine.submit(wanted)
    eventually(lambda: len(pids_in(parent / "pids")) == 4)
    return wanted


# -- what an attempt leaves behind


def test_processes_that_outlive_their_program_are_ended_and_counted(
    engine: LocalEngine, tmp_path: Path, pids: Path
) -> None:
    wanted = python(tmp_path, DAEMONS)
    ended = carry_out(engine, [wanted])[wanted.token]
    assert isinstance(ended.outcome, Succeeded)
    assert ended.left_running == 3
    assert len(pids_in(pids)) == 4
    assert living(pids_in(pids)) == []


def test_processes_that_are_just_ending_are_not_counted(
    engine: LocalEngine, tmp_path: Path
) -> None:
    wanted = shell(tmp_path, "sleep 0.03 & trap '' TERM; (sleep 0.03; echo late) &")
    assert carry_out(engine, [wanted])[wanted.token].left_running == 0
    assert log_of(wanted) == "late\n"


@pytest.mark.alone
def test_a_program_that_forks_faster_than_its_children_can_be_found(
    engine: LocalEngine, tmp_path: Path, pids: Path
) -> None:
    script = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
deadline = time.monotonic() + 60
if os.fork() == 0:
    while time.monotonic() < deadline:
        if os.fork():
            os._exit(0)
        os.utime("pids")
"""
    wanted = python(tmp_path, script)
    ended = carry_out(engine, [wanted])[wanted.token]
    assert ended.duration_s < 10
    touched = pids.stat().st_mtime_ns
    time.sleep(0.1)
    assert pids.stat().st_mtime_ns == touched


def test_many_short_orphans_are_reaped_while_the_program_runs(
    engine: LocalEngine, tmp_path: Path
) -> None:
    wanted = shell(
        tmp_path, "for i in 1 2 3 4 5 6 7 8; do (true &) ; done; echo up; sleep 60"
    )
    engine.submit(wanted)
    eventually(lambda: (wanted.directory / "log.txt").exists() and log_of(wanted))
    slots = slots_of(os.getpid())

    def zombies() -> list[str]:
        stats = [
            path.read_text().rpartition(")")[2].split() for path in stat_files()
        ]
        return [
            parent
            for state, parent, *_ in stats
            if state == "Z" and int(parent) in slots
        ]

    eventually(lambda: not zombies())
    engine.cancel(wanted.token, Killed())
    next_ends(engine, 1)


def stat_files() -> Iterator[Path]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        if path.exists():
            yield path


@pytest.mark.parametrize("kind", [OutcomeKind.KILLED, OutcomeKind.TIMEOUT])
def test_cancel_and_time_limit_end_daemons_too(
    engine: LocalEngine, tmp_path: Path, pids: Path, kind: OutcomeKind
) -> None:
    wanted = start(
        engine,
        tmp_path,
        timeout_s=1.5 if kind is OutcomeKind.TIMEOUT else PATIENCE_S,
    )
    if kind is OutcomeKind.KILLED:
        engine.cancel(wanted.token, Killed())
    [ended] = next_ends(engine, 1)
    assert ended.outcome.kind is kind
    assert ended.left_running == 0
    assert living(pids_in(pids)) == []
    assert recorded_end(wanted.directory, wanted.token) == ended


def test_the_first_signal_is_gentle_and_reaches_a_stopped_process_too(
    engine: LocalEngine, tmp_path: Path
) -> None:
    wanted = shell(
        tmp_path,
        "trap 'echo bye; exit 0' TERM; echo up; kill -STOP $$; sleep 60 & wait",
        grace_s=10,
    )
    engine.submit(wanted)
    eventually(lambda: (wanted.directory / "log.txt").exists() and log_of(wanted))
    engine.cancel(wanted.token, Interrupted())
    [ended] = next_ends(engine, 1)
    assert (ended.outcome.kind, log_of(wanted)) == (
        OutcomeKind.INTERRUPTED,
        "up\nbye\n",
    )
    assert ended.duration_s < 5


# -- deaths


WORKER = """
import sys, time
from pathlib import Path
from gitorch.engines.local import LocalEngine
from tests.engines.bench import python
place = Path(sys.argv[1])
engine = LocalEngine(3, place / "lock")
engine.__enter__()
for _ in range(3):
    order = python(place, Path(place / "script").read_text())
    engine.submit(order)
    print(order.token, flush=True)
time.sleep(600)
"""


@pytest.fixture
def worker(tmp_path: Path, pids: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, with three attempts up, each with its daemons."""
    (tmp_path / "script").write_text(textwrap.dedent(STAYS).replace("< 3", "< 9"))
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    ) as worker:
        eventually(lambda: len(pids_in(pids)) == 12)
        yield worker
        worker.kill()


def tokens_of(worker: subprocess.Popen[str]) -> list[str]:
    assert worker.stdout is not None
    return [worker.stdout.readline().strip() for _ in range(3)]


def is_free(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@pytest.mark.parametrize("stopped", [False, True])
def test_worker_killed(
    worker: subprocess.Popen[str], tmp_path: Path, pids: Path, stopped: bool
) -> None:
    tokens = tokens_of(worker)
    lock = tmp_path / "lock"
    assert not is_free(lock)
    if stopped:
        worker.send_signal(signal.SIGSTOP)
    worker.kill()
    worker.wait()
    eventually(lambda: is_free(lock))
    assert living(pids_in(pids)) == []
    assert all(recorded_end(tmp_path / token, token) is None for token in tokens)


def test_worker_and_supervisor_killed(
    worker: subprocess.Popen[str], tmp_path: Path, pids: Path
) -> None:
    supervisors = supervisors_of(worker.pid)
    worker.kill()
    for pid in supervisors:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: is_free(tmp_path / "lock"))
    assert living(pids_in(pids)) == []


def test_what_is_left_when_all_are_killed_is_swept(
    worker: subprocess.Popen[str], tmp_path: Path, pids: Path
) -> None:
    tokens = tokens_of(worker)
    slots = slots_of(worker.pid)
    for pid in (worker.pid, *supervisors_of(worker.pid), *slots):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: is_free(tmp_path / "lock"))
    cleared = [pid for pid in pids_in(pids) if is_cleared(pid)]
    assert len(living(pids_in(pids))) == 12
    assert sweep({token: tmp_path / token for token in tokens}, grace_s=0.1) == 9
    # Without token, log and parent nothing identifies these processes. Only a cgroup would.
    assert sorted(living(pids_in(pids))) == sorted(cleared)
    assert len(cleared) == 3


def is_cleared(pid: int) -> bool:
    return Path(f"/proc/{pid}/environ").read_bytes() == b""


def test_a_killed_slot_loses_only_its_own_attempt(
    engine: LocalEngine, tmp_path: Path, pids: Path
) -> None:
    wanted = start(engine, tmp_path)
    other = shell(tmp_path, "sleep 0.4; echo unharmed")
    engine.submit(other)
    os.kill(slot_at(pids), signal.SIGKILL)
    kinds = {ended.token: ended.outcome.kind for ended in next_ends(engine, 2)}
    assert kinds == {
        wanted.token: OutcomeKind.LOST,
        other.token: OutcomeKind.SUCCEEDED,
    }
    assert living(pids_in(pids)) == []
    assert engine.free() == 2
    following = [shell(tmp_path, "true") for _ in range(4)]
    assert {
        ended.outcome.kind for ended in carry_out(engine, following).values()
    } == {OutcomeKind.SUCCEEDED}


def two_other_slots_are_up(slots: set[int]) -> bool:
    found = slots_of(os.getpid())
    return len(found) == 2 and not slots & set(found)


def test_order_to_a_slot_that_just_died_is_lost_and_never_started(
    engine: LocalEngine, tmp_path: Path
) -> None:
    carry_out(engine, [shell(tmp_path, "true")])
    for round_ in range(5):
        slots = set(
            eventually(lambda: len(found := slots_of(os.getpid())) == 2 and found)
        )
        for slot in slots:
            os.kill(slot, signal.SIGKILL)
        if round_ % 2:  # the new slots are up before the order is submitted
            eventually(partial(two_other_slots_are_up, slots))
        wanted = [shell(tmp_path, "echo started") for _ in range(2)]
        for each in wanted:
            engine.submit(each)
        assert {ended.outcome.kind for ended in next_ends(engine, 2)} == {
            OutcomeKind.LOST
        }
        assert [
            each for each in wanted if (each.directory / "log.txt").exists()
        ] == []


def test_slot_killed_after_the_record_was_written(
    engine: LocalEngine, tmp_path: Path, pids: Path
) -> None:
    """The record is the truth: the attempt ended as recorded, though no slot reported it."""
    wanted = start(engine, tmp_path)
    said = Ended(
        token=wanted.token,
        outcome=ExitCode(exit_code=5),
        started="2026-01-02T03:04:05.678Z",
        ended="2026-01-02T03:04:06.678Z",
        duration_s=1.0,
    )
    write_aside(
        wanted.directory / "status.json", json.dumps(said.to_json()).encode()
    )
    os.kill(slot_at(pids), signal.SIGKILL)
    assert next_ends(engine, 1) == [said]


def test_gentle_signals_do_not_end_supervisor_or_slots(
    engine: LocalEngine, tmp_path: Path
) -> None:
    carry_out(engine, [shell(tmp_path, "true")])
    before = eventually(lambda: len(found := slots_of(os.getpid())) == 2 and found)
    for pid in (*supervisors_of(os.getpid()), *before):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
    wanted = [
        shell(tmp_path, "kill -TERM $$") for _ in range(2)
    ]  # attempts do not ignore them
    assert {
        ended.outcome.signal for ended in carry_out(engine, wanted).values()
    } == {signal.SIGTERM}
    assert slots_of(os.getpid()) == before


def test_supervisor_killed_slots_go_on(engine: LocalEngine, tmp_path: Path) -> None:
    wanted = shell(tmp_path, "sleep 0.2; echo through")
    engine.submit(wanted)
    eventually(lambda: len(slots_of(os.getpid())) == 2)
    for pid in supervisors_of(os.getpid()):
        os.kill(pid, signal.SIGKILL)
    assert next_ends(engine, 1)[0].outcome == Succeeded()
    assert log_of(wanted) == "through\n"


def test_supervisor_and_slot_killed(
    engine: LocalEngine, tmp_path: Path, pids: Path
) -> None:
    wanted = start(engine, tmp_path)
    slot = slot_at(pids)
    for pid in (*supervisors_of(os.getpid()), slot):
        os.kill(pid, signal.SIGKILL)
    [ended] = next_ends(engine, 1)
    assert (ended.token, ended.outcome.kind) == (wanted.token, OutcomeKind.LOST)
    cleared = [pid for pid in living(pids_in(pids)) if is_cleared(pid)]
    assert living(pids_in(pids)) == cleared
    following = [shell(tmp_path, "true") for _ in range(4)]
    assert {
        ended.outcome.kind for ended in carry_out(engine, following).values()
    } == {OutcomeKind.SUCCEEDED}


# -- directories, files and memory


def test_directory_vanishes_while_the_attempt_runs(
    engine: LocalEngine, tmp_path: Path
) -> None:
    inside = tmp_path / "tree"
    inside.mkdir()
    removes = "echo before; rm -rf $PWD ../$GITORCH_TOKEN; echo after; exit 6"
    wanted = shell(tmp_path, removes, cwd=inside)
    assert carry_out(engine, [wanted])[wanted.token].outcome.exit_code == 6
    assert not inside.exists()
    assert (wanted.directory / "log.txt").read_text() == "before\nafter\n"


def test_directory_is_gone_before_the_attempt_starts(
    engine: LocalEngine, tmp_path: Path
) -> None:
    wanted = shell(tmp_path, "true")
    shutil.rmtree(wanted.directory)
    outcome = carry_out(engine, [wanted])[wanted.token].outcome
    assert isinstance(outcome, CouldNotStart)
    assert (
        outcome.message == f"{wanted.directory}/log.txt: No such file or directory"
    )


def test_reason_is_in_the_log_when_it_could_not_start(
    engine: LocalEngine, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text("no first line\n")
    for wanted in (
        order(tmp_path, "./script"),
        order(tmp_path, "true", env={"A": "nul\0"}),
    ):
        script.chmod(0o755)
        ended = carry_out(engine, [wanted])[wanted.token]
        assert isinstance(ended.outcome, CouldNotStart)
        assert log_of(wanted) == f"gitorch: {ended.outcome}\n"
        assert recorded_end(wanted.directory, wanted.token) == ended


def test_full_disk(engine: LocalEngine, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", small],
        capture_output=True,
    ).returncode:
        pytest.skip("a small file system needs root")
    try:
        wanted = shell(small, "yes > filling; echo said; exit 7")
        ended = carry_out(engine, [wanted])[wanted.token]
        assert ended.outcome.exit_code == 7
        assert recorded_end(wanted.directory, wanted.token) is None
        assert not (wanted.directory / "status.json").exists()
        (small / "filling").unlink()
        again = shell(small, "exit 8")
        assert carry_out(engine, [again])[again.token].outcome.exit_code == 8
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.alone
def test_log_flood_costs_no_memory(engine: LocalEngine, tmp_path: Path) -> None:
    wanted = shell(tmp_path, "head -c 200000000 /dev/zero")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    carry_out(engine, [wanted])
    assert (wanted.directory / "log.txt").stat().st_size == 200_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000
    for slot in slots_of(os.getpid()):
        high = next(
            line
            for line in Path(f"/proc/{slot}/status").read_text().splitlines()
            if "VmHWM" in line
        )
        assert int(high.split()[1]) < 40_000
    (wanted.directory / "log.txt").unlink()


def test_attempts_inherit_no_file_of_ours(
    engine: LocalEngine, tmp_path: Path
) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        with LocalEngine(2, tmp_path / "another-lock") as other:
            wanted = shell(tmp_path, "ls /proc/$$/fd")
            carry_out(other, [wanted])
    assert log_of(wanted).split() == ["0", "1", "2"]


def test_lock_is_free_when_the_engine_is_left(tmp_path: Path) -> None:
    for _ in range(3):
        with LocalEngine(2, tmp_path / "lock") as engine:
            assert not is_free(tmp_path / "lock")
            engine.submit(python(tmp_path, "import time; time.sleep(60)"))
        assert is_free(tmp_path / "lock")


def test_supervisor_that_does_not_start_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the attempt would be lost and tried again for ever."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with LocalEngine(2, tmp_path / "lock") as engine:
        engine.submit(shell(tmp_path, "true"))
        with pytest.raises(GitorchError, match=r"did not start \(1\)"):
            next_ends(engine, 1)


def test_leaving_at_once_is_quick(tmp_path: Path) -> None:
    began = time.monotonic()
    with LocalEngine(8, tmp_path / "lock"):
        pass
    assert time.monotonic() - began < 2


@pytest.fixture
def little_memory(tmp_path: Path) -> Iterator[Path]:
    """The file that limits a process that writes its pid into it to 32 MiB. Needs root."""
    first = Path("/sys/fs/cgroup/memory")  # cgroup v1; v2 has a single tree
    place, limit = (
        (first, "memory.limit_in_bytes")
        if first.exists()
        else (first.parent, "memory.max")
    )
    group = place / f"gitorch-{tmp_path.name}"
    try:
        group.mkdir()
        (group / limit).write_text(str(32 << 20))
    except OSError as error:
        pytest.skip(
            f"a limit to memory needs root, and a control group to set it in: {error}"
        )
    yield group / "cgroup.procs"
    group.rmdir()


@pytest.mark.alone
@pytest.mark.parametrize(
    "victim",
    ["exec {greedy}", "{greedy}; exit $?"],
    ids=["the program", "its child"],
)
def test_out_of_memory_is_named(
    engine: LocalEngine, tmp_path: Path, little_memory: Path, victim: str
) -> None:
    greedy = f"{sys.executable} -I -S -c 'len(b\"x\" * (1 << 27))'"
    wanted = shell(
        tmp_path, f"echo $$ > {little_memory}; {victim.format(greedy=greedy)}"
    )
    assert carry_out(engine, [wanted])[wanted.token].outcome == OutOfMemory()
    killed = shell(tmp_path, "kill -9 $$")
    assert carry_out(engine, [killed])[killed.token].outcome == Signalled(
        signal=signal.SIGKILL
    )
