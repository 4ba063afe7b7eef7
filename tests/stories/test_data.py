"""`inputs: [paths or globs]`: data is hashed when a run is readied.

The data must still be the same when the run's tasks begin.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

CONFIG = """
    gitorch: {link: [data]}
    tasks:
      - id: count
        command: "wc -l data/train.csv > {outputDir}/lines.txt"
        gitorch: {inputs: [INPUTS]}
"""
INPUTS_LINE = 5


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


TRAIN = sha256("1\n2\n")
LONGER = sha256("1\n2\n3\n")


@pytest.fixture
def with_data(project: Path) -> Path:
    """Return a project whose data directory is ignored by git."""
    commit_files(project, {".gitignore": "data/\n", "tables/names.csv": "a\nb\n"})
    write(project, "data/train.csv", "1\n2\n")
    write(project, "data/test.csv", "3\n")
    return project


def config(project: Path, inputs: str) -> None:
    write(project, "experiments/e.yaml", CONFIG.replace("INPUTS", inputs))


def data_of(project: Path, run: str) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = gitorch_json(project, "show", run)["run"]["data"]
    return data


def test_the_record_lists_the_data_that_was_read(
    with_data: Path, tmp_path: Path
) -> None:
    write(tmp_path, "elsewhere/big.bin", "big\n")
    config(with_data, f"data/*.csv, tables, {tmp_path}/elsewhere")
    gitorch(with_data, "run", "experiments")
    assert data_of(with_data, "e") == [
        {"path": "data/test.csv", "size": 2, "sha256": sha256("3\n")},
        {"path": "data/train.csv", "size": 4, "sha256": TRAIN},
        {"path": "tables/names.csv", "size": 4, "sha256": sha256("a\nb\n")},
        {
            "path": f"{tmp_path}/elsewhere/big.bin",
            "size": 4,
            "sha256": sha256("big\n"),
        },
    ]
    assert f"4 B  sha256 {TRAIN[:12]}\n" in gitorch(with_data, "show", "e").stdout


def test_changed_data_makes_another_run_and_is_compared(with_data: Path) -> None:
    config(with_data, "data")
    gitorch(with_data, "run", "experiments")
    assert gitorch_json(with_data, "ready")["queued"] == [], (
        "the same data makes the same run"
    )
    (with_data / "data/train.csv").write_text("1\n2\n3\n")
    (with_data / "data/new.csv").write_text("4\n")
    gitorch(with_data, "run", "experiments")
    compared = gitorch_json(with_data, "compare", "@~1", "@")
    assert compared["data"] == {
        "same": False,
        "changed": {
            "data/train.csv": [TRAIN, LONGER],
            "data/new.csv": [None, sha256("4\n")],
        },
    }
    stdout = gitorch(with_data, "compare", "--data", "@~1", "@").stdout
    assert f"{TRAIN[:12]}  {LONGER[:12]}\n" in stdout
    gitorch(with_data, "compare", "--exit-code", "@", "@")


def test_a_task_fails_if_its_data_has_changed_since_ready(with_data: Path) -> None:
    config(with_data, "data/*.csv")
    gitorch(with_data, "ready")
    train = with_data / "data/train.csv"
    train.write_text("1\n3\n")
    failed = gitorch(with_data, "run", code=1)
    was = TRAIN[:12]
    now = sha256("1\n3\n")[:12]
    cause = f"input data/train.csv changed since the run was readied (was {was}, is {now})"
    assert cause in failed.stderr
    run = gitorch_json(with_data, "show", "e")["run"]
    [attempt] = run["tasks"][0]["attempts"]
    assert run["status"] == "ERROR"
    assert attempt["outcome"]["kind"] == "could-not-start"
    assert attempt["outcome"]["message"].startswith(cause)
    assert "restore it and retry" in attempt["outcome"]["message"]

    train.write_text("1\n2\n")
    gitorch(with_data, "retry", "e")
    gitorch(with_data, "run")
    assert gitorch_json(with_data, "show", "e")["run"]["status"] == "COMPLETE"

    train.write_text("changed again\n")
    gitorch(with_data, "rerun", "e", code=1)
    log = gitorch(with_data, "logs", "@").stdout
    assert "changed since" in log, "a rerun needs the same data"


def delete_one(data: Path) -> None:
    (data / "test.csv").unlink()


def add_one(data: Path) -> None:
    (data / "new.csv").touch()


def delete_all(data: Path) -> None:
    for path in data.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (
            delete_one,
            "input data/test.csv is gone since the run was readied",
        ),
        (
            add_one,
            "input data/new.csv is new since the run was readied",
        ),
        (
            delete_all,
            "input data/*.csv was there when the run was readied: 'data/*.csv' names no file",
        ),
    ],
    ids=["gone", "new", "all gone"],
)
def test_added_and_deleted_files_are_reported(
    with_data: Path, change: Callable[[Path], None], cause: str
) -> None:
    config(with_data, "data/*.csv")
    gitorch(with_data, "ready")
    change(with_data / "data")
    assert cause in gitorch(with_data, "run", code=1).stderr


def test_many_files_become_one_entry(with_data: Path) -> None:
    lines = ""
    for number in range(60):
        write(with_data, f"data/images/{number:02}.png", f"{number}\n")
        lines += sha256(f"{number}\n") + f"  data/images/{number:02}.png\n"
    config(with_data, "data/images/*.png, data/train.csv")
    gitorch(with_data, "run", "experiments")
    assert data_of(with_data, "e") == [
        {
            "path": "data/images/*.png",
            "size": 170,
            "sha256": sha256(lines),
            "files": 60,
        },
        {"path": "data/train.csv", "size": 4, "sha256": TRAIN},
    ]
    assert "60 files, 170 B  sha256" in gitorch(with_data, "show", "e").stdout

    config(with_data, "data/images, tables/names.csv")
    image = with_data / "data/images/07.png"
    gitorch(with_data, "ready", "--again")
    image.write_text("x\n")
    assert (
        "input data/images (60 files) changed"
        in gitorch(with_data, "run", code=1).stderr
    )
    image.write_text("7\n")
    gitorch(with_data, "ready", "--again")
    image.unlink()
    assert "data/images named 60 files" in gitorch(with_data, "run", code=1).stderr


def test_missing_and_unusable_inputs_are_refused_at_their_position(
    with_data: Path,
) -> None:
    (with_data / "data/empty").mkdir()
    (with_data / "data/broken").symlink_to("nowhere")
    os.mkfifo(with_data / "data/pipe")
    messages = {
        "data/trian.csv": "there is no 'data/trian.csv'",
        "data/*.tsv": "'data/*.tsv' names no file",
        "/no/such": "there is no '/no/such'",
        "data/empty": "'data/empty' holds no file",
        "data/broken": "there is no 'data/broken'",
        "data/pipe": "data/pipe is neither a file nor a directory",
        "/dev/zero": "/dev/zero is neither a file nor a directory",
    }
    inputs = ", ".join(messages)
    config(with_data, inputs)
    for verb in ("check", "ready"):
        problems = gitorch_json(with_data, verb, code=1)["problems"]
        assert [problem["message"] for problem in problems] == list(
            messages.values()
        )
        assert problems[0]["hint"] == "did you mean 'data/train.csv'?"
        first_column = problems[0]["column"]
        expected = [
            (INPUTS_LINE, first_column + inputs.index(path)) for path in messages
        ]
        assert [
            (problem["line"], problem["column"]) for problem in problems
        ] == expected


def test_data_missing_from_the_worktree_gives_a_warning(with_data: Path) -> None:
    write(
        with_data,
        "experiments/e.yaml",
        """
        gitorch: {inputs: [data/*.csv]}
        tasks: [{id: a, command: 'true'}, {id: b, command: 'true'}]
        """,
    )
    commit_files(with_data, {".gitignore": "/data/other\n"})
    git(with_data, "rm", "-rq", "--cached", "data")
    git(with_data, "commit", "-qm", "data is not ignored, and not committed")
    [problem] = gitorch_json(with_data, "check")["problems"]
    assert (problem["severity"], problem["line"], problem["column"]) == (
        "warning",
        1,
        20,
    )
    assert problem["message"].startswith(
        "data/*.csv is neither committed nor linked"
    )
    assert (
        problem["hint"]
        == "commit it; or gitorch: {link: [data]} makes it a symbolic link to yours"
    )
    gitorch(with_data, "run", "experiments")
    assert len(data_of(with_data, "e")) == 2


def test_committed_data_is_read_from_the_pin(with_data: Path) -> None:
    (with_data / "latest.csv").symlink_to("tables/names.csv")
    commit_files(with_data, {})
    write(
        with_data,
        "experiments/e.yaml",
        """
        gitorch: {inputs: [tables/*.csv, latest.csv]}
        tasks: [{id: a, command: cat latest.csv}]
        """,
    )
    gitorch(with_data, "ready")
    (with_data / "tables/names.csv").write_text("an edit in the working tree\n")
    gitorch(with_data, "run")
    names = sha256("a\nb\n")
    hashes = [(entry["path"], entry["sha256"]) for entry in data_of(with_data, "e")]
    assert hashes == [("tables/names.csv", names), ("latest.csv", names)]
    assert gitorch(with_data, "logs", "e").stdout == "a\nb\n"


def test_a_change_of_committed_data_makes_another_run_although_code_is_named(
    project: Path,
) -> None:
    commit_files(project, {"data.csv": "1\n", "model.py": ""})
    write(
        project,
        "experiments/e.yaml",
        """
        gitorch: {code: [model.py], inputs: [data.csv]}
        tasks: [{id: a, command: 'true'}]
        """,
    )
    gitorch(project, "run", "experiments")
    commit_files(project, {"README.md": "unrelated\n"})
    assert gitorch_json(project, "ready")["queued"] == []
    commit_files(project, {"data.csv": "2\n"})
    assert len(gitorch_json(project, "ready")["queued"]) == 1


def test_a_run_retried_at_another_commit_reads_the_data_of_that_commit(
    with_data: Path,
) -> None:
    write(
        with_data,
        "experiments/e.yaml",
        """
        gitorch: {link: [data], inputs: [tables/*.csv, data/train.csv]}
        tasks: [{id: a, command: grep c tables/names.csv}]
        """,
    )
    gitorch(with_data, "run", "experiments", code=1)
    commit_files(with_data, {"tables/names.csv": "c\n"})
    gitorch(with_data, "retry", "e", "--at", "HEAD")
    hashes = {entry["path"]: entry["sha256"] for entry in data_of(with_data, "e")}
    assert hashes == {
        "tables/names.csv": sha256("c\n"),
        "data/train.csv": TRAIN,
    }
    assert gitorch_json(with_data, "ready")["queued"] == [], (
        "same as a run readied at that commit"
    )
    gitorch(with_data, "run")

    git(with_data, "rm", "-q", "tables/names.csv")
    git(with_data, "commit", "-qm", "without the table")
    (with_data / "data/train.csv").write_text("changed")
    gitorch(with_data, "rerun", "e", code=1)
    refused = gitorch(with_data, "retry", "@", "--at", "HEAD", code=4)
    assert "'tables/*.csv' names no file" in refused.stderr
    gitorch(with_data, "retry", "@", "--at", "HEAD~1")
    assert (
        "input data/train.csv changed" in gitorch(with_data, "run", code=1).stderr
    )


def test_the_cache_key_depends_on_the_data(with_data: Path, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    for name in ("a", "b", "c"):
        write(
            with_data,
            f"experiments/{name}.yaml",
            f"""
            which: {name}
            gitorch: {{link: [data]}}
            tasks:
              - id: count
                command: echo counted >> {counter}
                gitorch:
                  cache: {{params: [], code: [.gitignore], inputs: [data/*.csv, tables]}}
            """,
        )
    gitorch(with_data, "run", "experiments/a.yaml")
    gitorch(with_data, "run", "experiments/b.yaml")
    assert counter.read_text() == "counted\n", "both runs read the same data"
    assert len(data_of(with_data, "b")) == 3
    (with_data / "data/train.csv").write_text("changed")
    gitorch(with_data, "run", "experiments/c.yaml")
    assert counter.read_text() == "counted\n" * 2


def test_a_rebuilt_queue_and_a_resubmitted_run_keep_their_data(
    with_data: Path,
) -> None:
    config(with_data, "data")
    gitorch(with_data, "ready")
    (with_data / ".git/gitorch/queue.db").unlink()
    (with_data / "data/train.csv").write_text("changed")
    assert (
        "input data/train.csv changed" in gitorch(with_data, "run", code=1).stderr
    )
    gitorch(with_data, "fail", "e")
    gitorch(with_data, "resubmit", "e")
    assert (
        "input data/train.csv changed" in gitorch(with_data, "run", code=1).stderr
    )


def test_data_behind_symbolic_links_and_with_unusual_names(
    with_data: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "disk" / "ü\n[1] ~.csv"
    odd.parent.mkdir()
    odd.write_text("odd\n")
    (with_data / "data/disk").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "around").symlink_to(with_data / "data")  # A cycle.
    config(with_data, "data/**/*.csv")
    gitorch(with_data, "run", "experiments")
    paths = {entry["path"] for entry in data_of(with_data, "e")}
    assert paths == {
        "data/train.csv",
        "data/test.csv",
        f"data/disk/{odd.name}",
    }
    gitorch(with_data, "show", "e")
    odd.write_text("other\n")
    gitorch(with_data, "ready")
    odd.write_text("odd\n")
    assert (
        "changed since the run was readied"
        in gitorch(with_data, "run", code=1).stderr
    )


def test_a_socket_in_a_directory_of_data_is_refused(
    with_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(with_data / "data")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        config(with_data, "data")
        [problem] = gitorch_json(with_data, "ready", code=1)["problems"]
        assert problem["message"] == "data/s is neither a file nor a directory"


def test_data_in_the_home_directory(with_data: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    write(home, "sets/x.csv", "1\n")
    write(
        with_data,
        "experiments/e.yaml",
        """
        gitorch: {inputs: [~/sets/*.csv]}
        tasks: [{id: a, command: cat ~/sets/x.csv}]
        """,
    )
    gitorch(with_data, "run", "experiments", env={"HOME": str(home)})
    assert data_of(with_data, "e") == [
        {"path": "~/sets/x.csv", "size": 2, "sha256": sha256("1\n")}
    ]


def test_data_in_a_submodule_is_refused(project: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "sets")
    commit_files(tmp_path / "sets", {"x.csv": "1\n"})
    git(project, "submodule", "add", "-q", str(tmp_path / "sets"), "vendor/sets")
    git(project, "commit", "-qm", "with data")
    write(
        project,
        "experiments/e.yaml",
        """
        gitorch: {inputs: [vendor/sets/x.csv]}
        tasks: [{id: a, command: 'true'}]
        """,
    )
    [problem] = gitorch_json(project, "ready", code=1)["problems"]
    assert (
        problem["message"]
        == "'vendor/sets/x.csv' lies in the submodule vendor/sets"
    )
