"""Each config in a topic of `gitorch help` is run as it is, on the cluster that it is for."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from gitorch.cli.topics import TOPICS, render_topic
from tests.conftest import commit_files, git, gitorch, gitorch_json, write
from tests.engines.dask_site import dask_site
from tests.engines.slurm_cluster import SlurmCluster
from tests.locked_project import locked

__all__ = ["locked"]  # a fixture
PRINTS_REQUEST = """
import os
print(os.environ["SLURM_JOB_PARTITION"], os.environ["SLURM_CPUS_PER_TASK"])
"""
PRINTS_INPUTS = (
    "import glob\nprint([open(name).read() for name in glob.glob('data/*')])\n"
)


def configs() -> dict[str, str]:
    """Return the configs of all topics, by the name in their first line."""
    found = {}
    for topic in TOPICS:
        text = render_topic(topic)
        for block in re.findall(
            r"^    # \S+\.yaml\n(?:    (?!\$).*\n)+", text, re.M
        ):
            name = block.split()[1]
            found[name] = textwrap.dedent(block)
    return found


def run(root: Path, name: str, *options: str) -> list[str]:
    """Run the config of this name, and return the logs of its first task, oldest first."""
    write(root, name, configs()[name])
    done = gitorch_json(root, "run", name, *options)["runs"]
    assert [run["status"] for run in done] == ["COMPLETE"] * len(done)
    logs = []
    for each in done:
        record = gitorch_json(root, "show", each["id"])["run"]
        first = record["tasks"][0]["id"]
        logs.append(gitorch(root, "logs", each["id"], "--task", first).stdout)
    return logs


def test_no_config_is_left_out() -> None:
    source = Path(__file__).read_text()
    assert len(configs()) >= 4
    for name in configs():
        assert f'run(project, "{name}"' in source.replace(
            "run(locked", "run(project"
        )


def test_the_first_config(project: Path) -> None:
    run(project, "experiments/first.yaml")
    report = gitorch(project, "logs", "first seed=2", "--task", "report").stdout
    assert report == "0.1 2\n"


def test_the_config_with_a_lock(locked: Path) -> None:
    commit_files(locked, {"train.py": "import dep\nprint(dep.VERSION)\n"})
    assert run(locked, "experiments/locked.yaml") == ["1.0\n"]


def test_the_config_for_slurm(
    project: Path,
    slurm: SlurmCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The site has a partition `gpu`, and its program `module` is a file here."""
    module = write(
        tmp_path, "site/module", f'#!/bin/sh\necho "$@" >> {tmp_path}/loaded\n'
    )
    module.chmod(0o755)
    commit_files(project, {"train.py": PRINTS_REQUEST})
    monkeypatch.setenv("PATH", f"{module.parent}:{slurm.environment['PATH']}")
    assert run(project, "cluster.yaml") == ["gpu 8\n"]
    assert (tmp_path / "loaded").read_text() == "load cuda/12\n"


def test_the_config_for_dask(project: Path, tmp_path: Path) -> None:
    commit_files(project, {".gitignore": "data/\n", "train.py": PRINTS_INPUTS})
    write(project, "data/a.csv", "1\n")
    with dask_site(tmp_path / "dask") as site:
        site.worker("host", "--resources", "gpus=1")
        git(project, "config", "gitorch.dask.scheduler", site.address)
        git(project, "config", "gitorch.dask.private", "true")
        assert run(project, "dask.yaml") == ["['1\\n']\n"]
