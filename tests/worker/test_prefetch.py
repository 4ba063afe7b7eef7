"""Worktrees are ready before they are needed, from finished runs where that can be, and not more than are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitorch.actions.ready import ready
from gitorch.model.run.announcement import Noticed
from gitorch.runs.site import Site
from gitorch.worker.prefetch import Prefetch
from tests.conftest import git, write


@pytest.fixture
def site(project: Path) -> Site:
    """Ten runs wait, the first of which has its worktree."""
    git(project, "config", "gitorch.worktreesAhead", "1")
    write(
        project,
        "experiments/a.yaml",
        "gitorch: {matrix: {n: 'range(10)'}}\ntasks: [{id: t, command: echo 1}]\n",
    )
    ready(Site.at(project), [project / "experiments"], environment={"PATH": "/usr/bin:/bin"})
    git(project, "config", "gitorch.worktreesAhead", "6")
    return Site.at(project)


def waiting(site: Site) -> list[str]:
    return [run.id for run in site.queue.runs()]


def inode(site: Site, run: str) -> int | None:
    """That of the run's worktree, by which it is told from a new one."""
    tree = site.directory(run).tree
    return tree.stat().st_ino if tree.exists() else None


def looked(site: Site, *finished: str, enough: int) -> list[Noticed]:
    """What the thread has to say after these have finished and it has looked what is next."""
    heard: list[Noticed] = []
    with Prefetch(site, None, heard.append, enough=enough) as ahead:
        for run in finished:
            ahead.clear_away(run, keep_files=False)
        ahead.prepare_next_runs()
    return heard


def test_so_many_are_made_anew(site: Site) -> None:
    assert looked(site, enough=4) == []
    assert [inode(site, run) is not None for run in waiting(site)] == [True] * 4 + [False] * 6


def test_never_more_than_the_window(site: Site) -> None:
    looked(site, enough=20)
    assert [inode(site, run) is not None for run in waiting(site)] == [True] * 6 + [False] * 4


def test_they_come_from_finished_runs_even_beyond_that(site: Site) -> None:
    looked(site, enough=4)
    gone, kept = (
        waiting(site)[2:4],
        waiting(site)[:2],
    )  # what git itself has made, the first two, is not handed on
    left = [inode(site, run) for run in gone]
    site.queue.remove(gone)
    assert looked(site, *gone, enough=2) == []
    next_ones = waiting(site)[2:]
    assert [inode(site, run) for run in next_ones] == left + [None] * 4
    assert None not in [inode(site, run) for run in kept]
    assert not any(site.directory(run).path.exists() for run in gone)


def test_what_a_run_has_changed_is_not_handed_on(site: Site) -> None:
    looked(site, enough=4)
    _, _, gone, *others = waiting(site)
    left = inode(site, gone)
    (site.directory(gone).tree / "README.md").write_text("Mine.\n")
    site.queue.remove([gone])
    assert looked(site, gone, enough=4) == []
    assert inode(site, others[1]) not in (None, left), "made anew, since only three were ready"
    assert (site.directory(others[1]).tree / "README.md").read_text() == "A project.\n"
