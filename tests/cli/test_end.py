"""The end of the program: what was registered and printed is there, and nothing is freed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import atexit, sys, threading, time
from gitorch.__main__ import program

class Held:
    def __del__(self):
        sys.__stdout__.write("freed\\n")

held = Held()
atexit.register(print, "registered")
{before}
sys.argv = ["gitorch", "{word}"]
program()
"""
_THREAD = (
    'threading.Thread(target=lambda: (time.sleep(0.3), print("worked"))).start()'
)
_PROFILER = "import cProfile; cProfile.Profile().enable()"


def ended(tmp_path: Path, word: str, before: str = "") -> tuple[int, list[str]]:
    """Run the program after the statement `before`, and return its exit code and last lines."""
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(before=before, word=word)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout.splitlines()


def test_the_process_ends_without_freeing_what_it_has(tmp_path: Path) -> None:
    code, lines = ended(tmp_path, "--version")
    assert code == 0
    assert lines[0].startswith("gitorch ")
    assert lines[1:] == ["registered"]


def test_the_exit_code_is_that_of_the_command(tmp_path: Path) -> None:
    assert ended(tmp_path, "no-such-command") == (2, ["registered"])


@pytest.mark.parametrize(
    ("before", "last"),
    [
        (_THREAD, ["worked", "registered", "freed"]),
        (_PROFILER, ["registered", "freed"]),
    ],
)
def test_python_ends_the_process_if_a_thread_works_or_somebody_measures(
    tmp_path: Path, before: str, last: list[str]
) -> None:
    code, lines = ended(tmp_path, "--version", before)
    assert code == 0
    assert lines[1:] == last
