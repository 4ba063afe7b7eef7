"""Short tasks by `gitorch run --engine dask`, against `client.map` of `subprocess.run`.

    python -m tests.benchmarks.dask_tasks [--tasks N] [--threads N] [COMMAND…]

A scheduler and two workers run on this machine. The same tasks are executed by `client.map`, then
by gitorch on hosts that share the file system, then by gitorch on hosts with files of their own.
Before the measurement each host has executed one task, so it has the code already. The time of
gitorch is that of the whole command, with every result committed to the branch.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from distributed import Client

from tests.conftest import git
from tests.engines.dask_site import DaskSite, dask_site

COMMANDS = ("true", "sleep 0.1", "sleep 0.5", "sleep 1")
GITORCH = [sys.executable, "-m", "gitorch"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", default=COMMANDS)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as room,
        dask_site(Path(room, "dask")) as site,
    ):
        for name in ("one", "two"):
            site.worker(name, "--nthreads", str(options.threads))
        print(
            f"{options.tasks} tasks, 2 workers with {options.threads} threads each"
        )
        for command in options.commands:
            measure(Path(room), site, shlex.split(command), options.tasks)


def measure(room: Path, site: DaskSite, argv: list[str], tasks: int) -> None:
    bare = by_map(site, argv, tasks)
    print(f"{shlex.join(argv):10} client.map {bare:6.2f} s", end="", flush=True)
    for name in ("shared", "private"):
        root = Path(tempfile.mkdtemp(dir=room))
        took = by_gitorch(root, site, argv, tasks, is_private=name == "private")
        print(f", {name} {took:6.2f} s ({took / bare:5.2f})", end="", flush=True)
    print()


def by_map(site: DaskSite, argv: list[str], tasks: int) -> float:
    """Execute the tasks with Dask alone. Return the seconds taken."""
    with Client(site.address, set_as_default=False) as client:
        run: Callable[..., object] = subprocess.run
        client.gather(client.map(run, [argv] * 4, pure=False))
        began = time.perf_counter()
        client.gather(client.map(run, [argv] * tasks, pure=False))
        return time.perf_counter() - began


def by_gitorch(
    root: Path, site: DaskSite, argv: list[str], tasks: int, *, is_private: bool
) -> float:
    """Execute the tasks with gitorch, in a new project. Return the seconds taken."""
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "B")
    git(root, "config", "user.email", "b@example.org")
    git(root, "config", "gitorch.engine", "dask")
    git(root, "config", "gitorch.dask.scheduler", site.address)
    if is_private:
        git(root, "config", "gitorch.dask.private", "true")
    write_config(root / "first.yaml", ["sleep", "0.5"], 4)
    write_config(root / "sweep.yaml", argv, tasks)
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    call(root, "ready", "first.yaml")
    call(root, "run")
    call(root, "ready", "sweep.yaml")
    began = time.perf_counter()
    call(root, "run")
    return time.perf_counter() - began


def write_config(path: Path, argv: list[str], count: int) -> None:
    """Write a config that makes `count` runs of one task."""
    command = ", ".join(f"'{word}'" for word in argv)
    path.write_text(
        f"gitorch: {{matrix: {{number: range({count})}}}}\n"
        f"tasks: [{{id: only, command: [{command}]}}]\n"
    )


def call(root: Path, *words: str) -> None:
    done = subprocess.run(
        [*GITORCH, *words],
        cwd=root,
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])


if __name__ == "__main__":
    main()
