"""The time of a further worktree of a commit against that of `git worktree add`, interleaved.

    python tests/benchmarks/worktrees.py [files] [rounds] [directory]

The directory selects the file system. Aim: at most 0.6 times `git worktree add` with 5,000 files.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from gitorch.git.repository import Repository
from gitorch.git.worktree.contract import UNMODIFIED
from gitorch.git.worktree.worktrees import FastWorktrees


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", root, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def make_project(root: Path, files: int) -> str:
    """Commit `files` files. Return the oid of the commit."""
    for number in range(files):
        path = root / f"package{number // 50}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"x = {number}\n" * 200)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "first")
    return git(root, "rev-parse", "HEAD")


def measure(files: int, rounds: int, room: Path) -> dict[str, list[float]]:
    """Return the milliseconds of each way by its name.

    `unmodified`, `reset` and `discard` work on the worktree that `materialise` made before them.
    """
    root = room / "project"
    root.mkdir()
    commit = make_project(root, files)
    worktrees = FastWorktrees(Repository.discover(root))

    def by_git(path: Path) -> None:
        git(root, "worktree", "add", "--detach", str(path), commit)

    def by_git_4(path: Path) -> None:
        git(
            root,
            "-c",
            "checkout.workers=4",
            "worktree",
            "add",
            "--detach",
            str(path),
            commit,
        )

    def materialise(path: Path) -> None:
        worktrees.materialise(commit, path)

    def unmodified(path: Path) -> None:
        assert worktrees.modified(last, commit) == UNMODIFIED

    def reset(path: Path) -> None:
        worktrees.reset(last, commit)

    def discard(path: Path) -> None:
        worktrees.discard(last)

    # Warm up: further worktrees are copied from a template that exists after the second one.
    for name in ("warm", "up"):
        materialise(room / name)
    last = room
    times: dict[str, list[float]] = {}
    ways: list[Callable[[Path], None]] = [
        by_git,
        by_git_4,
        materialise,
        unmodified,
        reset,
        discard,
    ]
    numbers = count()
    for _ in range(rounds):
        for way in ways:
            path = room / "project.gitorch" / f"run{next(numbers)}" / "tree"
            path.parent.mkdir(parents=True)
            started = time.perf_counter()
            way(path)
            elapsed_ms = 1000 * (time.perf_counter() - started)
            times.setdefault(way.__name__, []).append(elapsed_ms)
            if way is materialise:
                last = path
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="?", type=int, default=20)
    parser.add_argument("rounds", nargs="?", type=int, default=60)
    parser.add_argument("directory", nargs="?")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.directory) as room:
        times = measure(chosen.files, chosen.rounds, Path(os.path.realpath(room)))
    base = statistics.median(times["by_git"])
    print(f"{chosen.files} files, {chosen.rounds} rounds")
    print("median in ms, minimum in ms, ratio of the median to that of git")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:12} {median:8.2f} {min(values):8.2f} {median / base:6.2f}")


if __name__ == "__main__":
    main()
