"""Tables of runs answer the question: as a user sees them on terminals and in pipes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gitorch.cli.style import display_width
from tests.conftest import commit_files, git, gitorch
from tests.terminal import on_terminal

TRAIN = """\
import json, os, sys
config = json.load(open(os.environ["GITORCH_CONFIG"]))
lr, seed = config["model"]["optimizer"]["lr"], config["seed"]
if lr == 3:
    sys.exit("diverged")
out = os.environ["GITORCH_OUTPUT_DIR"]
metrics = {"accuracy": 1 if lr == 0.1 else lr / 2, "loss": seed, "n": 5, "split/acc": lr}
json.dump(metrics, open(f"{out}/metrics.json", "w"))
"""
CONFIG = {
    "note": "ペンギン and a note that is too long for a column",
    "model": {"depth": 5, "optimizer": {"lr": 0.1}},
    "seed": 0,
    "gitorch": {"matrix": {"model.optimizer.lr": [0.1, 0.5, 3], "seed": [1, 2]}},
    "tasks": [{"id": "train", "command": "python3 train.py"}],
}


@pytest.fixture
def swept(project: Path) -> Path:
    files: dict[str, str | bytes] = {
        "train.py": TRAIN,
        "experiments/sweep.yaml": json.dumps(CONFIG),
    }
    commit_files(project, files)
    gitorch(project, "run", "experiments", code=1)
    return project


def columns(table: str) -> list[str]:
    return table.splitlines()[0].split()


def test_the_parameters_of_the_sweep_are_shown_whatever_rows_are_chosen(
    swept: Path,
) -> None:
    best = gitorch(swept, "list", "--sort", "-accuracy", "-n", "2").stdout
    assert columns(best) == [
        "id",
        "name",
        "status",
        "model.optimizer.lr",
        "seed",
        "accuracy",
        "loss",
        "created",
        "took",
    ]
    commit = git(swept, "rev-parse", "HEAD")[:10]
    assert best.splitlines()[-1] == (
        "the same in all: "
        f"note='{CONFIG['note']}' model.depth=5 n=5 "
        f"split/acc=0.1 commit={commit}"
    )
    assert [line.split()[3] for line in best.splitlines()[1:3]] == ["0.1", "0.1"]
    failed = gitorch(swept, "list", "--where", "status == 'ERROR'").stdout
    assert columns(failed)[3:5] == ["model.optimizer.lr", "seed"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_answer_is_on_the_screen(swept: Path, width: int) -> None:
    def screen(*words: str) -> list[str]:
        seen = on_terminal(swept, *words, columns=width, env={"NO_COLOR": "1"})
        assert max(map(display_width, seen.lines)) <= width
        return seen.lines

    best = screen("list", "--sort", "-accuracy", "-n", "2")
    assert {"model.optimizer.lr", "seed", "accuracy"} < {*columns(best[0])}
    assert [line.split()[3] for line in best[1:3]] == ["0.1", "0.1"]
    assert best[-1].startswith("the same in all: ")
    assert sum("the same in all" in line for line in best) == 1
    failed = screen("list", "--where", "status == 'ERROR'")
    assert columns(failed[0])[3:5] == ["model.optimizer.lr", "seed"]
    chosen = screen("list", "--columns", "depth,lr")
    assert columns(chosen[0]) == ["model.depth", "model.optimizer.lr"]


def test_a_parameter_that_other_runs_of_the_name_changed_is_shown(
    swept: Path,
) -> None:
    options = (
        "-S",
        "model.depth=6",
        "-S",
        "seed=1",
        "-S",
        "model.optimizer.lr=0.1",
    )
    gitorch(swept, "run", "experiments", *options)
    assert "model.depth" in columns(gitorch(swept, "list", "-n", "2").stdout)


def test_nested_parameters_are_columns_of_the_csv(swept: Path) -> None:
    header, first, *_ = gitorch(
        swept, "list", "--csv", "--sort", "created"
    ).stdout.split("\n")
    assert "params.model.depth,params.model.optimizer.lr,params.seed" in header
    assert ",5,0.1,1," in first


def test_columns_are_chosen_by_name(swept: Path) -> None:
    table = gitorch(
        swept, "list", "--columns", "label,took", "--columns", "lr,model"
    )
    assert columns(table.stdout) == [
        "label",
        "took",
        "model.optimizer.lr",
        "model.depth",
        "model.optimizer.lr",
    ]
    csv = gitorch(
        swept, "list", "--columns", "seed,status", "--csv", "-n", "1"
    ).stdout
    assert csv == "params.seed,status\n2,ERROR\n"
    wrong = gitorch(swept, "list", "--columns", "sed", code=2).stderr
    assert "did you mean params.seed?" in wrong


def ids(*options: str) -> Callable[[Path], list[str]]:
    return lambda project: [
        run["id"]
        for run in json.loads(gitorch(project, "list", "--json", *options).stdout)[
            "runs"
        ]
    ]


@pytest.mark.parametrize(
    ("options", "others"),
    [
        (
            ("--where", "lr == 0.5 and status == COMPLETE"),
            (
                "--where",
                "params.model.optimizer.lr == 0.5 and status == 'COMPLETE'",
            ),
        ),
        (
            ("--status", "error", "--name", "sw*", "--where", "seed == 1"),
            ("--where", "status == 'ERROR' and params.seed == 1"),
        ),
        (
            ("--where", "optimizer.lr in [0.1, 3] and took > 0", "--sort", "took"),
            (
                "--where",
                "params.model.optimizer.lr != 0.5",
                "--sort",
                "duration_s",
            ),
        ),
        (
            ("--where", "split/acc > 0.2", "--sort", "-split/acc"),
            (
                "--where",
                'metrics["split/acc"] > 0.2',
                "--sort",
                "-metrics.split/acc",
            ),
        ),
    ],
)
def test_all_options_take_the_same_names(
    swept: Path, options: tuple[str, ...], others: tuple[str, ...]
) -> None:
    chosen = ids(*options)(swept)
    assert chosen == ids(*others)(swept)
    assert 0 < len(chosen) < 6


def test_the_last_part_of_a_name_with_slashes_is_enough(swept: Path) -> None:
    whole = ids("--where", "split/acc > 0.2", "--sort", "-split/acc")(swept)
    assert ids("--where", "acc > 0.2", "--sort", "-acc")(swept) == whole
    chosen = ("--columns", "acc", "--sort", "acc", "--csv", "-n", "1")
    assert gitorch(swept, "list", *chosen).stdout == "metrics.split/acc\n0.1\n"
    groups = ("list", "--group", "acc", "--sort", "-acc max", "--csv")
    lines = gitorch(swept, *groups).stdout.splitlines()
    assert lines[0].startswith("metrics.split/acc,runs")
    assert lines[1].startswith("0.5,2,")
    for option in ("--where", "--sort", "--group", "--columns"):
        gitorch(swept, "list", option, "plit/acc", code=2)


def test_groups_are_sorted_by_an_aggregate(swept: Path) -> None:
    for sort in ("-accuracy max", "-accuracy.max", "-metrics.accuracy max"):
        table = gitorch(swept, "list", "--group", "lr", "--sort", sort).stdout
        assert [line.split()[0] for line in table.splitlines()[1:]] == [
            "0.1",
            "0.5",
            "3",
        ]
        assert "accuracy max" in table
    gitorch(
        swept, "run", "experiments", "-S", "model.optimizer.lr=0.5", "-S", "seed=9"
    )
    table = gitorch(swept, "list", "--group", "lr", "--sort", "-runs", "-n", "1")
    assert table.stdout.splitlines()[1].startswith("0.5")
    wrong = gitorch(swept, "list", "--group", "lr", "--sort", "seed max", code=2)
    assert "'accuracy max'" in wrong.stderr


@pytest.mark.parametrize("width", [80, 120])
def test_failed_runs_are_shown_on_request(swept: Path, width: int) -> None:
    gitorch(swept, "fail", "--status", "error", "--yes")
    note = "not shown, see --status FAILED: 2 FAILED runs"
    seen = on_terminal(swept, "list", columns=width, env={"NO_COLOR": "1"})
    assert seen.lines[-1] == note
    assert sum("COMPLETE" in line for line in seen.lines) == 4
    assert not any(line.split()[2:3] == ["FAILED"] for line in seen.lines)
    seen = on_terminal(
        swept, "list", "--where", "lr == 3", columns=width, env={"NO_COLOR": "1"}
    )
    assert seen.lines == [note]
    [run_id, _] = ids("--status", "FAILED")(swept)
    for options in (("--status", "failed"), ("--where", f"id == {run_id!r}")):
        table = gitorch(swept, "list", *options).stdout
        assert run_id in table
        assert "not shown" not in table
    assert len(ids()(swept)) == 6, "JSON has every run"
    assert len(gitorch(swept, "list", "--csv").stdout.splitlines()) == 7


@pytest.mark.parametrize("width", [80, 120])
def test_a_table_fits_on_the_terminal(swept: Path, width: int) -> None:
    seen = on_terminal(
        swept, "list", "--all-columns", columns=width, env={"NO_COLOR": "1"}
    )
    assert str(CONFIG["note"]) in seen.text, "--all-columns cuts nothing"
    seen = on_terminal(
        swept, "list", "--sort", "-loss", columns=width, env={"NO_COLOR": "1"}
    )
    assert max(map(display_width, seen.lines)) <= width
    assert columns(seen.text)[:3] == ["id", "name", "status"]
    assert {"seed", "loss"} <= set(columns(seen.text))
    assert len({line[12:14] for line in seen.lines[:7]}) == 1, "no value wraps"
    assert seen.lines[-1].startswith("the same in all: ")
    is_dropped = "created" not in columns(seen.text)
    assert is_dropped == ("not shown, see --all-columns: " in seen.text)
    chosen = ("list", "--columns", "id,note,label,created")
    seen = on_terminal(swept, *chosen, columns=width, env={"NO_COLOR": "1"})
    assert max(map(display_width, seen.lines)) <= width
    assert "ペンギン" in seen.text
    assert "…" in seen.text or width == 120
    narrow = gitorch(swept, *chosen, env={"COLUMNS": str(width)}).stdout
    assert str(CONFIG["note"]) in narrow, "nothing is cut in a pipe"


def test_long_output_goes_through_the_pager(swept: Path, tmp_path: Path) -> None:
    pager = tmp_path / "page"
    pager.write_text('#!/bin/sh\necho "LESS=$LESS"; sed "s/^/paged: /"\n')
    pager.chmod(0o755)
    env = {"GIT_PAGER": str(pager), "NO_COLOR": "1"}
    for words, less in [
        (("list",), "FRSX"),
        (("list", "--group", "lr"), "FRSX"),
        (("status",), "FRSX"),
        (("show", "@"), "FRX"),
        (("logs", "@"), "FRX"),
    ]:
        width = 120 if words == ("show", "@") else 80
        seen = on_terminal(swept, *words, columns=width, env=env)
        assert seen.lines[0] == f"LESS={less}", words
        assert all(line.startswith("paged: ") for line in seen.lines[1:]), words
        dumb = on_terminal(swept, *words, env={**env, "TERM": "dumb"})
        assert "paged" not in dumb.text, words
    assert "paged" not in gitorch(swept, "list", env=env).stdout
    missing = on_terminal(swept, "list", env={"GIT_PAGER": "no-such-pager -x"})
    assert "sweep" in missing.text
    git(swept, "config", "core.pager", str(pager))
    environ = {
        name: value for name, value in os.environ.items() if name != "GIT_PAGER"
    }
    assert subprocess.run(
        ["git", "var", "GIT_PAGER"], cwd=swept, env=environ, check=True
    )
    assert "paged: " in on_terminal(swept, "list").text


# The first row that applies decides, as in the table of `gitorch.cli.style.has_colors`.
PRECEDENCE = [
    ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, "always", False, False),
    ({"NO_COLOR": "", "FORCE_COLOR": "1", "TERM": "dumb"}, "never", True, True),
    ({"CLICOLOR_FORCE": "1"}, "false", True, True),
    ({"CLICOLOR_FORCE": "0", "FORCE_COLOR": "0"}, None, False, True),
    ({"TERM": "dumb", "CLICOLOR": "0"}, "always", True, True),
    ({}, "never", False, False),
    ({"CLICOLOR": "0"}, "auto", False, False),
    ({"TERM": "dumb"}, None, False, False),
    ({}, "auto", False, True),
]


@pytest.mark.parametrize(("env", "ui", "in_pipe", "in_terminal"), PRECEDENCE)
def test_colours_are_chosen_by_the_first_rule_that_applies(
    project: Path,
    env: dict[str, str],
    ui: str | None,
    in_pipe: bool,
    in_terminal: bool,
) -> None:
    if ui:
        git(project, "config", "color.ui", ui)
    wrong = ("show", "nothing")
    gitorch(project, *wrong, code=3)
    piped = gitorch(project, *wrong, code=3, env={"TERM": "xterm", **env}).stderr
    assert ("\x1b[" in piped) == in_pipe
    assert ("\x1b[" in on_terminal(project, *wrong, env=env).text) == in_terminal
