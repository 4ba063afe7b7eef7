"""What git ignores: data is linked into the worktrees of runs, and hints name what is missing."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

IGNORED = """\
/data/*
!/data/.gitkeep
/sets/
*.so
_build.py
_version.py
"""


@pytest.fixture
def with_data(project: Path) -> Path:
    """Return a project with a tracked `data/.gitkeep` beside ignored data."""
    committed: dict[str, str | bytes] = {
        ".gitignore": IGNORED,
        "data/.gitkeep": "",
        "src/pkg/__init__.py": "",
        "src/pkg/core.py": "from . import _build\n",
    }
    commit_files(project, committed)
    write(project, "data/a.csv", "1\n")
    write(project, "data/raw/b.csv", "2\n")
    write(project, "sets/one/c.csv", "3\n")
    return project


def config(project: Path, text: str) -> None:
    write(project, "experiments/e.yaml", text)


def run_of(project: Path, name: str = "e") -> dict[str, Any]:
    run: dict[str, Any] = gitorch_json(project, "show", name)["run"]
    return run


def links_of(project: Path, name: str = "e") -> list[str]:
    links: list[str] = run_of(project, name)["spec"]["link"]
    return links


def listing(root: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            found[str(path.relative_to(root))] = path.read_bytes()
    return found


def test_ignored_inputs_are_linked_file_by_file(with_data: Path) -> None:
    config(
        with_data,
        """
        gitorch: {inputs: [data, sets/one/*.csv]}
        tasks:
          - id: a
            command: |
              cat data/a.csv data/raw/b.csv sets/one/c.csv
              echo more > sets/one/cache
              rm data/a.csv
              echo mine > data/raw/new && mv data/raw/new data/raw/b.csv
          - {id: b, command: cat data/a.csv data/raw/b.csv}
        """,
    )
    before = listing(with_data / "data"), listing(with_data / "sets")
    assert gitorch_json(with_data, "check")["problems"] == []
    gitorch(with_data, "run", "experiments")
    after = listing(with_data / "data"), listing(with_data / "sets")
    assert after == before, (
        "what a task adds, removes or replaces is not the user's"
    )
    log = gitorch(with_data, "logs", "e", "--task", "b").stdout
    assert log == "1\n2\n", "the next task reads the data that the record names"
    expected = ["data/a.csv", "data/raw/b.csv", "sets/one/c.csv"]
    assert links_of(with_data) == expected
    paths = [entry["path"] for entry in run_of(with_data)["data"]]
    assert sorted(paths) == ["data/.gitkeep", *expected]
    assert gitorch_json(with_data, "ready")["queued"] == []
    gitorch(with_data, "rerun", "e")
    assert links_of(with_data, "@") == expected
    tree = Path(gitorch(with_data, "checkout-run", "e").stdout.strip())
    assert (tree / "data/a.csv").read_text() == "1\n"


def test_what_a_task_links_in_place_of_a_directory_is_not_deleted(
    with_data: Path,
) -> None:
    config(
        with_data,
        f"""
        gitorch: {{inputs: [sets/one/c.csv]}}
        tasks:
          - {{id: a, command: "rm -r sets && ln -s {with_data}/sets sets"}}
          - {{id: b, command: cat sets/one/c.csv}}
        """,
    )
    gitorch(with_data, "run", "experiments")
    assert (with_data / "sets/one/c.csv").read_text() == "3\n"


def test_an_input_with_many_files_is_linked_as_a_directory(with_data: Path) -> None:
    for number in range(250):
        write(with_data, f"sets/images/{number}.png", "")
    config(
        with_data,
        "{gitorch: {inputs: [sets/images]}, tasks: [{id: a, command: ls sets/images}]}",
    )
    gitorch(with_data, "run", "experiments")
    assert links_of(with_data) == ["sets/images"]


def test_a_directory_with_tracked_files_gets_a_link_for_each_ignored_child(
    with_data: Path,
) -> None:
    config(
        with_data,
        "{gitorch: {link: [data]}, tasks: [{id: a, command: ls -A data data/raw}]}",
    )
    gitorch(with_data, "run", "experiments")
    assert links_of(with_data) == ["data/a.csv", "data/raw"]
    log = gitorch(with_data, "logs", "e").stdout
    assert log == "data:\n.gitkeep\na.csv\nraw\n\ndata/raw:\nb.csv\n"

    (with_data / "data/a.csv").unlink()
    (with_data / "data/raw/b.csv").unlink()
    (with_data / "data/raw").rmdir()
    [problem] = gitorch_json(with_data, "check", code=1)["problems"]
    assert problem["message"].endswith(
        "contains data, and git ignores nothing in yours"
    )


def test_a_glob_of_links_is_expanded_when_the_run_is_readied(
    with_data: Path,
) -> None:
    write(with_data, "src/pkg/fast.so", "")
    write(with_data, "src/pkg/[odd].so", "")
    config(
        with_data,
        """
        gitorch: {link: ["src/**/*.so", "data/*.csv"]}
        tasks: [{id: a, command: "ls src/pkg/*.so data/*.csv"}]
        """,
    )
    gitorch(with_data, "run", "experiments")
    expected = ["data/a.csv", "src/pkg/[odd].so", "src/pkg/fast.so"]
    assert links_of(with_data) == expected
    write(with_data, "src/pkg/later.so", "")
    gitorch(with_data, "rerun", "e")
    assert links_of(with_data, "@") == expected

    config(
        with_data,
        "{gitorch: {link: ['sets/*.tsv']}, tasks: [{id: a, command: 'true'}]}",
    )
    [problem] = gitorch_json(with_data, "ready", code=1)["problems"]
    assert "'sets/*.tsv' matches nothing that git ignores" in problem["message"]
    assert problem["column"] == 19


def test_a_failed_command_is_answered_with_the_line_to_write(
    with_data: Path,
) -> None:
    for name in ("_build.py", "_version.py", "_fast.abi3.so"):
        write(with_data, f"src/pkg/{name}", "")
    write(with_data, "notes.txt", "")
    expected = {
        "cat data/a.csv": "{link: [data/a.csv]} makes it a symbolic link to yours",
        "cat sets/one/c.csv": "{link: [sets]} makes it a symbolic link to yours",
        """python3 -c "open('data/raw/b.csv')" """: "{link: [data/raw]} makes",
        "PYTHONPATH=src python3 -c 'import pkg.core'": "{link: [src/pkg/_build.py]}",
        "PYTHONPATH=src python3 -c 'import pkg._fast'": "{link: [src/pkg/_fast.abi3.so]}",
        "PYTHONPATH=src python3 -c 'from pkg import _version'": "[src/pkg/_version.py]",
        "PYTHONPATH=src python3 -m pkg._build": "{link: [src/pkg/_build.py]} makes",
        "python3 -c 'import nosuch.module'": "install nosuch there",
        "cat notes.txt": "notes.txt is not committed",
    }
    text = "gitorch: {}\ntasks:\n"
    for number, command in enumerate(expected):
        text += (
            f"  - id: t{number}\n    needs: []\n    command: |\n      {command}\n"
        )
    write(with_data, "experiments/e.yaml", text)
    stderr = gitorch(with_data, "run", "experiments", code=1).stderr
    hints = [line for line in stderr.splitlines() if line.startswith("  hint: ")]
    assert len(hints) == len(expected)
    for hint, part in zip(hints, expected.values(), strict=True):
        assert part in hint


def test_a_task_that_lacks_an_ignored_file_is_answered_with_the_line_to_write(
    with_data: Path,
) -> None:
    tasks = """\
import sys
sys.path.insert(0, "src")
class Train:
    def __init__(self, config):
        self.config = config
    def validate(self):
        open("sets/one/c.csv").close()
        return []
    def run(self):
        import pkg.core
"""
    commit_files(with_data, {"Tasks.py": tasks})
    write(with_data, "src/pkg/_build.py", "")
    config(with_data, "tasks: [{id: a, method: Train}]")
    for verb in ("check", "ready"):
        [problem] = gitorch_json(with_data, verb, code=1)["problems"]
        assert "FileNotFoundError" in problem["message"]
        assert problem["hint"] == (
            "sets/one/c.csv is ignored by git, so a run does not have it; "
            "gitorch: {link: [sets]} makes it a symbolic link to yours (see Tasks.py:7)"
        )
    config(with_data, "{gitorch: {link: [sets]}, tasks: [{id: a, method: Train}]}")
    stderr = gitorch(with_data, "run", "experiments", code=1).stderr
    assert "  hint: src/pkg/_build.py is ignored by git" in stderr


@pytest.mark.parametrize("name", ["a b.csv", "a, b: c.csv", "[x]*.csv", "it's.csv"])
def test_the_line_to_write_works_for_any_name(with_data: Path, name: str) -> None:
    write(with_data, f"data/raw/{name}", "1\n")
    write(with_data, "data/raw/.gitkeep", "")
    git(with_data, "add", "-f", "data/raw/.gitkeep")
    git(with_data, "commit", "-qm", "a directory")
    words = ["python3", "-c", "import sys; open(sys.argv[1])", f"data/raw/{name}"]
    task = f"tasks: [{{id: a, command: {json.dumps(words)}}}]"
    config(with_data, task)
    said = gitorch(with_data, "run", "experiments", code=1).stderr
    [line] = re.findall(r"(gitorch: \{link: .*\}) makes it", said)
    config(with_data, f"{line}\n{task}")
    gitorch(with_data, "run", "experiments")
    assert links_of(with_data) == [f"data/raw/{name}"]


def test_a_module_that_is_not_installed_is_answered_with_the_interpreter(
    project: Path,
) -> None:
    commit_files(project, {"Tasks.py": "import nosuch\n"})
    write(project, "experiments/e.yaml", "tasks: [{id: a, method: Train}]")
    [problem] = gitorch_json(project, "check", code=1)["problems"]
    assert f"install nosuch there ({sys.executable}" in problem["hint"]
    assert "gitorch: {python: PATH}" in problem["hint"]
