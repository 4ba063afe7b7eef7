"""A repository that was moved with `mv`: what stays at its former path, and what doctor does."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

# Fails at first. Then it reads what its first attempt has written.
RESUMES = """
    tasks:
      - id: a
        command: |
          test -f {outputDir}/checkpoint || { echo 1 > {outputDir}/checkpoint; exit 1; }
"""


@pytest.fixture
def used(project: Path) -> Path:
    """Return a repository with runs in ERROR, COMPLETE and WAITING, and a checkout."""
    write(project, "experiments/resumes.yaml", RESUMES)
    write(project, "experiments/good.yaml", "tasks: [{id: a, command: 'true'}]\n")
    waits = "seed: 1\ntasks: [{id: a, command: 'true'}]\n"
    write(project, "experiments/waits.yaml", waits)
    commit_files(project, {})
    names = [f"experiments/{name}.yaml" for name in ("resumes", "good")]
    gitorch(project, "run", *names, code=1)
    gitorch(project, "ready")
    gitorch(project, "checkout-run", "good")
    return project


def moved(root: Path, name: str = "moved") -> Path:
    """Move the repository as a user does."""
    target = root.with_name(name)
    subprocess.run(["mv", root, target], check=True)
    return target


def findings(root: Path, *words: str, code: int) -> list[dict[str, Any]]:
    found = gitorch_json(root, "doctor", *words, code=code)["findings"]
    assert isinstance(found, list)
    return found


def test_doctor_brings_over_what_stayed_behind(used: Path) -> None:
    root = moved(used)
    former = Path(f"{used}.gitorch")
    (found,) = findings(root, code=1)
    assert found["what"] == "former-workspace"
    start = f"the repository was moved here, and {former} stayed behind with the files of "
    assert found["message"].startswith(start)
    assert "resumes (" in found["message"]
    assert "waits (" in found["message"]
    assert found["hint"] == "gitorch doctor --fix"
    assert (former / "checkouts").exists()

    (repaired,) = findings(root, "--fix", code=0)
    assert repaired["fixed"]
    assert not former.exists()
    listed = git(root, "worktree", "list", "--porcelain")
    assert listed.count(f"worktree {root}.gitorch/") == 3
    assert f"{former}/" not in listed
    (checkout,) = Path(f"{root}.gitorch/checkouts").iterdir()
    assert git(checkout, "status", "--porcelain") == ""
    gitorch(root, "retry", "resumes")
    gitorch(root, "run")
    assert findings(root, code=0) == []


def test_doctor_forgets_worktrees_that_were_deleted_with_the_workspace(
    used: Path,
) -> None:
    root = moved(used)
    subprocess.run(["rm", "-r", f"{used}.gitorch"], check=True)
    (found,) = findings(root, code=1)
    assert found["what"] == "worktree-entry"
    assert f"{used}.gitorch/" in found["message"]
    assert findings(root, "--fix", code=0)[0]["fixed"]
    assert f"{used}.gitorch/" not in git(root, "worktree", "list")
    gitorch(root, "run")


def test_doctor_overwrites_nothing_and_says_what_is_left(used: Path) -> None:
    bad = "tasks: [{id: a, command: 'touch {outputDir}/checkpoint; exit 1'}]\n"
    write(used, "experiments/bad.yaml", bad)
    gitorch(used, "run", "experiments/bad.yaml", code=1)
    root = moved(used)
    gitorch(root, "retry", "bad")
    gitorch(root, "run", code=1)
    former = Path(f"{used}.gitorch")
    (found,) = [
        found
        for found in findings(root, "--fix", code=1)
        if found["what"] == "former-workspace"
    ]
    run = gitorch_json(root, "show", "bad")["run"]["id"]
    assert f"not repaired: it still has {run}" in found["message"]
    see = "see if you need any of it, then remove it: "
    assert found["hint"] == f"{see}rm -r {former}"
    assert (former / run / "output/checkpoint").exists()
    subprocess.run(found["hint"].removeprefix(see), shell=True, check=True)
    findings(root, "--fix", code=0)
    assert findings(root, code=0) == []


def test_another_repository_at_the_former_path_keeps_its_workspace(
    used: Path,
) -> None:
    root = moved(used)
    subprocess.run(["git", "clone", "-q", root, used], check=True)
    write(used, "experiments/bad.yaml", "tasks: [{id: b, command: 'false'}]\n")
    gitorch(used, "run", "experiments/bad.yaml", code=1)
    other = gitorch_json(used, "show", "bad")["run"]["id"]
    findings(root, "--fix", code=0)
    assert Path(f"{used}.gitorch/{other}/tree").exists()
    assert findings(root, code=0) == []
    assert findings(used, code=0) == []


def test_a_workspace_and_a_state_directory_elsewhere(
    project: Path, tmp_path: Path
) -> None:
    """`mv` to another file system copies the repository, and deletes the first one."""
    git(project, "config", "gitorch.stateDir", str(tmp_path / "state"))
    git(project, "config", "gitorch.workspace", str(tmp_path / "work"))
    write(project, "experiments/resumes.yaml", RESUMES)
    commit_files(project, {})
    gitorch(project, "run", "experiments", code=1)
    root = project.with_name("moved")
    subprocess.run(["cp", "-a", project, root], check=True)
    subprocess.run(["rm", "-rf", project], check=True)
    (found,) = findings(root, "--fix", code=0)
    assert found["what"] == "former-workspace"
    for directory in ("state", "work"):
        (only,) = (tmp_path / directory).iterdir()
        assert only.name.startswith("moved-")
    gitorch(root, "retry", "resumes")
    gitorch(root, "run")
    assert findings(root, code=0) == []
