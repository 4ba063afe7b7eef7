"""One config, many runs: sweeps that are queued, run, queued again and extended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

TASKS = """
class Train:
    def __init__(self, config):
        self.config = config
    def validate(self):
        return [f"seed {self.config['seed']} is odd"] if self.config.get("odd") else []
    def run(self):
        return {"score": self.config["lr"] * self.config["seed"]}
"""
SWEEP = """\
lr: 1
gitorch:
  matrix: {lr: [0.5, 2], seed: [1, 2, 3]}
tasks:
  - {id: train, method: Train}
  - {id: say, command: "echo {lr} {seed} > {outputDir}/said.txt"}
"""


@pytest.fixture
def swept(project: Path) -> Path:
    commit_files(project, {"Tasks.py": TASKS, "experiments/penguins.yaml": SWEEP})
    return project


def labels(root: Path, status: str = "COMPLETE") -> list[str]:
    """Return the labels of all runs, oldest first. Check that each run has this status."""
    runs = gitorch_json(root, "list")["runs"][::-1]
    assert {run["status"] for run in runs} == {status}
    return [run["label"].removeprefix("penguins ") for run in runs]


# The labels of SWEEP's runs.
SIX = [f"lr={lr} seed={seed}" for lr in (0.5, 2) for seed in (1, 2, 3)]


def test_a_sweep_from_ready_to_list(swept: Path) -> None:
    ready = gitorch(swept, "ready")
    assert ready.stderr.splitlines()[0] == "Expanded 1 config to 6 runs (lr x seed)"
    assert [
        line.split("  ")[1].removeprefix("penguins ")
        for line in ready.stdout.splitlines()
    ] == SIX
    assert labels(swept, "WAITING") == SIX
    gitorch(swept, "run", "-j", "2")
    runs = gitorch_json(swept, "list")["runs"]
    assert {run["metrics"]["score"] for run in runs} == {0.5, 1, 1.5, 2, 4, 6}
    assert all(run["swept"] == ["lr", "seed"] for run in runs)
    shown = gitorch_json(swept, "show", "penguins lr=2 seed=3")["run"]
    assert (shown["params"], shown["metrics"]) == (
        {"lr": 2, "seed": 3},
        {"score": 6},
    )

    again = gitorch(swept, "ready")
    assert again.stdout == ""
    assert again.stderr.count("already exists as") == 6
    assert labels(swept) == SIX


def test_an_extended_sweep_queues_only_the_new_points(swept: Path) -> None:
    gitorch(swept, "run", "experiments")
    extended = SWEEP.replace("[0.5, 2]", "[0.5, 2, 4]").replace(
        "[1, 2, 3]", '"range(1, 5)"'
    )
    write(swept, "experiments/penguins.yaml", extended)
    new = [
        "lr=0.5 seed=4",
        "lr=2 seed=4",
        *(f"lr=4 seed={seed}" for seed in (1, 2, 3, 4)),
    ]
    queued = gitorch_json(swept, "ready")["queued"]
    assert [run["label"].removeprefix("penguins ") for run in queued] == new
    git(swept, "commit", "-qam", "More of it")
    made = gitorch_json(swept, "ready")
    assert made["queued"] == []
    assert len(made["skipped"]) == 12
    assert (
        "Skipped 12 runs that exist already (6 COMPLETE, 6 WAITING)"
        in gitorch(swept, "ready").stderr
    )


def test_an_old_sweep_can_be_extended_at_its_own_commit(swept: Path) -> None:
    gitorch(swept, "run", "experiments")
    old = git(swept, "rev-parse", "HEAD")
    commit_files(swept, {"Tasks.py": TASKS + "# other code\n"})
    write(
        swept,
        "experiments/penguins.yaml",
        SWEEP.replace("[1, 2, 3]", "[1, 2, 3, 4]"),
    )
    made = gitorch_json(swept, "ready", "--at", old)
    assert [run["label"] for run in made["queued"]] == [
        "penguins lr=0.5 seed=4",
        "penguins lr=2 seed=4",
    ]
    assert gitorch_json(swept, "show", "@")["run"]["pin"]["commit"] == old
    assert len(gitorch_json(swept, "ready", "--dry-run")["queued"]) == 8


def test_a_problem_of_several_points_is_reported_once(swept: Path) -> None:
    write(
        swept,
        "experiments/penguins.yaml",
        SWEEP.replace("lr: 1", "odd: true\nlr: 1"),
    )
    checked = gitorch(swept, "check", code=1)
    assert (
        "error: seed 2 is odd (in penguins lr=0.5 seed=2 and 1 more)\n"
        in checked.stdout
    )
    assert checked.stdout.count("error:") == 3
    write(
        swept,
        "experiments/penguins.yaml",
        SWEEP.replace("method: Train", "method: Trian"),
    )
    problems = gitorch_json(swept, "ready", code=1)["problems"]
    assert [problem["message"] for problem in problems] == [
        "there is no class 'Trian' in Tasks.py (in all 6 runs)"
    ]


def test_the_hint_about_the_limit_names_a_command_that_raises_it(
    swept: Path,
) -> None:
    write(
        swept,
        "experiments/penguins.yaml",
        SWEEP.replace("[1, 2, 3]", "range(10000)"),
    )
    refused = gitorch(swept, "check", code=1).stdout
    command = next(
        line for line in refused.splitlines() if "help:" in line
    ).partition("help: ")[2]
    git(swept, *command.split()[1:])
    assert (
        "Expanded 1 config to 20000 runs (lr x seed)"
        in gitorch(swept, "check").stderr
    )


def test_a_dry_run_shows_the_table_and_changes_nothing(swept: Path) -> None:
    gitorch(swept, "run", "experiments", "-S", "lr=2")
    runs = {
        run["params"]["seed"]: run["id"]
        for run in gitorch_json(swept, "list")["runs"]
    }
    shown = gitorch(swept, "ready", "--dry-run", "-S", "seed=1,4")
    assert shown.stdout.splitlines() == [
        "name      lr   seed",
        "penguins  0.5  1     new",
        "penguins  0.5  4     new",
        f"penguins  2    1     already exists as {runs[1]}, COMPLETE",
        "penguins  2    4     new",
    ]
    assert "Would queue 3 runs" in shown.stderr
    assert len(gitorch_json(swept, "list")["runs"]) == 3


def test_parameters_are_set_on_the_command_line(swept: Path) -> None:
    options = ("-S", "seed=5", "-S", "tasks.train.epochs=1,2", "-S", "note=a b")
    made = gitorch_json(swept, "ready", *options)["queued"]
    assert [run["label"].removeprefix("penguins ") for run in made] == [
        f"lr={lr} seed=5 tasks.train.epochs={epochs} note=a b"
        for lr in (0.5, 2)
        for epochs in (1, 2)
    ]
    shown = gitorch_json(
        swept, "show", "penguins lr=2 seed=5 tasks.train.epochs=1"
    )["run"]
    assert shown["params"] == {"lr": 2, "seed": 5, "note": "a b"}
    assert shown["overrides"] == ["seed=5", "tasks.train.epochs=1,2", "note=a b"]
    assert (
        "changed by  -S seed=5 -S tasks.train.epochs=1,2 -S 'note=a b'"
        in gitorch(swept, "show", "@").stdout
    )
    assert len(gitorch_json(swept, "ready", *options)["skipped"]) == 4
    again = gitorch_json(swept, "rerun", "--queue", "@")["runs"][0]["id"]
    assert (
        gitorch_json(swept, "show", again)["run"]["overrides"] == shown["overrides"]
    )

    wrong = gitorch(
        swept, "check", "-S", "seed=5", "-S", "sed=1", "-S", "outputDir=x", code=1
    ).stdout
    assert (
        "error: 'outputDir' is not a parameter: 'outputDir' is gitorch's own\n --> -S:3:1\n"
        in wrong
    )
    assert (
        "warning: 'sed' is a new parameter, did you mean 'seed'?\n --> -S:2:1\n"
        in wrong
    )
    assert "name one" in gitorch(swept, "run", "-S", "seed=1", code=2).stderr


@pytest.fixture
def extended(project: Path) -> Path:
    """Write a sweep with two bases: `penguins` extends `base`, which extends `more`."""
    commit_files(
        project,
        {
            "Tasks.py": TASKS,
            "experiments/base.yaml": "lr: 1\ngitorch: {extends: ../shared/more.yaml}\n",
            "shared/more.yaml": "gitorch: {matrix: {seed: [1, 2]}}\n",
            "experiments/penguins.yaml": (
                "gitorch: {extends: base.yaml}\ntasks: [{id: train, method: Train}]\n"
            ),
        },
    )
    return project


def test_the_bases_of_a_config_are_stored_with_the_run(extended: Path) -> None:
    gitorch(extended, "run", "experiments")
    assert labels(extended) == ["seed=1", "seed=2"]
    shown = gitorch_json(extended, "show", "@")["run"]
    assert shown["bases"] == ["experiments/base.yaml", "shared/more.yaml"]
    kept = git(
        extended,
        "ls-tree",
        "-r",
        "--name-only",
        "gitorch/results",
        f"runs/{shown['id'][:2]}/{shown['id']}/",
    )
    assert [
        path.split("/", 3)[3] for path in kept.splitlines() if "/bases/" in path
    ] == [
        "bases/1-base.yaml",
        "bases/2-more.yaml",
    ]
    again = gitorch_json(extended, "rerun", "--queue", "@")["runs"][0]["id"]
    base = (extended / "shared/more.yaml").read_text()
    for run_id in (shown["id"], again):
        tree = Path(gitorch(extended, "checkout-run", run_id).stdout.strip())
        directory = tree / f"run-{run_id}"
        assert (directory / "bases/2-more.yaml").read_text() == base
        checked = gitorch(extended, "check", directory / "config.yaml")
        assert "Expanded 1 config to 2 runs (seed)" in checked.stderr


def test_a_changed_base_counts_neither_as_dirty_nor_as_code(extended: Path) -> None:
    gitorch(extended, "ready")
    write(extended, "shared/more.yaml", "gitorch: {matrix: {seed: [1, 2, 3]}}\n")
    for _ in range(2):
        made = gitorch_json(extended, "ready", "--dry-run")
        assert [run["label"] for run in made["queued"]] == ["penguins seed=3"]
        assert made["notes"] == []
        git(extended, "commit", "-qam", "One more seed", "--allow-empty")
    gitorch_json(extended, "ready")
    (extended / "shared/more.yaml").unlink()
    broken = gitorch_json(extended, "ready", code=1)
    assert [problem["file"] for problem in broken["problems"]] == [
        "experiments/base.yaml"
    ]
    write(extended, "other.yaml", "lr: 1\n")
    git(extended, "add", "other.yaml")
    write(
        extended,
        "experiments/single.yaml",
        "lr: 1\nseed: 1\ntasks: [{id: train, method: Train}]\n",
    )
    refused = gitorch(extended, "ready", "experiments/single.yaml", code=4).stderr
    assert "other.yaml" in refused
    assert "more.yaml" not in refused


def test_problems_of_a_large_sweep_are_summarised(swept: Path) -> None:
    config = SWEEP.replace("[1, 2, 3]", "range(500)").replace(
        "lr: 1", "odd: true\nlr: 1"
    )
    write(swept, "experiments/penguins.yaml", config)
    checked = gitorch(swept, "check", code=1)
    assert checked.stdout.count("error: seed") == 20
    assert "and 480 more complaints" in checked.stdout
    assert "Expanded" not in checked.stderr
