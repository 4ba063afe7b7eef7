"""Pins: the commit of a revision, kept alive, and the dirt beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitorch.errors import NotFound
from gitorch.git.pins import DirtyState, dirty_state, is_kept, keep, kept, resolve
from gitorch.git.repository import Repository
from gitorch.model.run.pin import Origin
from tests.conftest import commit_files, git


def test_head_and_named_revisions_are_resolved(project: Path) -> None:
    repo = Repository.discover(project)
    first = git(project, "rev-parse", "HEAD")
    second = commit_files(project, {"a": "a"}, "second one")
    git(project, "tag", "-am", "annotated", "v1", first)
    assert resolve(repo).commit == second
    assert resolve(repo).tree == git(project, "rev-parse", "HEAD^{tree}")
    assert resolve(repo).origin is Origin.HEAD
    for name in ("HEAD~1", "v1", first[:8], ":/first", "main@{1}"):
        pin = resolve(repo, name)
        assert (pin.commit, pin.origin) == (first, Origin.REVISION)
    assert resolve(repo, "HEAD", Origin.UNSAFE).origin is Origin.UNSAFE


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "",
        "--all",
        "^HEAD",
        "HEAD..main",
        "HEAD^{tree}",
        "f" * 40,
        "a b\nc",
    ],
)
def test_a_revision_that_is_not_a_commit_is_named(project: Path, name: str) -> None:
    with pytest.raises(NotFound, match="no commit is called"):
        resolve(Repository.discover(project), name)


def test_a_kept_commit_outlives_its_branch(project: Path) -> None:
    repo = Repository.discover(project)
    git(project, "checkout", "-qb", "side")
    lost = commit_files(project, {"a": "a"})
    git(project, "checkout", "-q", "main")
    assert not is_kept(repo, lost)
    keep(repo, lost)
    keep(repo, lost)
    git(project, "branch", "-qD", "side")
    git(project, "reflog", "expire", "--expire=now", "--all")
    git(project, "gc", "-q", "--prune=now")
    assert kept(Repository.discover(project)) == [lost]
    assert git(project, "show", f"{lost}:a") == "a"
    assert is_kept(repo, lost)  # although its reference is packed by now


def test_a_clean_tree_has_no_dirt_and_its_index_is_not_written(
    project: Path,
) -> None:
    index = project / ".git" / "index"
    (project / "README.md").touch()
    before = index.read_bytes()
    assert dirty_state(Repository.discover(project)) == DirtyState((), ())
    assert index.read_bytes() == before


def test_every_kind_of_dirt_is_named_in_full(project: Path) -> None:
    names = [
        "changed",
        "staged",
        "deleted",
        "moved",
        "odd\nname",
        "latin\udce9",
        "with space",
    ]
    commit_files(
        project, {**dict.fromkeys(names, "before"), ".gitignore": "ignored\n"}
    )
    for name in ("changed", "odd\nname", "latin\udce9", "with space"):
        (project / name).write_text("after!")
    (project / "staged").write_text("after!")
    git(project, "add", "staged")
    (project / "deleted").unlink()
    git(project, "mv", "moved", "elsewhere")
    (project / "new dir").mkdir()
    (project / "new dir" / "new\tfile").write_text("x")
    (project / "ignored").write_text("x")
    assert dirty_state(Repository.discover(project)) == DirtyState(
        modified=tuple(sorted([*names, "elsewhere"])),
        untracked=("new dir/new\tfile",),
    )


def test_the_users_settings_for_status_hide_no_dirt(project: Path) -> None:
    git(project, "config", "status.showUntrackedFiles", "no")
    git(project, "config", "status.relativePaths", "true")
    (project / "sub").mkdir()
    (project / "sub" / "new").write_text("x")
    assert dirty_state(Repository.discover(project / "sub")).untracked == (
        "sub/new",
    )


def test_a_conflict_is_a_modification(project: Path) -> None:
    git(project, "checkout", "-qb", "side")
    commit_files(project, {"f f": "side"})
    git(project, "checkout", "-q", "main")
    commit_files(project, {"f f": "main"})
    git(project, "merge", "side", check=False)
    assert dirty_state(Repository.discover(project)).modified == ("f f",)


def test_a_submodule_is_modified_or_has_untracked_files(
    project: Path, tmp_path: Path
) -> None:
    git(tmp_path, "init", "-q", "library")
    commit_files(tmp_path / "library", {"code.py": "1"})
    git(project, "submodule", "add", "-q", str(tmp_path / "library"), "lib")
    git(project, "commit", "-qm", "with a submodule")
    git(project, "config", "submodule.lib.ignore", "all")
    repo = Repository.discover(project)
    assert dirty_state(repo) == DirtyState((), ())
    (project / "lib" / "scratch").write_text("x")
    assert dirty_state(repo) == DirtyState((), ("lib",))
    (project / "lib" / "code.py").write_text("2")
    assert dirty_state(repo) == DirtyState(("lib",), ())
    commit_files(project / "lib", {"code.py": "3"})
    assert dirty_state(repo) == DirtyState(("lib",), ())
