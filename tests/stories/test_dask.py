"""Configs run on the workers of Dask, and the records are those of a local run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json
from tests.engines.dask_site import DaskSite, dask_site

TASKS = """
import gitorch, json, os

class Fit(gitorch.TaskBase):
    def run(self):
        lr = self.config["lr"]
        with open(os.path.join(self.config["outputDir"], "model.json"), "w") as file:
            json.dump({"lr": lr}, file)
        for step in range(3):
            print("step", step)
        return {"loss": 1 / lr}
"""
CONFIG = """
lr: 0.1
gitorch: {matrix: {lr: [0.1, 0.2, 0.4]}, ship: [data.csv], link: [data.csv]}
tasks:
  - {id: fit, method: Fit}
  - {id: look, command: "cat data.csv {outputDir}/model.json > {outputDir}/seen"}
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskSite]:
    with dask_site(tmp_path / "dask") as site:
        site.worker("one")
        site.worker("two")
        yield site


@pytest.mark.timeout(120)
def test_a_sweep_on_dask_has_the_results_of_a_local_one(
    project: Path, cluster: DaskSite
) -> None:
    (project / ".gitignore").write_text("data.csv\n")
    (project / "data.csv").write_text("a,b\n")
    commit_files(project, {"Tasks.py": TASKS, "experiments/a.yaml": CONFIG})
    git(project, "config", "gitorch.dask.private", "true")
    words = ("--engine", "dask", "--scheduler", cluster.address)
    gitorch(project, "run", "experiments/a.yaml", *words, "-j", "2")
    remote = gitorch_json(project, "list")["runs"]
    assert [run["status"] for run in remote] == ["COMPLETE"] * 3
    gitorch(project, "rerun", "--name", "a")
    for run in remote:
        [again] = gitorch_json(
            project, "list", "--where", f"rerun_of == '{run['id']}'"
        )["runs"]
        assert again["metrics"] == run["metrics"]
        compared = gitorch_json(project, "compare", run["id"], again["id"])
        assert compared["outputs"]["same"] is True
        assert compared["code"]["same"] is True
        log = gitorch(project, "logs", run["id"], "--task", "fit").stdout
        assert log.endswith("step 0\nstep 1\nstep 2\n")


def test_dask_needs_a_scheduler(project: Path) -> None:
    commit_files(
        project, {"experiments/a.yaml": "tasks: [{id: t, command: 'true'}]"}
    )
    refused = gitorch(
        project, "run", "experiments/a.yaml", "--engine", "dask", code=2
    ).stderr
    assert "the engine dask needs the address of a scheduler" in refused
    for address in ("nonsense", "http://localhost:8786", "tcp://localhost:port"):
        wrong = ("--engine", "dask", "--scheduler", address)
        refused = gitorch(project, "run", "a", *wrong, code=2).stderr
        assert f"{address!r} is not the address of a scheduler" in refused
    nobody = ("--scheduler", "tcp://127.0.0.1:9")
    gitorch(project, "run", "a", "--engine", "dask", *nobody, code=5)
