"""Screens of 80 and of 120 columns: no line is wider, and what says the most is seen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gitorch.cli.style import display_width
from tests.conftest import commit_files, gitorch
from tests.terminal import on_terminal

LONG = (
    "checkpoints/a-directory-with-a-long-name/and-another-one/model-epoch-000{}.pt"
)
NOTE = "ペンギン and a note that is much too long for a column of a table on a terminal"
MISTAKE = "the loss is not a number any more, as the learning rate is much too high for this"
TRAIN = f"""\
import os, sys
from pathlib import Path
out, rate = Path(os.environ["GITORCH_OUTPUT_DIR"]), float(sys.argv[1])
if rate > 0.5:
    raise ValueError("{MISTAKE}")
for number in (1, 2):
    path = out / "{LONG}".format(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(rate * number))
(out / "metrics.json").write_text('{{"validation/accuracy": %s}}' % (1 - rate))
"""
CONFIG = {
    "learning_rate": 0.1,
    "note": NOTE,
    "gitorch": {"matrix": {"learning_rate": [0.01, 0.1, 0.9]}},
    "tasks": [
        {
            "id": "train-the-classifier",
            "command": "python3 train.py {learning_rate}",
        }
    ],
}


@pytest.fixture
def trained(project: Path) -> Path:
    commit_files(
        project,
        {
            "train.py": TRAIN,
            "experiments/image-classifier.yaml": json.dumps(CONFIG),
        },
    )
    gitorch(project, "run", "experiments", code=1)
    return project


def screen(root: Path, columns: int, *words: str) -> list[str]:
    """Return the lines of a screen. None is wider than the terminal."""
    seen = on_terminal(root, *words, columns=columns)
    assert seen.code == 0, seen.text
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.text).splitlines()
    for line in lines:
        assert display_width(line) <= columns, line
        assert line == line.rstrip()
    return lines


def text_of(lines: list[str]) -> str:
    """Return the words of a text that may continue on the next line."""
    return " ".join(" ".join(lines).split())


@pytest.mark.parametrize("columns", [80, 120])
def test_show_continues_long_texts_below_their_beginning(
    trained: Path, columns: int
) -> None:
    failed = screen(trained, columns, "show", "@")
    assert text_of(failed).count(MISTAKE) == 3  # why, the task, the history
    start = next(line for line in failed if line.startswith("  why"))
    beginning = start.index("train-the-classifier")
    below = failed[failed.index(start) + 1]
    assert len(below) - len(below.lstrip()) == beginning
    shown = screen(trained, columns, "show", "@~1")
    assert NOTE in text_of(shown)
    assert any(line.startswith(f"  {LONG.format(1)}") for line in shown)
    assert "  metrics.json" in {line[:14] for line in shown}


@pytest.mark.parametrize("columns", [80, 120])
def test_outputs_show_the_ends_of_paths_and_of_labels(
    trained: Path, columns: int
) -> None:
    title, header, *lines = screen(trained, columns, "outputs", "@~1")
    assert title.endswith("  image-classifier learning_rate=0.1")
    assert header.split() == ["size", "output"]
    assert len(lines) == 3
    assert lines[0].endswith("/model-epoch-0001.pt")
    assert (LONG.format(1) in lines[0]) == (columns == 120) == (columns == 120)
    header, *lines = screen(trained, columns, "outputs", "@~1", "@~2", "**/*.pt")
    assert header.split() == ["id", "run", "size", "output"]
    assert "=0.1 " in lines[0]
    assert lines[0].endswith("/model-epoch-0001.pt")
    assert "=0.01 " in lines[-1]
    # In a pipe, nothing is cut.
    piped = gitorch(trained, "outputs", "@~1").stdout
    assert LONG.format(1) in piped
    assert piped.count("image-classifier learning_rate=0.1") == 3
    assert screen(trained, columns, "outputs", "@") == ["no outputs"]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_comparison_of_long_values_has_a_line_for_each_run(
    trained: Path, columns: int
) -> None:
    other = f"note={NOTE} which is another one"
    gitorch(trained, "rerun", "@~1", "-S", other, "-S", "learning_rate=0.2")
    lines = screen(trained, columns, "compare", "@", "@~2")
    start = next(line for line in lines if line.startswith("config"))
    config = lines[lines.index(start) :]
    assert config[1] == "  learning_rate  0.2  0.1", lines
    assert config[2] == "  note"
    assert config[3].startswith(f"    A  {NOTE[:20]}")
    assert f"    B  {NOTE[:20]}" in {line[:27] for line in config}
    start = lines.index("outputs")
    assert lines[start + 1].startswith("  changed  checkpoints/")
    assert LONG.format(2) in "".join("".join(lines[start:]).split())
    assert lines[-1] == "not recorded: data"
    piped = gitorch(trained, "compare", "@", "@~2").stdout
    assert f"note           {NOTE} which is another one  {NOTE}" in piped


@pytest.mark.parametrize("columns", [80, 120])
def test_a_dry_run_cuts_long_values_and_drops_columns(
    trained: Path, columns: int
) -> None:
    words = ["ready", "--dry-run", "experiments/image-classifier.yaml"]
    words += [f"-Snote={NOTE},b", *(f"-Sparameter_{n}={n}" for n in range(9))]
    assert NOTE in gitorch(trained, *words).stdout
    seen = on_terminal(trained, *words, columns=columns, env={"NO_COLOR": "1"})
    start = next(line for line in seen.lines if line.startswith("name"))
    header, *rows, dropped = seen.lines[seen.lines.index(start) :]
    assert "learning_rate" in header
    assert len(rows) == 6
    assert all(row.endswith("  new") for row in rows)
    assert dropped.startswith("not shown: ")
    for line in (header, *rows, dropped):
        assert display_width(line) <= columns


@pytest.mark.parametrize("columns", [80, 120])
def test_the_status_of_failed_runs_shows_their_values_and_their_causes(
    trained: Path, columns: int
) -> None:
    lines = screen(trained, columns, "status")
    assert lines[0].split() == ["id", "run", "status", "task", "why"]
    assert "learning_rate=0.9 " in lines[1]
    assert " exit code 1" in lines[1]
    assert lines[-1] == "2 COMPLETE, 1 ERROR"
    piped = gitorch(trained, "status").stdout
    assert f"train-the-classifier: exit code 1: ValueError: {MISTAKE}" in piped
