"""Whatever an attempt does to its streams, the log has everything that it wrote, in order."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitorch.engines.local import LocalEngine
from gitorch.model.run.outcome import Succeeded, TimedOut
from gitorch.tools import process
from tests.engines.bench import (
    carry_out,
    eventually,
    log_of,
    next_ends,
    python,
    shell,
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    with LocalEngine(1, tmp_path / "lock") as engine:
        yield engine


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", directory]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system needs root")
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


PYTHON_OPENS = """
import os
os.write(1, b"a\\n")
for path, mode in (("/dev/stderr", "w"), ("/proc/self/fd/1", "wb"), ("/dev/fd/2", "a")):
    with open(path, mode) as file:
        os.write(file.fileno(), b"b\\n")
os.write(os.open("/dev/stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), b"c\\n")
for stream in (1, 2):
    try:
        os.ftruncate(stream, 0)
    except OSError:
        pass
    try:
        os.lseek(stream, 0, os.SEEK_SET)
    except OSError:
        pass
    os.write(stream, b"d\\n")
"""
SCRIPTS = {
    "redirections": ("echo a; echo b > /dev/stderr; echo c > /dev/stdout", "abc"),
    "twice": ("echo a; echo b > /dev/stdout; echo c > /dev/stdout; echo d", "abcd"),
    "another name": ("echo a; echo b > /proc/self/fd/1; echo c > /dev/fd/2", "abc"),
    "tee": ("echo a >&2; echo b | tee /dev/stderr; echo c", "abbc"),
    "in the background": ("echo a; (echo b > /dev/stderr) & wait; echo c", "abc"),
    "dd": ("echo a; echo b | dd of=/dev/stderr status=none; echo c", "abc"),
    "cp": ("echo a; echo b > f; cp f /dev/stdout; echo c", "abc"),
    "truncate": ("echo a; truncate -s 0 /dev/stdout 2>/dev/null; echo b", "ab"),
    "closed": ("echo a; exec >&-; exec 1>/dev/stderr; echo b", "ab"),
    "both closed": ("echo a; exec >&- 2>&-; sleep 0.05; true", "a"),
    "in order": ("for i in 1 2; do echo a; echo b >&2; done", "abab"),
    "without a newline": ("printf a; printf b > /dev/stderr", "ab"),
}


@pytest.mark.parametrize("case", SCRIPTS)
def test_a_shell_cannot_overwrite_the_log(
    engine: LocalEngine, tmp_path: Path, case: str
) -> None:
    script, expected = SCRIPTS[case]
    wanted = shell(tmp_path, script)
    ended = carry_out(engine, [wanted])[wanted.token]
    assert ended.outcome == Succeeded()
    assert log_of(wanted).replace("\n", "") == expected


def test_a_program_cannot_truncate_the_log(
    engine: LocalEngine, tmp_path: Path
) -> None:
    wanted = python(tmp_path, PYTHON_OPENS)
    ended = carry_out(engine, [wanted])[wanted.token]
    assert ended.outcome == Succeeded(), log_of(wanted)
    assert log_of(wanted).split() == ["a", "b", "b", "b", "c", "d", "d"]


@pytest.mark.parametrize("size", [1, 100, 5_000, 300_000])
def test_all_output_is_in_the_log_when_the_end_is_reported(
    engine: LocalEngine, tmp_path: Path, size: int
) -> None:
    script = f"import os; [os.write(1, b'x' * {size}) for _ in range(40)]"
    orders = [python(tmp_path, script) for _ in range(5)]
    carry_out(engine, orders)
    assert [len(log_of(order)) for order in orders] == [40 * size] * 5


def test_output_of_processes_that_are_left_running_is_in_the_log(
    engine: LocalEngine, tmp_path: Path
) -> None:
    """One floods the log until it is killed, and the program itself has closed its output."""
    script = "trap '' TERM; yes & touch up; exec >&- 2>&-; exit 0"
    wanted = shell(tmp_path, script)
    ended = carry_out(engine, [wanted])[wanted.token]
    assert ended.outcome == Succeeded()
    assert ended.left_running == 1
    assert log_of(wanted).startswith("y\ny\n")


def test_what_a_program_prints_when_it_is_asked_to_end_is_in_the_log(
    engine: LocalEngine, tmp_path: Path
) -> None:
    script = (
        "import os, signal, time\n"
        "def stop(*_):\n"
        "    for _ in range(100): os.write(2, b'x' * 10000)\n"
        "    os._exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "time.sleep(60)\n"
    )
    wanted = python(tmp_path, script, timeout_s=0.3, grace_s=10)
    ended = carry_out(engine, [wanted])[wanted.token]
    assert isinstance(ended.outcome, TimedOut)
    assert ended.duration_s < 5
    assert len(log_of(wanted)) == 1_000_000


def test_a_slot_that_is_stopped_for_a_while_loses_no_output(
    engine: LocalEngine, tmp_path: Path
) -> None:
    script = (
        "import os; os.write(1, b'%d\\n' % os.getppid())\n"
        "while not os.path.exists('go'): pass\n"
        "for _ in range(1000): os.write(1, b'x' * 1000)\n"
    )
    wanted = python(tmp_path, script)
    engine.submit(wanted)
    log = wanted.directory / "log.txt"
    slot = int(eventually(lambda: log.exists() and log.read_text()))
    os.kill(slot, signal.SIGSTOP)
    (tmp_path / "go").touch()
    eventually(lambda: process.process_of(slot))
    os.kill(slot, signal.SIGCONT)
    [ended] = next_ends(engine, 1)
    assert ended.outcome == Succeeded()
    assert log.read_text().count("x") == 1_000_000


def test_a_full_disk_leaves_a_gap_in_the_log_which_is_reported(
    engine: LocalEngine, tmp_path: Path
) -> None:
    """The program goes on, and its later output is in the log again."""
    with small_disk(tmp_path / "disk") as disk:
        script = (
            "echo first; sleep 0.1; yes > filling; head -c 9999 /dev/zero; sleep 0.1;"
            "rm filling; echo last; exit 0"
        )
        wanted = shell(disk, script)
        ended = carry_out(engine, [wanted])[wanted.token]
        assert ended.outcome == Succeeded()
        assert ended.log_error == "No space left on device"
        first, _, *rest = log_of(wanted).split("\n")
        assert first == "first"
        assert rest[-3].startswith("gitorch: ")
        assert rest[-3].endswith(" bytes are missing: No space left on device")
        assert rest[-2:] == ["last", ""]
