"""A lock has one holder, and is free when the holder is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gitorch.tools.locks import _listed_holders, how_to_free, is_held, taken


def test_a_lock_has_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "made" / "lock"
    assert not is_held(path)
    assert not path.exists(), "a reader makes no file"
    with taken(path) as first:
        assert first
        assert is_held(path)
        with taken(path, wait_s=0.01) as second:
            assert not second
    assert not is_held(path)


def test_the_lock_of_a_killed_holder_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import sys, time; from pathlib import Path; from gitorch.tools.locks import taken\n"
        "with taken(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert is_held(path)
        holder.kill()
        with taken(path, wait_s=10) as held:
            assert held


def test_the_hint_names_the_holder_and_how_to_end_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert how_to_free(path).startswith("repeat this: ")
    program = (
        "import fcntl, sys, time; file = open(sys.argv[1], 'w'); "
        "fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        hint = how_to_free(path)
        assert hint.startswith(f"wait for pid {holder.pid} (")
        _, _, command = hint.partition("or end it: ")
        # The processes of another user are only in the kernel's list of locks.
        assert _listed_holders(path.stat()) == [holder.pid]
        subprocess.run(command, shell=True, check=True)
    assert not is_held(path)
