"""The program that carries out one order without a worker."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from gitorch.engines import order_files
from gitorch.engines.contract import Order, recorded_end
from gitorch.engines.keeper import TAKEN, UNSUCCESSFUL
from gitorch.model.run.outcome import (
    ExitCode,
    Killed,
    Lost,
    OutOfMemory,
    Signalled,
    Succeeded,
    TimedOut,
)
from gitorch.tools import process
from tests.engines.bench import eventually, living, log_of, shell


def start(order: Order, job: str = "7") -> subprocess.Popen[bytes]:
    command = [*order_files.keeper_command(), str(order.directory), job]
    return subprocess.Popen(command, start_new_session=True)


def write(order: Order, *, checkpoint_s: float = 5.0) -> None:
    order_files.write_order(
        order, os.environ, beat_s=0.05, checkpoint_s=checkpoint_s
    )


def test_it_records_the_end_and_the_log_and_where_it_ran(tmp_path: Path) -> None:
    wanted = shell(tmp_path, "echo $WORD; exit 3", env={"WORD": "a b"})
    write(wanted)
    keeper = start(wanted)
    assert keeper.wait(20) == UNSUCCESSFUL
    ended = recorded_end(wanted.directory, wanted.token)
    assert ended is not None
    assert ended.outcome == ExitCode(exit_code=3)
    assert log_of(wanted) == "a b\n"
    began = order_files.began(wanted.directory, wanted.token)
    assert began is not None
    assert (began.pid, began.job) == (keeper.pid, "7")


def test_an_order_is_carried_out_once(tmp_path: Path) -> None:
    wanted = shell(tmp_path, "echo started; sleep 0.2")
    write(wanted)
    first = start(wanted, "1")
    eventually(lambda: (wanted.directory / "log.txt").exists())
    others = [start(wanted, "1"), start(wanted, "2")]
    assert [other.wait(20) for other in others] == [TAKEN, TAKEN]
    assert first.wait(20) == 0
    assert log_of(wanted) == "started\n"


def test_a_withdrawn_order_is_not_carried_out(tmp_path: Path) -> None:
    wanted = shell(tmp_path, "echo started")
    write(wanted)
    assert order_files.withdraw_order(wanted.directory)
    assert start(wanted).wait(20) == TAKEN
    assert not order_files.is_taken(wanted.directory)
    assert not order_files.withdraw_order(wanted.directory)


def test_its_sign_of_life_changes_while_it_runs(tmp_path: Path) -> None:
    wanted = shell(tmp_path, "sleep 60")
    write(wanted)
    keeper = start(wanted)
    first = eventually(lambda: order_files.last_beat(wanted.directory))
    eventually(lambda: order_files.last_beat(wanted.directory) != first)
    order_files.request_end(wanted.directory, wanted.token, Killed())
    assert keeper.wait(20) == UNSUCCESSFUL
    ended = recorded_end(wanted.directory, wanted.token)
    assert ended is not None
    assert ended.outcome == Killed()


def test_before_the_time_limit_of_the_job_a_checkpoint_can_be_written(
    tmp_path: Path,
) -> None:
    script = "trap 'sleep 0.5; echo saved >checkpoint; exit' TERM; sleep 60 & echo up; wait"
    wanted = shell(tmp_path, script)
    write(wanted)
    keeper = start(wanted)
    eventually(lambda: (wanted.directory / "log.txt").exists() and log_of(wanted))
    keeper.send_signal(signal.SIGUSR1)
    keeper.wait(20)
    ended = recorded_end(wanted.directory, wanted.token)
    assert ended is not None
    assert isinstance(ended.outcome, TimedOut)
    assert (tmp_path / "checkpoint").read_text() == "saved\n"


def test_a_signal_ends_all_processes(tmp_path: Path) -> None:
    wanted = shell(tmp_path, "setsid sleep 60 & echo $!; sleep 60")
    write(wanted)
    keeper = start(wanted)
    log = wanted.directory / "log.txt"
    pid = int(eventually(lambda: log.exists() and log.read_text()))
    keeper.send_signal(signal.SIGTERM)
    keeper.wait(20)
    ended = recorded_end(wanted.directory, wanted.token)
    assert ended is not None
    assert ended.outcome == Signalled(signal=15)
    assert living([pid]) == []


@pytest.mark.parametrize("victims", ["slot", "slot and supervisor"])
def test_an_attempt_whose_slot_dies_is_lost_and_leaves_no_process(
    tmp_path: Path, victims: str
) -> None:
    wanted = shell(tmp_path, "echo $$; sleep 60")
    write(wanted)
    keeper = start(wanted)
    log = wanted.directory / "log.txt"
    pid = int(eventually(lambda: log.exists() and log.read_text()))
    program = process.process_of(pid)
    assert program is not None
    slot = process.process_of(program.parent)
    assert slot is not None
    with suppress(ProcessLookupError):
        if victims != "slot":
            os.kill(slot.parent, signal.SIGKILL)
        os.kill(slot.pid, signal.SIGKILL)
    keeper.wait(20)
    ended = recorded_end(wanted.directory, wanted.token)
    assert ended is not None
    # Another test may use up the memory of the machine at this moment.
    assert isinstance(ended.outcome, Lost | OutOfMemory)
    assert living([pid]) == []


def test_what_the_setup_of_a_job_adds_to_a_path_is_kept(tmp_path: Path) -> None:
    base = {"PATH": os.environ["PATH"], "SECRET": "s3", "GONE": "1", "OTHER": "a"}
    wanted = shell(tmp_path, "echo $PATH; echo $OTHER$GONE$SECRET")
    env = {"PATH": f"/env/bin:{base['PATH']}", "SECRET": "s3", "OTHER": "b"}
    order_files.write_order(
        wanted._replace(env=env), base, beat_s=1, checkpoint_s=1
    )
    assert "s3" not in (wanted.directory / "order.json").read_text()
    command = [*order_files.keeper_command(), str(wanted.directory), "1"]
    job = {**base, "PATH": f"/module/bin:{base['PATH']}"}
    subprocess.run(command, env=job, check=True, timeout=20)
    paths, others = log_of(wanted).splitlines()
    assert paths == f"/env/bin:/module/bin:{base['PATH']}"
    assert others == "bs3"
    ended = recorded_end(wanted.directory, wanted.token)
    assert ended is not None
    assert ended.outcome == Succeeded()


def test_an_attempt_whose_directory_was_removed_ends(tmp_path: Path) -> None:
    """Its machine had hung, for example, and another attempt has replaced it meanwhile."""
    wanted = shell(tmp_path, "trap '' TERM; echo $$; while :; do sleep 1; done")
    write(wanted)
    keeper = start(wanted)
    log = wanted.directory / "log.txt"
    pid = int(eventually(lambda: log.exists() and log.read_text()))
    wanted.directory.rename(tmp_path / "removed")
    assert keeper.wait(20) == UNSUCCESSFUL
    assert living([pid]) == []
