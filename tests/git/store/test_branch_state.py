"""A results branch that was moved, deleted or replaced, and names that it cannot have."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitorch.errors import Refused
from gitorch.git.repository import Repository
from gitorch.git.store.branch_state import BranchState
from gitorch.git.store.results import ResultsBranch
from tests.conftest import commit_files, git
from tests.git.store.conftest import OTHER, RUN, put


def test_a_deleted_branch_is_restored(project: Path, branch: ResultsBranch) -> None:
    tip = put(branch)
    git(project, "branch", "-qD", "gitorch/results")
    assert branch.state() is BranchState.MISSING
    git(project, "gc", "-q", "--prune=now")
    assert branch.tip() == tip
    assert branch.run_ids() == [RUN]
    put(branch, OTHER)
    assert branch.run_ids() == [RUN, OTHER]
    assert git(project, "rev-parse", "gitorch/results~1") == tip


def test_a_branch_that_went_backwards_is_restored(
    project: Path, branch: ResultsBranch
) -> None:
    old = put(branch)
    put(branch, OTHER)
    git(project, "branch", "-qf", "gitorch/results", old)
    assert branch.state() is BranchState.BEHIND
    third = "0" * 12
    put(branch, third)
    assert branch.state() is BranchState.WHOLE
    assert branch.run_ids() == [third, RUN, OTHER]


def test_a_history_that_replaced_the_known_one_is_united_with_it(
    project: Path, branch: ResultsBranch
) -> None:
    put(branch)
    before = put(branch, OTHER)
    tree = git(project, "rev-parse", "gitorch/results~1^{tree}")
    anew = git(project, "commit-tree", "-m", "anew", tree)
    git(project, "branch", "-qf", "gitorch/results", anew)
    assert branch.state() is BranchState.DIVERGED
    put(branch, "0" * 12)
    assert branch.state() is BranchState.WHOLE
    parents = git(
        project, "rev-parse", "gitorch/results~1^1", "gitorch/results~1^2"
    )
    assert parents == f"{before}\n{anew}"
    assert branch.run_ids() == ["0" * 12, RUN, OTHER]


def test_a_branch_that_moved_forwards_is_followed(
    project: Path, branch: ResultsBranch, tmp_path: Path
) -> None:
    put(branch)
    git(tmp_path, "clone", "-q", "-b", "gitorch/results", str(project), "clone")
    put(ResultsBranch(Repository.discover(tmp_path / "clone")), OTHER)
    git(
        project,
        "fetch",
        "-q",
        str(tmp_path / "clone"),
        "gitorch/results:gitorch/results",
    )
    put(branch, "0" * 12)
    assert branch.run_ids() == ["0" * 12, RUN, OTHER]


def test_a_clone_reads_and_continues_the_branch_that_it_fetched(
    project: Path, branch: ResultsBranch, tmp_path: Path
) -> None:
    tip = put(branch)
    git(tmp_path, "clone", "-q", str(project), "clone")
    cloned = ResultsBranch(Repository.discover(tmp_path / "clone"))
    assert cloned.run_ids() == [RUN]
    put(cloned, OTHER)
    assert git(tmp_path / "clone", "rev-parse", "gitorch/results~1") == tip


# Names


def test_a_branch_in_the_way_is_named_in_the_message(
    project: Path, branch: ResultsBranch
) -> None:
    git(project, "branch", "gitorch")
    with pytest.raises(
        Refused,
        match="the branch 'gitorch' leaves no room for the results branch 'gitorch/results'",
    ):
        put(branch)
    git(project, "branch", "-m", "gitorch", "gitorch/results/deeper")
    with pytest.raises(
        Refused, match="the branch 'gitorch/results/deeper' leaves no room"
    ):
        put(branch)
    git(project, "branch", "-m", "gitorch/results/deeper", "gitorch/other")
    put(branch)


@pytest.mark.parametrize("name", ["main", "bad..name"])
def test_a_branch_that_cannot_be_gitorchs_is_refused(
    project: Path, name: str
) -> None:
    git(project, "config", "gitorch.branch", name)
    head = git(project, "rev-parse", "HEAD")
    commit_files(project, {"code.py": "1"})
    with pytest.raises(Refused, match=r"cannot be a branch|holds something else"):
        put(ResultsBranch(Repository.discover(project)))
    assert git(project, "rev-parse", "main~1") == head


def test_a_fetched_branch_that_is_not_gitorchs_is_refused(
    project: Path, tmp_path: Path
) -> None:
    git(project, "branch", "lab")
    git(tmp_path, "clone", "-q", str(project), "clone")
    git(tmp_path / "clone", "config", "gitorch.branch", "lab")
    with pytest.raises(Refused, match="holds something else"):
        put(ResultsBranch(Repository.discover(tmp_path / "clone")))
    assert git(tmp_path / "clone", "branch", "--list", "lab") == ""


def test_a_broken_reference_is_moved_aside(
    project: Path, branch: ResultsBranch
) -> None:
    tip = put(branch)
    (project / ".git/refs/heads/gitorch/results").write_text("nonsense\n")
    assert branch.state() is BranchState.BROKEN
    branch.restore()
    assert branch.state() is BranchState.WHOLE
    assert branch.tip() == tip
    (aside,) = branch.repo.state_dir.glob("broken-reference.*")
    assert aside.read_text() == "nonsense\n"
