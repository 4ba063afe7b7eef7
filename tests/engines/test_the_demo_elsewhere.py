"""The demo's sweep through Slurm, and through Dask hosts without a shared file system.

The records are those of the local runs, but for times and for the facts of the machines.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git, gitorch, gitorch_json, write
from tests.engines.dask_site import dask_site
from tests.engines.hosts import Hosts, why_not
from tests.engines.slurm_cluster import SlurmCluster

SWEEP = ("-S", "learningRate=0.3,1.0", "-S", "seed=range(1,3)")
# The keys whose values are other ones in every run.
OF_ONE_RUN = frozenset(
    {"id", "created", "started", "ended", "duration_s", "at", "by"}
    | {"token", "host", "environment_sha256"}
)
TIME = re.compile(r'^[\d-]+ [\d:,]+ |"time": [\d.]+', re.MULTILINE)
GPU = "A100, 535.1"
# A job that has a host name of its own, and a GPU.
NODE = (
    'test "$(hostname)" = node7 || exec unshare --uts sh -c '
    """'hostname node7 && exec bash "$0"' "$0\""""
)

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """The demo's repository, in which the sweep has run on this machine."""
    gitorch(tmp_path, "demo", "penguins")
    root = tmp_path / "penguins"
    swept(root, "-j", "2")
    return root


@pytest.fixture
def gpu(tmp_path: Path) -> Path:
    """A directory with a program that says that the machine has a GPU."""
    program = write(tmp_path, "bin/nvidia-smi", f"#!/bin/sh\necho '{GPU}'\n")
    program.chmod(0o755)
    return program.parent


@pytest.fixture
def scheduler(tmp_path: Path, demo: Path, gpu: Path) -> Iterator[str]:
    """The address of a Dask whose workers are on hosts that see none of the demo's files."""
    workspace = tmp_path / "penguins.gitorch"
    hosts = Hosts([workspace, demo])
    try:
        with dask_site(tmp_path / "dask", hosts.address) as site:
            for host in ("host1", "host2"):
                hosts.start(
                    host,
                    tmp_path / f"{host}.log",
                    "Registered to",
                    *("sh", "-c", f'PATH={gpu}:$PATH exec "$@"', "sh"),
                    *("env", f"GITORCH_HOST_CACHE={workspace}/cache", "HOME=/"),
                    *(sys.executable, "-m", "distributed.cli.dask_worker"),
                    *(site.address, "--host", "{address}", "--nthreads", "1"),
                    *("--no-nanny", "--no-dashboard"),
                    *("--local-directory", f"{workspace}/scratch"),
                )
            yield site.address
    finally:
        hosts.close()


def swept(root: Path, *words: str) -> None:
    gitorch(
        root, "run", "--again", "experiments/all-measurements.yaml", *SWEEP, *words
    )


def pairs(root: Path) -> list[tuple[str, str]]:
    """Return the ids of the runs of both sweeps, of those with the same parameters together."""
    by_label: dict[str, list[str]] = {}
    for row in gitorch_json(root, "list", "--name", "all-measurements")["runs"]:
        by_label.setdefault(str(row["params"]), []).append(row["id"])
    found = []
    for ids in by_label.values():
        if len(ids) > 1:
            found.append((ids[1], ids[0]))
    return found


def essence(value: Any) -> Any:
    """Return a part of a record without what belongs to one run."""
    if isinstance(value, dict):
        kept = {}
        for key, part in value.items():
            if key not in OF_ONE_RUN:
                kept[key] = essence(part)
        return kept
    if isinstance(value, list):
        return [essence(part) for part in value]
    return value


def assert_same_but_for_the_machine(root: Path, hosts: set[str]) -> None:
    executed_on = set()
    for local, remote in pairs(root):
        records = [
            gitorch_json(root, "show", run)["run"] for run in (local, remote)
        ]
        for task in records[1]["tasks"]:
            executed_on.update(attempt["host"] for attempt in task["attempts"])
        assert records[1]["environment"]["gpus"] == [GPU]
        for record in records:
            del record["environment"]["gpus"]
        assert essence(records[0]) == essence(records[1])
        compared = gitorch_json(root, "compare", local, remote)
        assert compared["outputs"] == {
            "same": True,
            "changed": [],
            "added": [],
            "removed": [],
        }
        assert list(compared["environment"]["changed"]) == ["gpus"]
        for name in ("log.txt", "used.json", "events.jsonl"):
            assert kept(root, local, name) == kept(root, remote, name)
    assert executed_on == hosts
    assert hosts & set(gitorch_json(root, "env", remote)["hosts"])
    host = r"^  host +{} *(?:node7|host\d)"
    compared_text = gitorch(root, "compare", local, remote).stdout
    assert re.search(host.format(platform.node()), compared_text, re.MULTILINE)
    shown = gitorch(root, "show", remote).stdout
    assert re.search(host.format(""), shown, re.MULTILINE)


def kept(root: Path, run: str, name: str) -> list[str]:
    """Return the texts of this name on the branch, without times."""
    directory = f"gitorch/results:runs/{run[:2]}/{run}"
    tasks = git(root, "ls-tree", "-r", "--name-only", f"{directory}/tasks").split()
    texts = []
    for path in tasks:
        if path.endswith(f"/{name}"):
            texts.append(
                TIME.sub("", git(root, "show", f"{directory}/tasks/{path}"))
            )
    return texts


def test_through_slurm(demo: Path, gpu: Path, slurm: SlurmCluster) -> None:
    git(demo, "config", "--add", "gitorch.slurm.setup", f"{NODE}; PATH={gpu}:$PATH")
    swept(demo, "--engine", "slurm")
    assert_same_but_for_the_machine(demo, {"node7"})
    [(_, remote), *_] = pairs(demo)
    refused = gitorch(demo, "rerun", remote, "--queue", "--strict", code=4).stderr
    assert f"gpu: gpus [{GPU}] -> []" in refused
    git(demo, "config", "gitorch.engine", "slurm")
    gitorch(demo, "rerun", remote, "--queue", "--strict")


def test_through_dask_hosts(demo: Path, scheduler: str) -> None:
    swept(demo, "--engine", "dask", "--scheduler", scheduler, "-j", "2")
    assert_same_but_for_the_machine(demo, {"host1", "host2"})
