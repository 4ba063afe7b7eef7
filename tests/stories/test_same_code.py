"""`code: [globs]` names the files that a run depends on.

A commit that changes only other files does not lead to another run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

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


def test_ready_names_the_files_for_which_it_makes_runs_anew(project: Path) -> None:
    write(
        project,
        "experiments/e.yaml",
        """
        gitorch: {matrix: {seed: [1, 2, 3]}}
        tasks: [{id: t, command: "true"}]
        """,
    )
    first = git(project, "rev-parse", "HEAD")[:12]
    assert "of these" not in gitorch(project, "ready").stderr
    commit_files(project, {"experiments/.gitorch.schema.json": "{}"})
    assert _ready(project)["queued"] == [], "the schema of configs is not code"
    gitorch(project, "run", "seed=1")
    gitorch(project, "kill", "seed=3", "--yes")
    second = commit_files(project, {"README.md": "unrelated\n"})[:12]
    said = gitorch(project, "ready", "--dry-run").stderr
    assert said.splitlines()[-3:] == [
        f"Would queue 3 runs at {second}",
        f"1 of these ran at {first}; README.md differs",
        f"1 of these was queued at {first}; README.md differs",
    ]
    assert (
        "of these" not in gitorch(project, "ready", "--again", "--dry-run").stderr
    )
    new_seed = gitorch_json(project, "ready", "--dry-run", "-S", "lr=1")
    assert new_seed["made_anew"] == [], "no run had this parameter"
    made = _ready(project)["made_anew"]
    assert [(runs["ran"], runs["count"]) for runs in made] == [
        (True, 1),
        (False, 1),
    ]
    assert made[0]["commit"][:12] == first
    assert made[0]["files"] == ["README.md"]
    commit_files(project, dict.fromkeys("abcde", ""))
    said = gitorch(project, "ready").stderr
    assert f"3 of these were queued at {second}; a, b, c and 2 more differ" in said
