"""The sealed room of every test: no user configuration, a fixed author, a bare environment."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pygit2
import pytest

from tests.prefork import needs_a_process, server

KEPT = ("PATH", "TMPDIR", "LANG", "COVERAGE_PROCESS_START", "PYTHONHASHSEED")
AUTHOR = {"name": "A. Researcher", "email": "researcher@example.org"}

# A shell that starts the tests in the background may ignore these signals; children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_sessionfinish() -> None:
    if server.cache_info().currsize:
        server().close()
        server.cache_clear()


@pytest.fixture(scope="session")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the directories of this process's rooms, none of which exists yet.

    `mktemp` reads the names of all of its earlier directories, which takes longer with each test.
    """
    directory = tmp_path_factory.mktemp("rooms")
    return (directory / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def sealed_room(
    rooms: Iterator[Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Give the test an empty home and a bare environment. Fail a test that wrote to its home."""
    room = next(rooms)
    home = room / "home"
    ledger = room / "ledger"
    for directory in (room, home, ledger):
        directory.mkdir(mode=0o700)
    for name in list(os.environ):
        if name not in KEPT and not name.startswith(("PYTEST_", "COV_", "PIP_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / ".local/share"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    (home / "gitconfig").write_text(
        f"[user]\n\tname = {AUTHOR['name']}\n\temail = {AUTHOR['email']}\n"
        "[init]\n\tdefaultBranch = main\n"
        '[protocol "file"]\n\tallow = always\n'
        "[advice]\n\tdetachedHead = false\n"
        # Tests that run side by side must not share the machine's resources.
        f"[gitorch]\n\tledgerDir = {ledger}\n"
    )
    for level in (
        pygit2.enums.ConfigLevel.GLOBAL,
        pygit2.enums.ConfigLevel.SYSTEM,
        pygit2.enums.ConfigLevel.XDG,
    ):
        pygit2.settings.search_path[level] = str(home / "nowhere")
    before = _listing(home)
    yield home
    assert _listing(home) == before, "the test wrote into the user's home"


def _listing(home: Path) -> list[tuple[str, int]]:
    return sorted(
        (str(path), path.stat().st_mtime_ns)
        for path in home.rglob("*")
        if path.is_file()
    )


def git(root: Path, *arguments: str, check: bool = True) -> str:
    """Run the git program in `root` and return its output."""
    result = subprocess.run(
        ["git", "-C", str(root), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if check and result.returncode:
        raise AssertionError(f"git {' '.join(arguments)}: {result.stderr}")
    return result.stdout.rstrip("\n")


def commit_files(
    root: Path, files: dict[str, str | bytes], message: str = "change"
) -> str:
    """Write `files`, commit everything, and return the commit's oid."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    git(root, "add", "-A")
    git(root, "commit", "-qm", message)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a repository with one commit, in a directory of its own."""
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q")
    commit_files(root, {"README.md": "A project.\n"}, "first")
    return root


@pytest.fixture
def removed_by_rm(tmp_path: Path) -> Iterator[None]:
    """Remove what the test has made. pytest itself cannot delete very deep directories."""
    yield
    subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)


def gitorch(
    root: Path,
    *arguments: str | Path,
    code: int | None = 0,
    env: dict[str, str] | None = None,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run the program in `root` as a user would, without a terminal.

    `code` is the expected exit code; None accepts any.
    """
    words = list(map(str, arguments))
    whole = {**os.environ, **(env or {})}
    if needs_a_process(env or {}):
        result = subprocess.run(
            [sys.executable, "-m", "gitorch", *words],
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=whole,
            timeout=timeout,
            check=False,
        )
    else:
        result = server().run(words, root, whole, timeout)
    if code is not None:
        assert result.returncode == code, (
            f"gitorch {arguments}: {result.returncode}\n{result.stdout}{result.stderr}"
        )
    return result


def gitorch_json(root: Path, *arguments: str | Path, code: int | None = 0) -> Any:
    """Run the command with `--json` and return its document."""
    return json.loads(gitorch(root, *arguments, "--json", code=code).stdout)


def write(root: Path, name: str, text: str) -> Path:
    """Write a file below `root` and make its directories. The text is dedented."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip("\n"))
    return path


def started(root: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start `gitorch` as a process and return while it runs."""
    return subprocess.Popen(
        [sys.executable, "-m", "gitorch", *map(str, arguments)],
        cwd=root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# A process inherits the peak of the one that starts it. The tests need more than a worker does, so
# a small process starts the worker.
_WATCH = """
import resource, subprocess, sys
subprocess.run(
    [sys.executable, "-m", "gitorch", "run"],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_of_a_worker(root: Path) -> int:
    """Execute what is queued, and return the largest memory of the processes, in KiB."""
    watched = subprocess.run(
        [sys.executable, "-c", _WATCH],
        cwd=root,
        stdout=subprocess.PIPE,
        check=True,
    )
    return int(watched.stdout)


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
