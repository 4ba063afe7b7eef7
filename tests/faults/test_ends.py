"""The program ends with the right exit code and without a traceback, whatever the system does."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import git, gitorch, gitorch_json, wait_for, write

CONFIG = "tasks: [{id: t, command: 'true'}]\n"


@pytest.fixture
def readied(project: Path) -> Path:
    write(project, "experiments/a.yaml", CONFIG)
    gitorch(project, "ready")
    return project


def program(*words: str) -> list[str]:
    return [sys.executable, "-m", "gitorch", *words]


def assert_clean(errors: str) -> None:
    assert "Traceback" not in errors
    assert "bug" not in errors


# -- signals


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_imports(readied: Path, sent: signal.Signals) -> None:
    """Send a signal as soon as the process has loaded one of the libraries."""
    process = subprocess.Popen(
        program("hold", "a"),
        cwd=readied,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    maps = Path(f"/proc/{process.pid}/maps")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        if "msgspec" in maps.read_text():
            process.send_signal(sent)
            break
    _, errors = process.communicate(timeout=20)
    assert process.returncode in (0, 130)
    assert_clean(errors)


def test_a_signal_before_signals_are_handled(tmp_path: Path) -> None:
    """Replace the function that handles signals by one in which Ctrl-C arrives."""
    source = """
from gitorch import __main__ as program

def interrupted(handler):
    raise KeyboardInterrupt

program._handle_signals = interrupted
program.program()
"""
    ended = subprocess.run(
        [sys.executable, "-c", source],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (130, "")


def test_a_signal_at_any_moment(readied: Path) -> None:
    begun = time.monotonic()
    subprocess.run(program("list"), cwd=readied, capture_output=True, check=True)
    lasted = time.monotonic() - begun
    for part in range(1, 5):
        process = subprocess.Popen(
            program("list"),
            cwd=readied,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        maps = Path(f"/proc/{process.pid}/maps")
        wait_for(partial(_has_loaded, maps, "msgspec"))
        time.sleep(lasted * part / 8)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert process.returncode in (0, 130)
        assert_clean(errors)


def _has_loaded(maps: Path, library: str) -> bool:
    return library in maps.read_text()


# -- what the system refuses


def limited(root: Path, *words: str, **limits: int) -> tuple[int, str]:
    """Run the program with limits such as `RLIMIT_FSIZE=0`. Return its exit code and errors."""

    def limit() -> None:
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, name), (value, value))

    done = subprocess.run(
        program(*words),
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=limit,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", [("ready", "--again"), ("hold", "a")])
@pytest.mark.parametrize("limits", [{"RLIMIT_FSIZE": 0}, {"RLIMIT_NOFILE": 9}])
def test_limits_on_files(
    readied: Path, words: tuple[str, ...], limits: dict[str, int]
) -> None:
    code, errors = limited(readied, *words, **limits)
    assert code in (0, 1, 2)
    assert_clean(errors)
    assert gitorch_json(readied, "list")["runs"][-1]["name"] == "a"
    gitorch(readied, "doctor", code=None)
    gitorch(readied, "run")


# The program with a function in place of one that the system lets fail.
REFUSING = """
import sys
import gitorch.actions.listing as listing

def refuse(*_, **__):
    {statement}

listing.matching_rows = refuse
from gitorch.__main__ import main
sys.argv = ["gitorch", "list", "--json"]
main()
"""


@pytest.mark.parametrize(
    "statement",
    [
        "raise MemoryError",
        'raise RuntimeError("can\'t start new thread")',
        f"raise OSError({errno.EAGAIN}, 'Resource temporarily unavailable')",
    ],
)
def test_memory_threads_and_processes_that_are_refused(
    readied: Path, statement: str
) -> None:
    script = REFUSING.format(statement=statement)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=readied,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert_clean(done.stderr + done.stdout)


def test_a_full_device_is_an_error(readied: Path) -> None:
    for words in (
        ("list", "--json"),
        ("list",),
        ("show", "a"),
        ("status", "--json"),
    ):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                program(*words),
                cwd=readied,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
            )
        assert done.returncode == 1
        assert_clean(done.stderr)


# -- a results branch that stands for another


@pytest.mark.parametrize("target", ["refs/heads/main", "refs/heads/nothing"])
def test_a_symbolic_results_branch_is_never_written_through(
    project: Path, target: str
) -> None:
    write(project, "experiments/a.yaml", CONFIG)
    before = git(project, "rev-parse", "main")
    git(project, "symbolic-ref", "refs/heads/gitorch/results", target)
    result = gitorch(project, "ready", code=4)
    assert f"is a symbolic reference to {target}" in result.stderr
    assert git(project, "rev-parse", "main") == before
    for verb in ("list", "status", "run", "doctor"):
        assert_clean(gitorch(project, verb, code=None).stderr)
    git(project, "symbolic-ref", "--delete", "refs/heads/gitorch/results")
    gitorch(project, "ready")


# -- a `ready` that was killed


def test_collect_removes_the_worktrees_of_a_ready_that_was_killed(
    readied: Path,
) -> None:
    workspace = readied.with_name("project.gitorch")
    run_id = gitorch_json(readied, "list")["runs"][0]["id"]
    made = workspace / "aaaaaaaaaaaa"
    (made / "tree").mkdir(parents=True)
    begun = workspace / "bbbbbbbbbbbb"
    (begun / "output").mkdir(parents=True)
    scratch = workspace / "scratch" / "cccccccccccc"
    (scratch / "tree").mkdir(parents=True)
    old = time.time() - 60
    os.utime(scratch, (old, old))
    gitorch(readied, "collect")
    assert not made.exists()
    assert not scratch.exists()
    assert begun.exists(), "nobody knows what it holds"
    assert (workspace / run_id / "tree").exists()
