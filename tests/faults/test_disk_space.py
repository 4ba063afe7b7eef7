"""Disks that are too small, for one run or for all, and outputs that cannot be stored.

A run whose outputs cannot be stored ends in ERROR and keeps its files. Without space for the
workspace no run can start, so the worker stops and all runs wait.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git, gitorch, gitorch_json, write
from tests.faults.test_faults import fill, mounted, small

MIB = 1 << 20


def config(project: Path, name: str, command: str) -> None:
    """Write a config with one task. `$O` in its command is the output directory."""
    task = {"id": "t", "command": f"O={{outputDir}}; {command}"}
    content = {"another": name, "tasks": [task]}
    write(project, f"experiments/{name}.yaml", json.dumps(content))


def statuses(project: Path) -> dict[str, str]:
    runs = gitorch_json(project, "list")["runs"]
    return {run["name"]: run["status"] for run in runs}


def last_attempt(project: Path, name: str) -> Any:
    run = gitorch_json(project, "show", name)["run"]
    return run["tasks"][0]["attempts"][-1]


def output_of(project: Path, name: str) -> Path:
    run_id = gitorch_json(project, "show", name)["run"]["id"]
    return project.parent / "project.gitorch" / run_id / "output"


def test_an_output_that_does_not_fit_fails_its_own_run(
    project: Path, tmp_path: Path
) -> None:
    config(
        project, "big", "head -c 30000000 /dev/zero > $O/big.bin; echo 1 > $O/small"
    )
    config(project, "sparse", "truncate -s 200G $O/hole.bin")
    config(project, "good", "echo 1 > $O/it")
    with mounted(tmp_path / "disk", *small("24m")) as disk:
        git(project, "config", "lfs.storage", str(disk))
        ended = gitorch(project, "run", "experiments", code=1, timeout=60).stderr
        assert statuses(project) == {
            "big": "ERROR",
            "sparse": "ERROR",
            "good": "COMPLETE",
        }
        assert "big.bin is not kept: it has 28.6 MiB, and the disk of" in ended
        assert (
            f"the files of the run stay in {output_of(project, 'big').parent}"
            in ended
        )
        assert (
            output_of(project, "big").joinpath("big.bin").stat().st_size == 30000000
        )
        assert not list(disk.glob("gitorch-incoming/*"))
        assert "nothing to do" in gitorch(project, "run").stderr
        gitorch(project, "fail", "big")
        gitorch(project, "collect")
        assert output_of(project, "big").joinpath("big.bin").exists()
    git(project, "config", "--unset", "lfs.storage")
    gitorch(project, "resubmit", "big")
    gitorch(project, "run")
    assert statuses(project)["big"] == "COMPLETE"


def test_many_small_outputs_that_do_not_fit_together(
    project: Path, tmp_path: Path
) -> None:
    every = "for n in $(seq 40); do head -c 1000000 /dev/urandom > $O/$n; done"
    with mounted(tmp_path / "disk", *small("24m")) as disk:
        root = disk / "project"
        shutil.copytree(project, root)
        git(root, "config", "gitorch.workspace", str(tmp_path / "workspace"))
        config(root, "many", every)
        config(root, "one", "echo 1 > $O/it")
        gitorch(root, "run", "experiments", code=1, timeout=60)
        assert statuses(root) == {"many": "ERROR", "one": "COMPLETE"}
        assert len(last_attempt(root, "many")["notes"]) < 25
        assert git(root, "fsck", "--full", "--no-dangling") == ""


@pytest.mark.usefixtures("removed_by_rm")
@pytest.mark.parametrize("levels", [500, 1500])
def test_a_directory_that_is_too_deep_fails_its_own_run(
    project: Path, levels: int
) -> None:
    # One relative path. A shell's `cd` gives the system the whole path, level after level.
    below = "d/" * levels
    config(project, "deep", f"cd $O; mkdir -p {below}; echo 1 > {below}it")
    config(project, "good", "mkdir -p $O/a/b; echo 1 > $O/a/b/it")
    ended = gitorch(project, "run", "experiments", code=1, timeout=60).stderr
    assert statuses(project) == {"deep": "ERROR", "good": "COMPLETE"}
    assert "it is more than 256 directories deep" in ended
    assert "the files of the run stay in" in ended
    output = output_of(project, "deep")
    gitorch(project, "fail", "deep")
    gitorch(project, "resubmit", "deep")
    gitorch(project, "kill", "--yes", "deep")
    gitorch(project, "collect")
    assert not output.parent.exists()
    assert not list((project.parent / "project.gitorch").glob("trash/*"))


def test_holes_stay_holes(project: Path) -> None:
    config(
        project,
        "a",
        "truncate -s 200M $O/x; printf end >> $O/x; truncate -s 300M $O/x",
    )
    gitorch(project, "run", "experiments")
    [output] = gitorch_json(project, "show", "a")["run"]["outputs"]
    assert output["size"] == 300 * MIB
    [kept] = (project / ".git/lfs/objects").glob("*/*/*")
    assert kept.name == output["sha256"]
    assert kept.stat().st_blocks * 512 < MIB


def test_a_full_workspace_keeps_the_runs_waiting(
    project: Path, tmp_path: Path
) -> None:
    for number in range(6):
        config(project, f"r{number}", "echo 1 > $O/it")
    with mounted(tmp_path / "disk", *small("8m")) as disk:
        git(project, "config", "gitorch.workspace", str(disk))
        gitorch(project, "ready")
        fill(disk, but=50_000)
        stopped = gitorch(project, "run", "-j", "2", code=1)
        assert "no more tasks are started, because the disk of" in stopped.stderr
        assert (
            "hint: make room; the waiting runs are still queued" in stopped.stderr
        )
        assert set(statuses(project).values()) == {"WAITING"}
        (disk / "filling").unlink()
        gitorch(project, "run")
        assert set(statuses(project).values()) == {"COMPLETE"}


def test_a_task_that_fills_the_workspace_fails_alone(
    project: Path, tmp_path: Path
) -> None:
    for number in range(4):
        config(project, f"r{number}", "head -c 20000000 /dev/zero > $O/it")
    with mounted(tmp_path / "disk", *small("8m")) as disk:
        git(project, "config", "gitorch.workspace", str(disk))
        gitorch(project, "run", "experiments", code=1)
        found = sorted(statuses(project).values())
        assert found == ["ERROR", "WAITING", "WAITING", "WAITING"]
