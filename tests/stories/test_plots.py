"""Curves in the terminal, and as pictures."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from gitorch.cli.terminal_plot import draw_in_terminal
from gitorch.errors import ProgramMissing
from tests.conftest import commit_files, gitorch, write

TASKS = """
import gitorch
class Train(gitorch.TaskBase):
    def __init__(self, config):
        self.rate = config["rate"]
    def run(self):
        for step in range(1, 30):
            gitorch.metric("loss", self.rate / step, step)
            gitorch.metric("train/rate", self.rate, step)
            gitorch.metric("</svg><script>", step, step)
"""


@pytest.fixture
def swept(project: Path) -> Path:
    commit_files(project, {"Tasks.py": TASKS})
    write(
        project,
        "experiments/a.yaml",
        """
        gitorch: {matrix: {rate: [1, 2]}}
        tasks: [{id: train, method: Train}]
        """,
    )
    write(project, "experiments/b.yaml", 'tasks: [{id: t, command: "true"}]')
    gitorch(project, "run", "experiments")
    return project


def test_a_picture_of_several_runs(swept: Path) -> None:
    written = gitorch(swept, "plot", "--name", "*", "--svg", "curves.svg")
    assert written.stdout == ""
    assert "wrote curves.svg\n" in written.stderr
    assert "note: 1 of the runs have no curve of loss\n" in written.stderr
    root = ElementTree.fromstring((swept / "curves.svg").read_text())
    titles = [
        found.text for found in root.iter("{http://www.w3.org/2000/svg}title")
    ]
    assert sorted(map(str, titles)) == ["a rate=1"] * 3 + ["a rate=2"] * 3
    one = gitorch(
        swept, "plot", "a rate=1", "--metric", "loss", "--log", "xy", "--svg", "-"
    ).stdout
    assert one.startswith("<svg ")
    assert "script" not in one


def test_the_end_of_a_name_is_enough_where_it_is_unambiguous(swept: Path) -> None:
    printed = gitorch(swept, "metrics", "a rate=1", "rate", "loss").stdout
    assert re.findall(r"^step +(\S+)", printed, re.M) == ["train/rate", "loss"]
    drawn = gitorch(
        swept, "plot", "a rate=1", "--metric", "rate", "--svg", "-"
    ).stdout
    assert ">train/rate<" in drawn
    missing = gitorch(swept, "metrics", "a", "ate", code=3).stderr
    assert "has no metric 'ate'" in missing


def test_what_cannot_be_drawn_is_said(swept: Path) -> None:
    wrong = gitorch(swept, "plot", "a", "--metric", "los", "--svg", "-", code=3)
    assert "no curve of 'los', did you mean 'loss'?" in wrong.stderr
    wrong = gitorch(swept, "plot", "b", "--svg", "-", code=3)
    assert "no metric of these runs has a curve" in wrong.stderr
    wrong = gitorch(swept, "plot", "a", "--svg", "no/such/x.svg", code=4)
    assert "no/such/x.svg cannot be written" in wrong.stderr
    none = gitorch(swept, "plot", "--where", "rate > 9", "--svg", "-")
    assert (none.stdout, none.stderr) == ("", "no run matches\n")


def test_a_plot_in_the_terminal(swept: Path) -> None:
    pytest.importorskip("plotext")
    environment = {"COLUMNS": "60", "LINES": "20"}
    words = ("plot", "--name", "a", "--metric", "loss")
    drawn = gitorch(swept, *words, env=environment).stdout
    lines = drawn.splitlines()
    assert lines[0].strip() == "loss"
    assert max(map(len, lines)) <= 60
    assert len(lines) <= 20
    assert "\x1b" not in drawn
    assert lines[-2:] == ["  * a rate=2", "  + a rate=1"]
    environment["FORCE_COLOR"] = "1"
    coloured = gitorch(swept, *words, "--log", "y", env=environment).stdout
    assert "\x1b[38;5;4m" in coloured
    assert "⠉" in coloured


def test_the_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotext", None)
    with pytest.raises(ProgramMissing, match="need plotext") as caught:
        draw_in_terminal(
            (), width=80, height=20, log_x=False, log_y=False, colors=False
        )
    assert "--svg FILE" in str(caught.value.hint)
