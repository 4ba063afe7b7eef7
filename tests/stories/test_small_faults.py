"""Small things that a user notices, each through the command line."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, started, write
from tests.stories.test_records_from_elsewhere import commit_record, record_of
from tests.terminal import on_terminal


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("run", "--jbos", "2"), "no such option: --jbos", "gitorch run --help"),
        (("show",), "missing argument 'ID'", "gitorch show --help"),
        (("list", "-n", "x"), "invalid value for '-n'", "gitorch list --help"),
        (("show", "abcd"), "no run is called", None),
    ],
)
def test_every_error_has_one_style(
    project: Path, words: tuple[str, ...], message: str, hint: str | None
) -> None:
    lines = gitorch(project, *words, code=None).stderr.splitlines()
    assert lines[0].startswith(f"error: {message}")
    if hint:
        assert lines[1:] == [f"hint: {hint}"]
    for columns in (80, 120):
        seen = on_terminal(project, *words, columns=columns)
        assert seen.text.startswith("\x1b[1;31merror:\x1b[0m ")


@pytest.mark.parametrize("columns", [80, 120])
def test_no_duration_has_sixty_seconds(project: Path, columns: int) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "run", "experiments")
    record = record_of(project, gitorch_json(project, "show", "a")["run"]["id"])
    record["tasks"][0]["attempts"][0]["duration_s"] = 239.7
    commit_record(project, record)
    for words in (("list",), ("show", "a")):
        seen = on_terminal(project, *words, columns=columns)
        assert "4m00s" in seen.text
        assert "60s" not in seen.text


def test_the_schema_says_that_nested_numbers_count(project: Path) -> None:
    gitorch(project, "init")
    said = (project / "experiments/.gitorch.schema.json").read_text()
    assert "The names of numbers in nested mappings are dotted" in said
    assert "top-level" not in said


def test_the_cursor_stays_when_run_is_suspended(project: Path) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: sleep 0.3}]\n")
    for columns in (80, 120):
        words = ("run", "experiments", "-S", f"x={columns}")
        seen = on_terminal(project, *words, columns=columns)
        assert seen.code == 0
        assert "\x1b[?25l" not in seen.text, "Ctrl-Z cannot show it again"
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL


def test_the_time_left_of_a_waiting_run_includes_the_runs_before_it(
    project: Path,
) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: sleep 0.2}]\n")
    gitorch(project, "run", "experiments")
    matrix = "{matrix: {x: [1, 2, 3]}}"
    write(
        project,
        "experiments/a.yaml",
        f"gitorch: {matrix}\ntasks: [{{id: t, command: 'sleep 0.2'}}]\n",
    )
    gitorch(project, "ready")
    waiting = gitorch_json(project, "status")["runs"]
    assert [run["eta_s"] for run in waiting] == [None] * 3, "no worker is running"
    assert "0.2s" not in gitorch(project, "status").stdout.splitlines()[1]


def test_no_more_tasks_are_shown_than_run_at_a_time(project: Path) -> None:
    """A task that has ended, and is being committed, is not shown as running."""
    write(
        project,
        "experiments/a.yaml",
        """
        gitorch: {matrix: {x: "range(60)"}}
        tasks: [{id: t, command: "true"}]
        """,
    )
    gitorch(project, "ready")
    worker = started(project, "run", "-j", "2")
    counts = []
    while worker.poll() is None:
        for live in gitorch_json(project, "status")["workers"]:
            counts.append(live["tasks"])
    worker.communicate()
    assert worker.returncode == 0
    assert counts
    assert max(counts) <= 2


def test_untracked_directories_are_named_as_git_names_them(project: Path) -> None:
    commit_files(project, {"src/code.py": ""})
    for name in ("notes/a/1.txt", "notes/2.txt", "src/new/x", "src/y", "z"):
        write(project, name, "1\n")
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    write(project, "experiments/readme.txt", "1\n")
    said = gitorch(project, "ready").stderr
    shown = git(project, "status", "--porcelain").splitlines()
    by_git = [line.removeprefix("?? ") for line in shown]
    assert by_git == ["experiments/", "notes/", "src/new/", "src/y", "z"]
    named = re.search(r"untracked, so not in the run: (.*)", said)
    assert named is not None
    assert named[1] == "experiments/readme.txt, notes/, src/new/, src/y, z", (
        "the config itself is in the run"
    )


@pytest.mark.parametrize("options", [[], ["--detach"], ["--files"]])
def test_revert_writes_the_config_that_was_not_committed(
    project: Path, options: list[str]
) -> None:
    text = "lr: 0.1\ntasks: [{id: t, command: 'true'}]\n"
    write(
        project,
        "experiments/deep/a.yaml",
        "gitorch: {extends: _base.yaml}\n" + text,
    )
    write(project, "experiments/deep/_base.yaml", "depth: 3\n")
    gitorch(project, "ready")
    kept = (project / "experiments/deep/a.yaml").read_bytes()
    for path in (project / "experiments/deep").iterdir():
        path.unlink()
    commit_files(project, {"code.py": "new"})
    said = gitorch(project, "revert", "a", *options).stderr
    assert (project / "experiments/deep/a.yaml").read_bytes() == kept
    assert (project / "experiments/deep/_base.yaml").read_text() == "depth: 3\n"
    assert said.count("Wrote experiments/deep/") == 2
    if "--files" not in options:
        again = gitorch_json(project, "ready")
        assert len(again["skipped"]) == 1, "it is the same run"


def test_revert_replaces_no_untracked_config(project: Path) -> None:
    path = write(
        project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n"
    )
    gitorch(project, "ready")
    path.write_text("tasks: [{id: t, command: 'false'}]\n")
    commit_files(project, {"code.py": "new"})
    git(project, "rm", "-q", "--cached", "experiments/a.yaml")
    git(project, "commit", "-qm", "forget")
    said = gitorch(project, "revert", "a").stderr
    assert "false" in path.read_text()
    command = said[said.index("git show ") :].split()[1:3]
    assert git(project, *command).endswith("command: 'true'}]")
