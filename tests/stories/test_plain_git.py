"""gitorch's results, read with git alone, and in clones that have never run anything."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

TASKS = """
import pathlib, sys

class Train:
    def __init__(self, config):
        self.config = config
    def run(self):
        out = pathlib.Path(self.config["outputDir"])
        (out / "model.txt").write_text(f"weights of rate {self.config['rate']}\\n")
        (out / "large.bin").write_bytes(bytes([self.config["rate"]]) * 1_100_000)
        print("epoch 1\\nrate", self.config["rate"])
        return {"accuracy": self.config["rate"] / 10}
"""


@pytest.fixture
def origin(project: Path) -> Path:
    """Create a repository with two finished runs, whose code differs."""
    commit_files(project, {"Tasks.py": TASKS})
    for name, rate in (("slow", 3), ("fast", 5)):
        commit_files(project, {"notes.txt": f"{name}\n"}, f"notes on {name}")
        write(
            project,
            f"experiments/{name}.yaml",
            f"rate: {rate}\ntasks: [{{id: train, method: Train}}]\n",
        )
        gitorch(project, "run", f"experiments/{name}.yaml")
    return project


def directory_of(root: Path, name: str) -> str:
    """Return the directory of a run on the results branch."""
    run_id = gitorch_json(root, "show", name)["run"]["id"]
    return f"runs/{run_id[:2]}/{run_id}"


def test_results_are_readable_with_plain_git(origin: Path) -> None:
    slow, fast = directory_of(origin, "slow"), directory_of(origin, "fast")
    ids = {
        name: path.rpartition("/")[2]
        for name, path in (("slow", slow), ("fast", fast))
    }
    subjects = git(origin, "log", "--format=%s", "gitorch/results").splitlines()
    assert [subject.rsplit(" in ", 1)[0] for subject in subjects] == [
        f"fast {ids['fast']}: train COMPLETE",
        f"fast {ids['fast']}: ready",
        f"slow {ids['slow']}: train COMPLETE",
        f"slow {ids['slow']}: ready",
    ]
    assert (
        len(
            git(
                origin, "log", "--format=%h", "gitorch/results", "--", slow
            ).splitlines()
        )
        == 2
    )
    trailers = git(
        origin, "log", "-1", "--format=%(trailers)", "gitorch/results"
    ).splitlines()
    assert trailers[:3] == [
        f"Gitorch-Run: {ids['fast']}",
        "Gitorch-Status: COMPLETE",
        f"Gitorch-Commit: {git(origin, 'rev-parse', 'HEAD')}",
    ]
    assert (
        git(origin, "show", f"gitorch/results:{fast}/tasks/train/1/log.txt")
        == "epoch 1\nrate 5"
    )
    assert (
        git(origin, "show", f"gitorch/results:{fast}/outputs/model.txt")
        == "weights of rate 5"
    )
    assert git(origin, "show", "gitorch/results:README.md").startswith(
        "# Results of experiments"
    )
    assert json.loads(git(origin, "show", f"gitorch/results:{fast}/record.json"))[
        "metrics"
    ] == {"accuracy": 0.5}

    difference = git(
        origin, "diff", f"gitorch/results:{slow}", f"gitorch/results:{fast}"
    ).splitlines()
    for line in (
        "-rate: 3",
        "+rate: 5",
        "-rate 3",
        "+rate 5",
        "-weights of rate 3",
        "+weights of rate 5",
    ):
        assert line in difference
    changed = [line.strip() for line in difference if line.startswith(("-", "+"))]
    assert any(
        line.startswith("+") and '"accuracy": 0.5' in line for line in changed
    ), "a record has one key a line"
    assert max(map(len, difference)) < 200, "no line is too long to read"
    names = git(
        origin,
        "diff",
        "--name-only",
        f"gitorch/results:{slow}",
        f"gitorch/results:{fast}",
    ).splitlines()
    assert names == [
        "config.yaml",
        "outputs/large.bin",
        "outputs/model.txt",
        "record.json",
        "tasks/train/1/attempt.json",
        "tasks/train/1/log.txt",
    ]
    assert (
        git(origin, "merge-base", "main", "gitorch/results", check=False) == ""
    ), "the results share no history with the code"
    assert git(origin, "fsck", "--full", "--strict") == ""


def test_a_checkout_of_the_branch_has_the_real_files(
    origin: Path, tmp_path: Path
) -> None:
    git(origin, "lfs", "install", "--local")
    git(
        origin,
        "worktree",
        "add",
        "-q",
        str(tmp_path / "results"),
        "gitorch/results",
    )
    large = (
        tmp_path / "results" / directory_of(origin, "fast") / "outputs/large.bin"
    )
    assert large.read_bytes() == b"\5" * 1_100_000
    assert git(tmp_path / "results", "status", "--porcelain") == ""


def test_a_clone_that_has_run_nothing_shows_all_runs(
    origin: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(origin), str(clone))
    before = git(clone, "for-each-ref")
    listed = gitorch_json(clone, "list")
    assert listed == gitorch_json(origin, "list")
    assert gitorch_json(clone, "show", "fast") == gitorch_json(
        origin, "show", "fast"
    )
    assert gitorch(clone, "logs", "@~1").stdout == "epoch 1\nrate 3\n"
    assert (
        gitorch(clone, "status").stdout
        == gitorch(origin, "status").stdout
        == "2 COMPLETE\n"
    )
    compared = gitorch_json(clone, "compare", "slow", "fast")
    assert compared == gitorch_json(origin, "compare", "slow", "fast")
    assert [commit["subject"] for commit in compared["code"]["commits"]] == [
        "notes on fast"
    ]
    assert "+fast" in gitorch(clone, "compare", "slow", "fast", "--code").stdout
    assert git(clone, "for-each-ref") == before, "reading changes no reference"
    assert not list((clone / ".git").glob("gitorch/queue.db*"))

    missing = gitorch(clone, "checkout-run", "fast").stderr
    assert "is not in this clone" in missing
    assert "git lfs fetch" in missing
    subprocess.run(
        ["cp", "-r", origin / ".git/lfs", clone / ".git/lfs"], check=True
    )
    tree = Path(gitorch(clone, "checkout-run", "fast").stdout.strip())
    assert (tree / "notes.txt").read_text() == "fast\n"
    assert (
        next(tree.glob("run-*/outputs/large.bin")).read_bytes() == b"\5" * 1_100_000
    )
    assert (
        "belongs to another clone" in gitorch(clone, "retry", "fast", code=4).stderr
    )

    again = gitorch(clone, "rerun", "slow").stdout.strip()
    assert [run["id"] for run in gitorch_json(clone, "list")["runs"]] == [
        again,
        *(run["id"] for run in listed["runs"]),
    ]
    git(origin, "fetch", "-q", str(clone), "gitorch/results:gitorch/results")
    assert gitorch(origin, "logs", again).stdout == "epoch 1\nrate 3\n"


def test_a_clone_that_lacks_the_commit_of_a_run_still_shows_the_rest(
    origin: Path, tmp_path: Path
) -> None:
    """A snapshot is not on a branch, and a plain clone does not fetch pins."""
    write(origin, "notes.txt", "not committed\n")
    gitorch(origin, "ready", "--snapshot", "--again")
    gitorch(origin, "run")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", f"file://{origin}", str(clone))
    compared = gitorch_json(clone, "compare", "@~3", "@")
    assert (
        compared["metrics"]
        == gitorch_json(origin, "compare", "@~3", "@")["metrics"]
    )
    assert compared["code"]["same"] is False
    assert "not in this clone" in gitorch(clone, "compare", "@~3", "@").stdout
    for verb in (
        ["compare", "@~3", "@", "--code"],
        ["checkout-run", "@"],
        ["rerun", "@"],
        ["revert", "@"],
    ):
        stderr = gitorch(clone, *verb, code=3).stderr
        assert "hint: " in stderr
        assert "refs/gitorch/pins" in stderr
    git(clone, "fetch", "-q", "origin", "refs/gitorch/pins/*:refs/gitorch/pins/*")
    assert (
        "+not committed" in gitorch(clone, "compare", "@~3", "@", "--code").stdout
    )
