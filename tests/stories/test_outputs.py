"""Outputs and logs are read: one output, the last lines of a log, the outputs of many runs."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write
from tests.event_file import event_file, scalar
from tests.stories.test_records_from_elsewhere import commit_record, record_of
from tests.terminal import on_terminal

LARGE = 3_000_000


@pytest.fixture
def swept(project: Path) -> Path:
    """Two COMPLETE runs with a small, a large and a linked output, and one in the worktree."""
    write(
        project,
        "experiments/a.yaml",
        f"""
        gitorch: {{matrix: {{lr: [0.1, 0.2]}}, outputs: [mine.txt]}}
        tasks:
          - id: t
            command: |
              seq 5; mkdir -p {{outputDir}}/x/.git
              echo {{lr}} > {{outputDir}}/x/lr.txt
              head -c {LARGE} /dev/zero > {{outputDir}}/x/large.bin
              ln -s lr.txt {{outputDir}}/x/link
              echo odd > {{outputDir}}/x/.git/config
              echo mine > mine.txt; printf 6
        """,
    )
    gitorch(project, "run", "experiments")
    return project


def files_below(directory: Path) -> list[str]:
    return sorted(
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if not path.is_dir()
    )


def test_an_output_is_printed(swept: Path) -> None:
    run = "a lr=0.2"
    assert gitorch(swept, "cat", run, "x/lr.txt").stdout == "0.2\n"
    assert gitorch(swept, "cat", run, "mine.txt").stdout == "mine\n"
    assert gitorch(swept, "cat", run, "x/.git/config").stdout == "odd\n"
    assert len(gitorch(swept, "cat", run, "x/large.bin").stdout) == LARGE
    missing = gitorch(swept, "cat", run, "x/lt.txt", code=3).stderr
    assert missing.startswith("error: a lr=0.2 has no output 'x/lt.txt'")
    assert "did you mean 'x/lr.txt'?" in missing
    for path in ("../../config", "/etc/passwd", "", "x"):
        gitorch(swept, "cat", run, path, code=3)
    assert "symbolic link" in gitorch(swept, "cat", run, "x/link", code=4).stderr


def test_the_last_lines_of_a_log(swept: Path) -> None:
    def lines(number: str) -> str:
        return gitorch(swept, "logs", "@", "-n", number).stdout

    assert lines("2") == "5\n6"
    assert lines("1") == "6"
    assert lines("0") == ""
    assert lines("99") == "1\n2\n3\n4\n5\n6"


@pytest.mark.parametrize("columns", [80, 120])
def test_outputs_and_logs_on_a_terminal(swept: Path, columns: int) -> None:
    def screen(*words: str) -> list[str]:
        return on_terminal(swept, *words, columns=columns).lines

    assert screen("cat", "a lr=0.2", "x/lr.txt") == ["0.2"]
    assert screen("logs", "@", "-n", "2")[-2:] == ["5", "6"]
    gitorch(swept, "rerun", "--queue", "@")
    [said] = screen("logs", "@")
    assert said.startswith("a lr=0.2 has not begun: it is WAITING")


def test_event_files_are_where_tensorboard_looks_for_them(project: Path) -> None:
    """The directories of the runs are named by label, and each has its event files."""
    events = event_file(scalar("loss", 0.5, 1))
    commit_files(project, {"events": events})
    write(
        project,
        "experiments/a.yaml",
        """
        gitorch: {matrix: {lr: [0.1, 0.2]}}
        tasks:
          - id: t
            command: mkdir {output}/tb; cp events {output}/tb/events.out.tfevents.1.host
        """,
    )
    gitorch(project, "run", "experiments")
    gitorch(project, "outputs", "--name", "a", "**/*tfevents*", "--to", "tb")
    assert files_below(project / "tb") == [
        "a_lr=0.1/tb/events.out.tfevents.1.host",
        "a_lr=0.2/tb/events.out.tfevents.1.host",
    ]
    for path in (project / "tb").rglob("*tfevents*"):
        assert path.read_bytes() == events


def test_a_run_that_has_not_begun_has_no_log(project: Path) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: echo}]\n")
    gitorch(project, "ready")
    for words in (("@",), ("@", "-n", "3"), ("@", "--task", "t")):
        result = gitorch(project, "logs", *words)
        assert result.stdout == ""
        assert re.fullmatch(
            r"(t of )?a has not begun: it is WAITING; gitorch status says why\n",
            result.stderr,
        )


def test_the_outputs_of_many_runs_are_listed(swept: Path) -> None:
    everything = gitorch_json(swept, "outputs", "--where", "status == 'COMPLETE'")
    assert everything["schema"] == "gitorch/outputs/v1"
    assert len(everything["outputs"]) == 10
    one = gitorch_json(swept, "outputs", "a lr=0.1", "**/*.txt")["outputs"]
    assert [output["path"] for output in one] == ["x/lr.txt", "worktree/mine.txt"]
    listed = gitorch(swept, "outputs", "a lr=0.1", "a lr=0.2", "x/large.bin").stdout
    header, first, second = listed.splitlines()
    assert header.split() == ["id", "run", "size", "output"]
    assert first.endswith("a lr=0.1  2.9 MiB  x/large.bin")
    assert second.endswith("a lr=0.2  2.9 MiB  x/large.bin")
    assert "no output matches" in gitorch(swept, "outputs", "@", "*.no").stderr
    gitorch(swept, "outputs", "nosuch", code=3)
    gitorch(swept, "outputs", "nosuch", "*.txt", code=3)
    gitorch(swept, "outputs", code=2)


def test_outputs_are_copied_and_nothing_is_overwritten(
    swept: Path, tmp_path: Path
) -> None:
    words = ("outputs", "--name", "a", "--to", str(tmp_path / "to"))
    assert "10 outputs of 2 runs in" in gitorch(swept, *words).stderr
    copied = files_below(tmp_path / "to")
    of_one = ["worktree/mine.txt", "x/%.git/config", "x/large.bin", "x/link"]
    assert copied == sorted(
        f"a_lr={lr}/{name}" for lr in (0.1, 0.2) for name in (*of_one, "x/lr.txt")
    )
    first = tmp_path / "to/a_lr=0.1/x"
    assert (first / "large.bin").stat().st_size == LARGE
    assert (first / "large.bin").stat().st_nlink == 1, (
        "a link could be changed by hand"
    )

    (first / "lr.txt").write_text("my own")
    (first / "link").unlink()
    again = gitorch(swept, *words, "**/l*", code=1)
    assert (first / "lr.txt").read_text() == "my own"
    assert (first / "link").is_symlink()
    assert "lr.txt: another file is there, which is left as it is" in again.stderr
    document = json.loads(
        gitorch(swept, *words, "**/lr.txt", "--json", code=1).stdout
    )
    problems = [output["problem"] is None for output in document["outputs"]]
    assert sorted(problems) == [False, True]


@pytest.mark.parametrize(
    "path",
    ["../../evil", "/tmp/evil", "a/../../../evil", "", "x/link/evil", "\x1b[2J"],
)
def test_a_record_from_elsewhere_writes_nothing_elsewhere(
    project: Path, tmp_path: Path, path: str
) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "run", "experiments")
    [run] = gitorch_json(project, "list")["runs"]
    record = record_of(project, run["id"])
    sha256 = hashlib.sha256(b"").hexdigest()
    entry = {"size": 0, "sha256": sha256, "stored": "git", "task": "t"}
    link = {**entry, "path": "x/link", "mode": "120000"}
    record["outputs"] = [link, {**entry, "path": path, "mode": "100644"}]
    commit_record(project, record)
    to = tmp_path / "a" / "b" / "to"
    copied = gitorch(project, "outputs", "@", "--to", str(to), code=None)
    assert copied.returncode in (1, 3)
    assert "\x1b" not in copied.stderr
    assert files_below(tmp_path / "a") == []
    gitorch(project, "cat", "@", path, code=None)
    assert "\x1b" not in gitorch(project, "outputs", "@", code=None).stdout


def test_labels_are_made_names_of_directories(
    project: Path, tmp_path: Path
) -> None:
    write(
        project,
        "experiments/a.yaml",
        """
        gitorch:
          matrix: {p: [../../up, "x\\e[2J y", "x [2J y", "/", A, a, "\\u00e9"]}
        tasks: [{id: t, command: "echo 1 > {outputDir}/f"}]
        """,
    )
    gitorch(project, "run", "experiments")
    to = tmp_path / "to"
    gitorch(project, "outputs", "--name", "a", "--to", str(to))
    names = [
        re.sub("-[0-9a-f]{12}$", "-ID", path.name) for path in sorted(to.iterdir())
    ]
    assert sorted(names) == [
        "a_p=.._.._up",
        "a_p=A-ID",
        "a_p=_",
        "a_p=a-ID",
        "a_p=x_2J_y-ID",
        "a_p=x_2J_y-ID",
        "a_p=é",
    ]
    (to / "a_p=_/f").unlink()
    (to / "a_p=_").rmdir()
    (to / "a_p=_").symlink_to(tmp_path)
    refused = gitorch(project, "outputs", "--name", "a", "--to", str(to), code=1)
    assert "is not a directory" in refused.stderr
    assert not (tmp_path / "f").exists()
    assert git(project, "status", "--porcelain") == "?? experiments/"
