"""`code: [globs]` names the files that a run depends on.

A commit that changes only other files does not lead to another run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import commit_files, gitorch, gitorch_json, write

TASKS = (
    "class Train:\n"
    "    def __init__(self, config): pass\n"
    "    def run(self): return {'version': 1}\n"
)
CONFIG = """
    seeds: [1]
    gitorch: {code: [Tasks.py, "lib/**/*.py"]}
    tasks: [{id: train, method: Train}]
"""


def _ready(project: Path) -> dict[str, Any]:
    made: dict[str, Any] = gitorch_json(project, "ready")
    return made


def test_only_a_change_of_the_named_files_leads_to_another_run(
    project: Path,
) -> None:
    commit_files(project, {"Tasks.py": TASKS, "lib/a.py": "", "notes.txt": ""})
    write(project, "experiments/e.yaml", CONFIG)
    [first] = _ready(project)["queued"]
    gitorch(project, "run")

    commit_files(
        project, {"README.md": "unrelated\n", "lib/notes.md": "unrelated\n"}
    )
    again = _ready(project)
    assert again["queued"] == []
    assert [(run["id"], run["why"]) for run in again["skipped"]] == [
        (first["id"], f"already exists as {first['id']}, COMPLETE")
    ]
    for arguments in (["run"], ["run", "experiments/e.yaml"]):
        worked = gitorch(project, *arguments)
        assert "nothing" in worked.stderr, (
            "the command reports that there is nothing to do"
        )
    assert len(gitorch_json(project, "list")["runs"]) == 1

    commit_files(project, {"lib/deep/b.py": "changed = True\n"})
    [second] = _ready(project)["queued"]
    assert second["id"] != first["id"]


def test_a_glob_that_matches_no_file_is_an_error_at_its_position(
    project: Path,
) -> None:
    commit_files(
        project, {"Tasks.py": TASKS, "source/model.py": "", "source/train.py": ""}
    )
    write(
        project,
        "experiments/e.yaml",
        CONFIG.replace('"lib/**/*.py"', "source/modle.py, sourc/*.py, data/x"),
    )
    for verb in ("check", "ready"):
        problems = gitorch_json(project, verb, code=1)["problems"]
        assert [(problem["line"], problem["column"]) for problem in problems] == [
            (2, 28),
            (2, 45),
            (2, 57),
        ]
        assert [problem["hint"] for problem in problems] == [
            "did you mean 'source/model.py'?",
            "did you mean 'source/*.py'?",
            "is it committed? git ls-files lists the committed files",
        ]
        assert problems[0]["message"].startswith(
            "'source/modle.py' matches nothing in commit "
        )
    assert gitorch_json(project, "list")["runs"] == []
