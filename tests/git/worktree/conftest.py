"""The two implementations of the worktree contract."""

from __future__ import annotations

import pytest

from gitorch.git.repository import Repository
from gitorch.git.worktree.contract import Worktrees
from gitorch.git.worktree.worktrees import FastWorktrees
from tests.git.worktree.plain_worktrees import PlainWorktrees


@pytest.fixture(params=[FastWorktrees, PlainWorktrees], ids=["fast", "plain"])
def worktrees(request: pytest.FixtureRequest, repo: Repository) -> Worktrees:
    """Either implementation: what a test asserts of it belongs to the contract."""
    implementation: type[FastWorktrees | PlainWorktrees] = request.param
    return implementation(repo)


@pytest.fixture
def fast(repo: Repository) -> FastWorktrees:
    """The implementation that gitorch uses, for tests of its crash safety and its shortcuts."""
    return FastWorktrees(repo)
