"""`sparse: [directories]`: the runs of a large repository get worktrees of a part of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

TASKS = """\
class Look:
    def __init__(self, config):
        self.config = config
    def run(self):
        return 1
"""
CONFIG = """
    pathToTasks: apps/model
    gitorch: {sparse: [apps/model, "libs/c*mon"]}
    tasks:
      - {id: look, method: Look}
      - id: change
        command: |
          find . -name '.git' -prune -o -type f -print | grep -v pyc > {outputDir}/all.txt
          LC_ALL=C sort {outputDir}/all.txt > {outputDir}/files.txt
          git status --porcelain >> {outputDir}/files.txt
          echo edited > apps/model/code.py
      - {id: last, command: "cat apps/model/code.py; test -e apps/model/fixed"}
"""
FILES = """\
./.gitignore
./README.md
./apps/beside.txt
./apps/model/Tasks.py
./apps/model/code.py
./apps/model/deep/x.txt
./libs/c*mon/c.py
"""


@pytest.fixture
def large(project: Path) -> Path:
    committed: dict[str, str | bytes] = {
        ".gitignore": "__pycache__/\n",
        "apps/beside.txt": "",
        "apps/model/Tasks.py": TASKS,
        "apps/model/code.py": "committed\n",
        "apps/model/deep/x.txt": "",
        "apps/web/index.html": "",
        "libs/c*mon/c.py": "",
        "libs/common/c.py": "",
        "data/big.bin": "",
    }
    commit_files(project, committed)
    write(project, "experiments/e.yaml", CONFIG)
    return project


def run_of(project: Path, name: str = "e") -> dict[str, Any]:
    run: dict[str, Any] = gitorch_json(project, "show", name)["run"]
    return run


def files_of(project: Path, run: dict[str, Any]) -> str:
    path = f"runs/{run['id'][:2]}/{run['id']}/outputs/files.txt"
    return git(project, "show", f"gitorch/results:{path}") + "\n"


def files_in(tree: Path) -> str:
    names = []
    for path in sorted(tree.rglob("*")):
        inside = path.relative_to(tree)
        if (
            path.is_file()
            and inside.parts[0] != ".git"
            and "run-" not in str(inside)
        ):
            names.append(f"./{inside}\n")
    return "".join(names)


def test_all_worktrees_of_a_run_have_the_directories_only(large: Path) -> None:
    before = (large / ".git/config").read_bytes()
    gitorch(large, "run", "experiments", code=1)
    run = run_of(large)
    assert files_of(large, run) == FILES, "and git finds nothing changed"
    assert run["spec"]["sparse"] == ["apps/model", "libs/c*mon"]
    assert [task["status"] for task in run["tasks"]] == [
        "COMPLETE",
        "COMPLETE",
        "ERROR",
    ]
    modified = run["tasks"][1]["attempts"][0]["modified"]
    assert modified == ["apps/model/code.py"]
    log = gitorch(large, "logs", "e", "--task", "last").stdout
    assert log == "committed\n", "tracked files are reset, and only these"

    commit_files(large, {"apps/model/fixed": "", "apps/web/more.html": ""})
    gitorch(large, "retry", "e", "--at", "HEAD", "--from", "change")
    gitorch(large, "run")
    run = run_of(large)
    assert run["status"] == "COMPLETE"
    with_fix = FILES.replace("deep/x.txt\n", "deep/x.txt\n./apps/model/fixed\n")
    assert files_of(large, run) == with_fix
    gitorch(large, "rerun", "e")
    assert files_of(large, run_of(large, "@")) == with_fix
    tree = Path(gitorch(large, "checkout-run", "e").stdout.strip())
    assert files_in(tree) == with_fix
    assert git(tree, "status", "--porcelain") == ""
    assert (large / ".git/config").read_bytes() == before
    assert not (large / ".git/config.worktree").exists()


def test_worktrees_with_and_without_sparse_do_not_take_each_others_files(
    large: Path,
) -> None:
    text = CONFIG.replace(
        "sparse: [apps", "matrix: {n: [1, 2, 3, 4]}, sparse: [apps"
    ).replace("; test -e apps/model/fixed", "")
    write(large, "experiments/e.yaml", text)
    write(
        large,
        "experiments/whole.yaml",
        """
        n: 0
        gitorch: {matrix: {n: [1, 2, 3, 4]}}
        tasks: [{id: a, command: "ls data apps/web > {outputDir}/files.txt"}]
        """,
    )
    gitorch(large, "run", "experiments", "-j", "2")
    for run in gitorch_json(large, "list")["runs"]:
        found = files_of(large, run_of(large, run["id"]))
        is_whole = run["name"] == "whole"
        assert found == (
            "apps/web:\nindex.html\n\ndata:\nbig.bin\n" if is_whole else FILES
        )


def test_code_outside_the_directories_makes_no_new_run(large: Path) -> None:
    gitorch(large, "ready")
    commit_files(large, {"apps/web/index.html": "changed"})
    assert gitorch_json(large, "ready")["queued"] == []
    commit_files(large, {"libs/c*mon/c.py": "changed"})
    assert len(gitorch_json(large, "ready")["queued"]) == 1


@pytest.mark.parametrize(
    ("sparse", "message"),
    [
        ("[apps/model, nosuch]", "there is no directory nosuch in commit"),
        ("[apps/model, apps/beside.txt]", "apps/beside.txt is a file"),
        ("[apps/web]", "the worktrees will lack apps/model/Tasks.py"),
        ("[apps/model, ../x]", "leads outside"),
        ("[.]", "is the whole repository"),
        ("[apps/model], inputs: [data/big.bin]", "data/big.bin is outside sparse"),
    ],
)
def test_what_cannot_be_in_the_worktree_is_an_error(
    large: Path, sparse: str, message: str
) -> None:
    text = CONFIG.replace('[apps/model, "libs/c*mon"]', sparse)
    write(large, "experiments/e.yaml", text)
    problems = gitorch_json(large, "ready", code=1)["problems"]
    errors = [item["message"] for item in problems if item["severity"] == "error"]
    assert len(errors) == 1
    assert message in errors[0]


def test_a_task_that_lacks_a_file_outside_is_answered_with_the_line_to_write(
    large: Path,
) -> None:
    """Files of the commit that `sparse` leaves out are missing as much as ignored ones."""
    commands = {
        "cat data/big.bin": "data/big.bin is outside of sparse, so a run does not have it; "
        "write gitorch: {sparse: [apps/model, data]}",
        "python3 -c 'import shared'": "{sparse: [apps/model, libs/common]}",
        "cat apps/model/nosuch": "",
    }
    commit_files(large, {"libs/common/shared.py": ""})
    for command, expected in commands.items():
        task = {"id": "t", "command": command}
        config = {"gitorch": {"sparse": ["apps/model"]}, "tasks": [task]}
        write(large, "a.yaml", json.dumps(config))
        said = gitorch(large, "run", "a.yaml", code=1).stderr
        assert ("hint: " in said) == bool(expected)
        assert expected in said


def test_submodules_outside_the_directories_are_not_filled(
    large: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    commit_files(other, {"inside.txt": ""})
    for path in ("apps/model/sub", "vendor/sub"):
        git(large, "submodule", "--quiet", "add", str(other), path)
    git(large, "commit", "-qm", "submodules")
    write(
        large,
        "experiments/e.yaml",
        CONFIG.replace("; test -e apps/model/fixed", ""),
    )
    gitorch(large, "run", "experiments")
    found = files_of(large, run_of(large))
    assert "./apps/model/sub/inside.txt\n" in found
    assert "vendor" not in found
