"""Labels and tables tell runs apart by the parameters that `-S` or a sweep has set."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import commit_files, gitorch, gitorch_json, write

CONFIG = """
    lr: 0.1
    model: {depth: 2}
    tasks: [{id: train, epochs: 1, command: "echo {lr} {epochs}"}]
"""


def labels(root: Path) -> list[str]:
    return [run["label"] for run in gitorch_json(root, "list")["runs"]]


def ready(root: Path, *options: str) -> list[str]:
    """Ready the config with these `-S` options, and return the labels of the queued runs."""
    words = [word for option in options for word in ("-S", option)]
    return [run["label"] for run in gitorch_json(root, "ready", *words)["queued"]]


def test_a_value_that_an_option_changed_is_in_the_label(project: Path) -> None:
    write(project, "experiments/exp.yaml", CONFIG)
    assert ready(project, "lr=0.2") == ["exp lr=0.2"]
    assert ready(project, "lr=0.1") == ["exp"], "the file has this value"
    assert ready(project) == []
    options = ("model.depth=3", "tasks.train.epochs=5", "seed=1,2")
    assert ready(project, *options) == [
        "exp seed=1 model.depth=3 tasks.train.epochs=5",
        "exp seed=2 model.depth=3 tasks.train.epochs=5",
    ]
    shown = gitorch_json(project, "show", "exp lr=0.2")["run"]
    assert shown["spec"]["changed"] == ["lr"]
    assert shown["swept"] == []
    table = gitorch(project, "list", "-n", "3").stdout.splitlines()
    keys = ["lr", "model.depth", "seed", "tasks.train.epochs"]
    assert sorted(table[0].split()[3:-2]) == keys
    dry = gitorch(project, "ready", "--dry-run", "-S", "lr=0.3").stdout
    assert dry.splitlines()[0].split() == ["name", "lr"]
    # The label is not part of a run's identity: the same value, written in the file, is no new run.
    write(project, "experiments/exp.yaml", CONFIG.replace("0.1", "0.2"))
    assert ready(project) == []


def test_a_rerun_with_another_value_has_the_label_of_ready(project: Path) -> None:
    write(project, "experiments/exp.yaml", CONFIG)
    ready(project, "model.depth=3")
    for option in ("lr=0.2", "model.depth=4", "lr=0.1"):
        gitorch(project, "rerun", "--queue", "exp", "-S", option)
    assert labels(project) == [
        "exp model.depth=4 lr=0.1",
        "exp model.depth=4 lr=0.2",
        "exp model.depth=3 lr=0.2",
        "exp model.depth=3",
    ]
    gitorch(project, "rerun", "--queue", "exp", "-S", "model={width: 1}")
    assert labels(project)[0] == "exp lr=0.1 model={width:1}"
    gitorch(project, "rerun", "--queue", "exp", "-S", "lr=0.1")
    assert labels(project)[0] == labels(project)[1]


def test_a_label_of_different_runs_is_ambiguous(project: Path) -> None:
    write(project, "experiments/exp.yaml", CONFIG)
    ready(project, "lr=0.2")
    gitorch(project, "rerun", "--queue", "exp lr=0.2")
    repeated = gitorch_json(project, "show", "exp lr=0.2")["run"]
    assert repeated["rerun_of"], "repetitions of one run share the label"
    commit_files(project, {"code.py": "1\n"})
    assert ready(project, "lr=0.2") == ["exp lr=0.2"]
    latest = gitorch_json(project, "list")["runs"][0]["id"]
    for reference, why in {
        "exp lr=0.2": "have this label:",
        "lr=0.2": "have this in their labels:",
    }.items():
        refused = gitorch(project, "show", reference, code=2).stderr
        assert f"{reference} is ambiguous: 2 runs {why}" in refused
        for run_id in (latest, repeated["id"]):
            assert f"  {run_id}  exp lr=0.2  " in refused
    for reference in ("exp", "exp lr=0.2~0"):
        assert gitorch_json(project, "show", reference)["run"]["id"] == latest


def test_swept_parameters_of_tasks_are_columns(project: Path) -> None:
    text = CONFIG.replace(
        "    tasks:",
        "    gitorch: {matrix: {tasks.train.epochs: [1, 2]}}\n    tasks:",
    )
    write(project, "experiments/exp.yaml", text)
    gitorch(project, "run", "experiments")
    table = gitorch(project, "list").stdout.splitlines()
    assert table[0].split()[3] == "tasks.train.epochs"
    assert [line.split()[3] for line in table[1:3]] == ["2", "1"]
    for name in (
        "epochs",
        "train.epochs",
        "tasks.train.epochs",
        "params.tasks.train.epochs",
    ):
        where = ("--where", f"{name} == 2")
        [run] = gitorch_json(project, "list", *where)["runs"]
        assert run["label"] == "exp tasks.train.epochs=2"
        assert run["task_params"] == {"train": {"epochs": 2}}
        sort = ("--sort", name, "--columns", f"id,{name}", "--csv")
        csv = gitorch(project, "list", *sort).stdout.splitlines()
        assert csv[0] == "id,params.tasks.train.epochs"
        assert [line.split(",")[1] for line in csv[1:]] == ["1", "2"]
        [one, _] = gitorch_json(project, "list", "--group", name)["groups"]
        assert one["by"] == {"params.tasks.train.epochs": 1}
        assert one["runs"] == 1
    gitorch(project, "list", "--where", "tasks.train.epoch == 2", code=2)
