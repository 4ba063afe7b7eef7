"""Submodules of worktrees: filled, reset and removed with the commit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gitorch.errors import Refused
from gitorch.git.repository import Repository
from gitorch.git.worktree.worktrees import FastWorktrees
from tests.conftest import commit_files, git
from tests.git.conftest import administrative, head


@pytest.fixture
def nested(project: Path, tmp_path: Path) -> Repository:
    """Give the project a submodule `lib` that has a submodule `inner`."""
    for name, content in {"inner": "inner", "lib": "lib"}.items():
        (tmp_path / name).mkdir()
        git(tmp_path / name, "init", "-q")
        commit_files(tmp_path / name, {f"{name}.py": content})
    git(
        tmp_path / "lib",
        "submodule",
        "add",
        "-q",
        str(tmp_path / "inner"),
        "in side",
    )
    git(tmp_path / "lib", "commit", "-qm", "inner")
    git(project, "submodule", "add", "-q", str(tmp_path / "lib"), "vendor/lib")
    git(project, "commit", "-qm", "lib")
    return Repository.discover(project)


@pytest.mark.parametrize(
    "is_offline", [True, False], ids=["offline", "from its URL"]
)
def test_submodules_are_filled(
    nested: Repository, tree: Path, tmp_path: Path, is_offline: bool
) -> None:
    root = nested.root
    if is_offline:
        git(root, "submodule", "update", "-q", "--init", "--recursive")
        (tmp_path / "lib").rename(tmp_path / "unreachable")
    else:
        git(root, "submodule", "deinit", "-q", "-f", "--all")
        subprocess.run(["rm", "-r", nested.common_dir / "modules"], check=True)
    configured = (nested.common_dir / "config").read_bytes()

    FastWorktrees(nested).materialise(head(root), tree)

    assert (tree / "vendor/lib/lib.py").read_text() == "lib"
    assert (tree / "vendor/lib/in side/inner.py").read_text() == "inner"
    assert head(tree / "vendor/lib") == git(tree, "rev-parse", "HEAD:vendor/lib")
    assert git(tree, "status", "--porcelain") == ""
    assert (nested.common_dir / "config").read_bytes() == configured

    FastWorktrees(nested).discard(tree)
    assert administrative(nested) == []
    assert not list(nested.common_dir.glob("modules/*/*/worktrees/*"))
    FastWorktrees(nested).materialise(head(root), tree)
    assert (tree / "vendor/lib/in side/inner.py").read_text() == "inner"


def test_a_submodule_that_cannot_be_fetched_leaves_no_worktree(
    nested: Repository, tree: Path, tmp_path: Path
) -> None:
    git(nested.root, "submodule", "deinit", "-q", "-f", "--all")
    subprocess.run(
        ["rm", "-r", nested.common_dir / "modules", tmp_path / "lib"], check=True
    )
    with pytest.raises(Refused, match="submodule"):
        FastWorktrees(nested).materialise(head(nested.root), tree)
    assert not tree.exists()


def test_changes_in_submodules_are_found_and_undone(
    nested: Repository, tree: Path
) -> None:
    with_submodule = head(nested.root)
    FastWorktrees(nested).materialise(with_submodule, tree)
    assert FastWorktrees(nested).modified(tree, with_submodule).files == ()
    inner = tree / "vendor/lib/in side"
    git(inner, "switch", "-qc", "mine")
    commit_of_the_run = commit_files(inner, {"inner.py": "changed"})
    (tree / "vendor/lib/lib.py").write_text("changed too")
    assert FastWorktrees(nested).modified(tree, with_submodule).files == (
        "vendor/lib",
    )
    FastWorktrees(nested).reset(tree, with_submodule)
    assert (inner / "inner.py").read_text() == "inner"
    assert (tree / "vendor/lib/lib.py").read_text() == "lib"
    assert FastWorktrees(nested).modified(tree, with_submodule).files == ()
    assert git(inner, "rev-parse", "mine") == commit_of_the_run

    git(nested.root, "rm", "-qf", "vendor/lib")
    git(nested.root, "commit", "-qm", "without")
    FastWorktrees(nested).materialise(head(nested.root), tree)
    assert not (tree / "vendor/lib").exists()
    FastWorktrees(nested).materialise(with_submodule, tree)
    assert (inner / "inner.py").read_text() == "inner"
