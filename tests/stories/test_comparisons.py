"""Comparisons of many runs and of many outputs, on a terminal and in a pipe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import commit_files, gitorch, gitorch_json, write
from tests.terminal import on_terminal

COLUMNS = (None, 80, 120)


def shown(root: Path, columns: int | None, *words: str, code: int = 0) -> str:
    """Return what a command prints, on a terminal of this width, or into pipes."""
    if columns is None:
        result = gitorch(root, *words, code=code)
        return result.stdout + result.stderr
    seen = on_terminal(root, *words, columns=columns, env={"NO_COLOR": "1"})
    assert seen.code == code
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.text).replace("\r", "")


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("[]", "data: not recorded (link: cache, data)"),
        ("[data]", "data: not recorded (link: cache)"),
        ("['data/**', cache]", None),
        (
            "[data/a, cache]",
            "data: not recorded (link: data except data/a)",
        ),
    ],
)
def test_nothing_is_claimed_about_data_that_was_not_examined(
    project: Path, inputs: str, expected: str | None
) -> None:
    commit_files(project, {".gitignore": "data\ncache\n"})
    for name in ("data/a", "data/b", "cache/c"):
        write(project, name, "1\n")
    text = """
        x: {x}
        gitorch: {{link: [cache, data/]}}
        tasks: [{{id: t, command: 'true', gitorch: {{inputs: {inputs}}}}}]
        """
    for x in (1, 2):
        path = f"experiments/{x}.yaml"
        write(project, path, text.format(x=x, inputs=inputs))
    gitorch(project, "ready")
    for columns in COLUMNS:
        lines = shown(project, columns, "compare", "1", "2").splitlines()
        same = next(line for line in lines if line.startswith("the same"))
        if inputs == "[]":
            assert "data" not in same
        else:
            assert same.endswith("data")
        claims = [line for line in lines if line.startswith("data: ")]
        assert claims == ([expected] if expected else [])
    document = gitorch_json(project, "compare", "1", "2")
    assert ("not_recorded" in document["data"]) == bool(expected)


@pytest.fixture
def sweep(project: Path) -> Path:
    """Queue 60 runs."""
    write(
        project,
        "experiments/a.yaml",
        """
        gitorch: {matrix: {lr: [1.0, 0.1], seed: "range(30)"}}
        tasks: [{id: t, command: "true"}]
        """,
    )
    gitorch(project, "ready")
    return project


@pytest.mark.parametrize("columns", COLUMNS)
def test_more_runs_than_letters(sweep: Path, columns: int | None) -> None:
    text = shown(sweep, columns, "compare", "--where", "name == 'a'")
    lines = text.splitlines()
    letters = [line.split()[0] for line in lines[1:61]]
    assert letters[:2] == ["A", "B"]
    assert letters[25:28] == ["Z", "AA", "AB"]
    assert letters[-1] == "BH"
    config = lines[lines.index("config") + 1 :]
    assert re.sub(" +", " ", config[0]) == (
        " lr 1.0 30 runs: A, B, C, D, E and 25 more"
    )
    assert re.sub(" +", " ", config[1]) == (
        " lr 0.1 30 runs: AE, AF, AG, AH, AI and 25 more"
    )
    assert re.sub(" +", " ", config[2]) == " seed 0 2 runs: A, AE"
    assert "and 20 more values" in config[12]


@pytest.mark.parametrize("width", [80, 120])
def test_thousands_of_changed_outputs_are_a_few_lines(
    project: Path, width: int
) -> None:
    script = (
        'awk -v id="$GITORCH_RUN_ID" -v dir={outputDir} '
        "'BEGIN {for (i = 0; i < 1200; i++) "
        '{f = dir "/f" i; print i, id > f; close(f)}}\'; '
        "echo $RANDOM > {outputDir}/large; seq 3000 >> {outputDir}/large; "
        "echo '{\"loss\": 0.'$RANDOM'}' > {outputDir}/metrics.json"
    )
    tasks = f"tasks:\n  - id: t\n    command: |\n      {script}\n"
    write(project, "experiments/a.yaml", tasks)
    gitorch(project, "run", "experiments")
    text = shown(project, width, "rerun", "a", "--verify", code=1)
    verdict = text[text.index(" repeats ") :].splitlines()
    assert re.fullmatch(
        " repeats [0-9a-f]{12}: 1 metric and 1202 outputs differ", verdict[0]
    )
    assert re.match(r"  loss +0\.\d+ -> 0\.\d+  [+-]", verdict[1])
    assert len(verdict) < 12
    assert "  and 1197 more outputs, which differ less" in verdict
    assert verdict[-3].startswith("  nothing else that is recorded differs: code")
    assert verdict[-2].startswith("  likely cause: the clock, random numbers")
    command = verdict[-1].removeprefix("  all differences: gitorch ").split()
    for columns in (None, width):
        lines = shown(project, columns, *command).splitlines()
        start = lines.index("outputs: 1202 changed, the largest first")
        assert lines[start + 1].split()[:2] == ["changed", "large"]
        assert "  and 1182 more changed" in lines[start + 21 :]
        assert "not recorded: data" in lines
