"""Short tasks by `gitorch run --engine slurm`, against one array of the same tasks by sbatch.

    python -m tests.benchmarks.slurm_tasks [--tasks N] [COMMAND…]

A private Slurm with eight CPUs runs on this machine. The time of the array is that from sbatch
until squeue lists none of its jobs. The time of gitorch is that of the whole command, with every
result committed to the branch.
"""

from __future__ import annotations

import argparse
import os
import shlex
import tempfile
import time
from pathlib import Path

from tests.benchmarks.dask_tasks import call, write_config
from tests.conftest import git
from tests.engines.slurm_cluster import SlurmCluster

COMMANDS = ("true",)
_PAUSE_S = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", default=COMMANDS)
    parser.add_argument("--tasks", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        cluster = SlurmCluster(Path(tempfile.mkdtemp(dir=room)))
        cluster.start()
        os.environ.update(cluster.environment)
        try:
            for command in options.commands:
                argv = shlex.split(command)
                bare = by_array(cluster, argv, options.tasks)
                root = Path(tempfile.mkdtemp(dir=room))
                took = by_gitorch(root, argv, options.tasks)
                print(
                    f"{options.tasks} x {command}: array {bare:.1f} s, "
                    f"gitorch {took:.1f} s ({took / bare:.2f})"
                )
        finally:
            cluster.stop()


def by_array(cluster: SlurmCluster, argv: list[str], tasks: int) -> float:
    """Execute the tasks with Slurm alone. Return the seconds taken."""
    began = time.perf_counter()
    wrapped = f"--wrap=exec {shlex.join(argv)}"
    cluster.ask("sbatch", f"--array=1-{tasks}", "--output=/dev/null", wrapped)
    while cluster.jobs():
        time.sleep(_PAUSE_S)
    return time.perf_counter() - began


def by_gitorch(root: Path, argv: list[str], tasks: int) -> float:
    """Execute the tasks with gitorch, in a new project. Return the seconds taken."""
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "B")
    git(root, "config", "user.email", "b@example.org")
    git(root, "config", "gitorch.engine", "slurm")
    write_config(root / "sweep.yaml", argv, tasks)
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    call(root, "ready", "sweep.yaml")
    began = time.perf_counter()
    call(root, "run")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
