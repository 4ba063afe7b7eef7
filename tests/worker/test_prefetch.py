"""Worktrees are prefetched, from finished runs if possible, and not more than are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitorch.actions.ready import ready
from gitorch.model.run.announcement import Noticed
from gitorch.storage.site import Site
from gitorch.worker.prefetch import Prefetch
from tests.conftest import git, write


@pytest.fixture
def site(project: Path) -> Site:
    """Ten runs wait; the first has a worktree."""
    git(project, "config", "gitorch.worktreesAhead", "1")
    write(
        project,
        "experiments/a.yaml",
        "gitorch: {matrix: {n: 'range(10)'}}\ntasks: [{id: t, command: echo 1}]\n",
    )
    ready(
        Site.at(project),
        [project / "experiments"],
        environment={"PATH": "/usr/bin:/bin"},
    )
    git(project, "config", "gitorch.worktreesAhead", "6")
    return Site.at(project)


def waiting(site: Site) -> list[str]:
    return [run.id for run in site.queue.runs()]


def inode(site: Site, run: str) -> int | None:
    """Return the inode of the run's worktree, which distinguishes it from a new one."""
    tree = site.directory(run).tree
    return tree.stat().st_ino if tree.exists() else None


def prefetch(site: Site, *finished: str, enough: int) -> list[Noticed]:
    """Clear away finished runs and prepare the next ones. Return what was reported."""
    reported: list[Noticed] = []
    with Prefetch(site, None, reported.append, enough=enough) as thread:
        for run_id in finished:
            thread.clear_away(run_id, keep_files=False)
        thread.prepare_next_runs()
    return reported


def test_new_worktrees_are_created_until_there_are_enough(site: Site) -> None:
    assert prefetch(site, enough=4) == []
    assert [inode(site, run) is not None for run in waiting(site)] == [True] * 4 + [
        False
    ] * 6


def test_no_worktree_is_created_beyond_the_window(site: Site) -> None:
    prefetch(site, enough=20)
    assert [inode(site, run) is not None for run in waiting(site)] == [True] * 6 + [
        False
    ] * 4


def test_finished_runs_hand_on_worktrees_beyond_that(site: Site) -> None:
    prefetch(site, enough=4)
    # The first two worktrees were created by git itself, and are not handed on.
    kept = waiting(site)[:2]
    gone = waiting(site)[2:4]
    handed_on = [inode(site, run) for run in gone]
    site.queue.remove(gone)
    assert prefetch(site, *gone, enough=2) == []
    next_ones = waiting(site)[2:]
    assert [inode(site, run) for run in next_ones] == handed_on + [None] * 4
    assert None not in [inode(site, run) for run in kept]
    assert not any(site.directory(run).path.exists() for run in gone)


def test_a_changed_worktree_is_not_handed_on(site: Site) -> None:
    prefetch(site, enough=4)
    _, _, gone, *others = waiting(site)
    before = inode(site, gone)
    (site.directory(gone).tree / "README.md").write_text("Mine.\n")
    site.queue.remove([gone])
    assert prefetch(site, gone, enough=4) == []
    assert inode(site, others[1]) not in (None, before), (
        "created, since only three were ready"
    )
    assert (
        site.directory(others[1]).tree / "README.md"
    ).read_text() == "A project.\n"
