"""A further worktree of a commit against `git worktree add`, interleaved.

    python tests/benchmarks/worktrees.py [files] [rounds] [directory]

The directory decides over the file system. Aim: at most 0.6 times `git worktree add` at 5,000 files.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gitorch.git.repository import Repository
from gitorch.git.worktree.contract import UNMODIFIED
from gitorch.git.worktree.worktrees import FastWorktrees


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", root, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def make_project(root: Path, files: int) -> str:
    for number in range(files):
        path = root / f"package{number // 50}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"x = {number}\n" * 200)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "first")
    return git(root, "rev-parse", "HEAD")


def measure(files: int, rounds: int, room: Path) -> dict[str, list[float]]:
    root = room / "project"
    root.mkdir()
    commit = make_project(root, files)
    repo = Repository.discover(root)
    number = 0

    def by_git(path: Path) -> None:
        git(root, "worktree", "add", "--detach", str(path), commit)

    def by_git_4(path: Path) -> None:
        git(root, "-c", "checkout.workers=4", "worktree", "add", "--detach", str(path), commit)

    def materialise(path: Path) -> None:
        FastWorktrees(repo).materialise(commit, path)

    def unmodified(path: Path) -> None:
        assert FastWorktrees(repo).modified(last, commit) == UNMODIFIED

    def reset(path: Path) -> None:
        FastWorktrees(repo).reset(last, commit)

    def discard(path: Path) -> None:
        FastWorktrees(repo).discard(last)

    for name in ("warm", "up"):
        materialise(room / name)
    last = room
    times: dict[str, list[float]] = {}
    ways: list[Callable[[Path], None]] = [by_git, by_git_4, materialise, unmodified, reset, discard]
    for _ in range(rounds):
        for way in ways:
            number += 1
            path = room / "project.gitorch" / f"run{number}" / "tree"
            path.parent.mkdir(parents=True)
            started = time.perf_counter()
            way(path)
            times.setdefault(way.__name__, []).append((time.perf_counter() - started) * 1000)
            last = path if way is materialise else last
    return times


def main() -> None:
    files, rounds = (int(word) for word in (sys.argv[1:3] + ["20", "60"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv) > 3 else None) as room:
        times = measure(files, rounds, Path(os.path.realpath(room)))
    base = statistics.median(times["by_git"])
    print(f"{files} files, {rounds} rounds: median and least, ms; median as a part of git's")
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"{name:12} {middle:8.2f} {min(values):8.2f} {middle / base:6.2f}")


if __name__ == "__main__":
    main()
