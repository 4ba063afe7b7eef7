"""A lock has one holder, and is free when the holder is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gitorch.tools.locks import is_held, taken


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
