"""Snapshots: everything is in them, or the reason why not is given; nothing is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gitorch.errors import Refused
from gitorch.git.command import call_git_items
from gitorch.git.pins import is_kept
from gitorch.git.repository import Repository
from gitorch.git.snapshot import ignored_by_git, snapshot
from gitorch.model.run.pin import Origin
from tests.conftest import commit_files, git

ROOMY = 1 << 30


@pytest.fixture
def repo(project: Path) -> Repository:
    commit_files(
        project,
        {
            "code.py": "1",
            "sub/other.py": "2",
            "gone.py": "3",
            ".gitignore": "ignored\n",
        },
    )
    return Repository.discover(project)


def state(repo: Repository) -> tuple[object, ...]:
    """Return everything that a snapshot must leave alone."""
    files = sorted(
        (path, path.read_bytes())
        for path in repo.root.rglob("*")
        if path.is_file() and ".git" not in path.parts
    )
    references = git(
        repo.root,
        "for-each-ref",
        "--format=%(refname) %(objectname)",
        "refs/heads",
        "refs/stash",
        "HEAD",
    )
    return (
        (repo.git_dir / "index").read_bytes(),
        files,
        references,
        git(repo.root, "reflog", "HEAD"),
    )


def test_the_snapshot_of_a_clean_tree_is_head(repo: Repository) -> None:
    (repo.root / "ignored").write_text("x")
    pin = snapshot(repo, size_limit=ROOMY)
    assert (pin.commit, pin.origin) == (
        git(repo.root, "rev-parse", "HEAD"),
        Origin.HEAD,
    )
    assert git(repo.root, "for-each-ref", "refs/gitorch") == ""


def test_a_snapshot_has_everything_and_touches_nothing(repo: Repository) -> None:
    (repo.root / "code.py").write_text("changed")
    (repo.root / "gone.py").unlink()
    (repo.root / "sub" / "new\nfile").write_text("new")
    (repo.root / "latin\udce9").write_text("odd")
    (repo.root / "script").write_text("#!/bin/sh\n")
    (repo.root / "script").chmod(0o755)
    (repo.root / "link").symlink_to("code.py")
    (repo.root / "ignored").write_text("x")
    (repo.root / "sub" / "other.py").write_text("staged")
    git(repo.root, "add", "sub/other.py")
    (repo.root / "sub" / "other.py").write_text("and changed again")
    before = state(repo)
    pin = snapshot(Repository.discover(repo.root / "sub"), size_limit=ROOMY)
    assert state(repo) == before
    assert pin.origin is Origin.SNAPSHOT
    entries = call_git_items(repo.root, "ls-tree", "-r", "-z", pin.commit)
    assert [(entry[:6], entry.split("\t")[1]) for entry in entries] == [
        ("100644", ".gitignore"),
        ("100644", "README.md"),
        ("100644", "code.py"),
        ("100644", "latin\udce9"),
        ("120000", "link"),
        ("100755", "script"),
        ("100644", "sub/new\nfile"),
        ("100644", "sub/other.py"),
    ]
    assert (
        git(repo.root, "show", f"{pin.commit}:sub/other.py") == "and changed again"
    )
    assert git(repo.root, "rev-parse", f"{pin.commit}^") == git(
        repo.root, "rev-parse", "HEAD"
    )
    assert git(repo.root, "rev-parse", f"{pin.commit}^{{tree}}") == pin.tree
    assert snapshot(repo, size_limit=ROOMY).tree == pin.tree


def test_a_snapshot_survives_a_prune(repo: Repository) -> None:
    (repo.root / "code.py").write_text("changed")
    pin = snapshot(repo, size_limit=ROOMY)
    assert is_kept(repo, pin.commit)
    git(repo.root, "gc", "-q", "--prune=now")
    assert git(repo.root, "show", f"{pin.commit}:code.py") == "changed"
    assert git(repo.root, "fsck", "--full", "--strict") == ""
    assert not list((repo.common_dir / "objects" / "pack").glob("*.keep"))
    assert not list((repo.store_dir / "snapshots").iterdir())


def test_a_snapshot_does_not_depend_on_loose_objects(repo: Repository) -> None:
    (repo.root / "code.py").write_text("changed")
    git(repo.root, "stash", "-q")
    git(repo.root, "stash", "apply", "-q")
    git(repo.root, "reset", "-q")
    pin = snapshot(repo, size_limit=ROOMY)
    for path in (repo.common_dir / "objects").glob("??"):
        shutil.rmtree(path)  # every loose object: only what is packed remains
    assert git(repo.root, "show", f"{pin.commit}:code.py") == "changed"


def test_snapshots_beside_a_running_gc_lose_nothing(repo: Repository) -> None:
    command = [
        "sh",
        "-c",
        "while [ ! -e stop ]; do git gc -q --prune=now; git prune --expire=now; done",
    ]
    process = subprocess.Popen(command, cwd=repo.common_dir)
    pins = []
    try:
        for number in range(15):
            (repo.root / "code.py").write_text(f"{number}")
            pins.append(snapshot(repo, size_limit=ROOMY))
    finally:
        (repo.common_dir / "stop").touch()
        process.wait()
    git(repo.root, "gc", "-q", "--prune=now")
    assert [git(repo.root, "show", f"{pin.commit}:code.py") for pin in pins] == [
        str(number) for number in range(15)
    ]
    assert git(repo.root, "fsck", "--full", "--strict") == ""


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_changes_to_files_with_hiding_flags_are_included(
    repo: Repository, flag: str
) -> None:
    git(repo.root, "update-index", flag, "code.py")
    (repo.root / "code.py").write_text("overlooked")
    before = state(repo)
    assert (
        git(repo.root, "show", f"{snapshot(repo, size_limit=ROOMY).commit}:code.py")
        == "overlooked"
    )
    assert state(repo) == before


def test_a_change_in_the_same_tick_as_the_index_is_included(
    repo: Repository,
) -> None:
    """Include a file that has the size and the time of the added one.

    Only the index's own time makes git look again.
    """
    git(repo.root, "config", "core.trustCtime", "false")
    code = repo.root / "code.py"
    tick = 1_500_000_000
    code.write_text("added")
    os.utime(code, (tick, tick))
    git(repo.root, "add", "code.py")
    code.write_text("later")
    for path in (code, repo.git_dir / "index"):
        os.utime(path, (tick, tick))
    assert (
        git(repo.root, "show", f"{snapshot(repo, size_limit=ROOMY).commit}:code.py")
        == "later"
    )


def test_files_outside_a_sparse_checkout_are_included(repo: Repository) -> None:
    git(repo.root, "sparse-checkout", "set", "elsewhere")
    assert not (repo.root / "sub").exists()
    (repo.root / "code.py").write_text("changed")
    pin = snapshot(repo, size_limit=ROOMY)
    assert git(repo.root, "show", f"{pin.commit}:sub/other.py") == "2"
    assert git(repo.root, "show", f"{pin.commit}:code.py") == "changed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("core.splitIndex", "true"),
        ("core.untrackedCache", "true"),
        ("index.version", "4"),
    ],
)
def test_every_kind_of_index_is_understood(
    repo: Repository, name: str, value: str
) -> None:
    git(repo.root, "config", name, value)
    git(
        repo.root,
        "update-index",
        "--split-index" if "split" in name else "--force-write-index",
    )
    (repo.root / "code.py").write_text("changed")
    before = state(repo)
    assert (
        git(repo.root, "show", f"{snapshot(repo, size_limit=ROOMY).commit}:code.py")
        == "changed"
    )
    assert state(repo) == before


def test_a_linked_worktree_has_snapshots_of_its_own(
    repo: Repository, tmp_path: Path
) -> None:
    git(
        repo.root,
        "worktree",
        "add",
        "-q",
        "--detach",
        str(tmp_path / "linked: one"),
    )
    linked = Repository.discover(tmp_path / "linked: one")
    (linked.root / "code.py").write_text("linked")
    pin = snapshot(linked, size_limit=ROOMY)
    assert git(repo.root, "show", f"{pin.commit}:code.py") == "linked"


def test_the_path_of_the_repository_may_have_a_colon(tmp_path: Path) -> None:
    root = tmp_path / 'a:b "c"'
    root.mkdir()
    git(root, "init", "-q")
    commit_files(root, {"code.py": "1"})
    (root / "code.py").write_text("2")
    assert (
        git(
            root,
            "show",
            f"{snapshot(Repository.discover(root), size_limit=ROOMY).commit}:code.py",
        )
        == "2"
    )


def test_no_user_name_is_needed(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    (repo.root / "code.py").write_text("changed")
    assert (
        snapshot(Repository.discover(repo.root), size_limit=ROOMY).origin
        is Origin.SNAPSHOT
    )


def test_the_tree_of_an_earlier_commit_is_kept(repo: Repository) -> None:
    (repo.root / "code.py").write_text("later")
    commit_files(repo.root, {"code.py": "later"})
    (repo.root / "code.py").write_text("1")
    pin = snapshot(repo, size_limit=ROOMY)
    git(repo.root, "gc", "-q", "--prune=now")
    assert pin.tree == git(repo.root, "rev-parse", "HEAD~1^{tree}")
    assert git(repo.root, "fsck", "--full", "--strict") == ""


# Refusals: nothing is left out of a snapshot silently


def assert_refused(repo: Repository, match: str, size_limit: int = ROOMY) -> None:
    before = git(repo.root, "for-each-ref")
    with pytest.raises(Refused, match=match):
        snapshot(repo, size_limit=size_limit)
    assert git(repo.root, "for-each-ref") == before


def test_a_nested_repository_is_refused(repo: Repository) -> None:
    git(repo.root, "init", "-q", "nested")
    assert_refused(repo, "cannot hold nested/: a git repository of its own")
    commit_files(repo.root / "nested", {"a": "a"})
    assert_refused(repo, "cannot hold nested/: a git repository of its own")


def test_what_is_ignored_is_named_also_in_untracked_directories(
    repo: Repository,
) -> None:
    commit_files(repo.root, {".gitignore": "out/\n*.tmp\n"})
    for path in (
        "new/out/a",
        "new/code.py",
        "new/b.tmp",
        "only/out/c",
        "d/e/f.tmp",
    ):
        (repo.root / path).parent.mkdir(parents=True, exist_ok=True)
        (repo.root / path).touch()
    (repo.root / "empty/out").mkdir(parents=True)
    (repo.root / "linked/out").mkdir(parents=True)
    (repo.root / "linked/out/link").symlink_to(repo.root / "new")
    named = ["d/", "linked/", "new/b.tmp", "new/out/", "only/"]
    assert sorted(ignored_by_git(repo)) == named


def test_changes_inside_a_submodule_are_refused(
    repo: Repository, tmp_path: Path
) -> None:
    git(tmp_path, "init", "-q", "library")
    commit_files(tmp_path / "library", {"lib.py": "1"})
    git(repo.root, "submodule", "add", "-q", str(tmp_path / "library"), "the lib")
    git(repo.root, "commit", "-qm", "with a submodule")
    assert snapshot(repo, size_limit=ROOMY).origin is Origin.HEAD
    (repo.root / "the lib" / "lib.py").write_text("2")
    assert_refused(repo, "changes inside the submodule the lib")
    git(repo.root / "the lib", "checkout", "-q", "lib.py")
    (repo.root / "the lib" / "new.py").write_text("4")
    assert_refused(repo, "untracked files inside the submodule the lib")
    (repo.root / "the lib" / "new.py").unlink()
    moved = commit_files(repo.root / "the lib", {"lib.py": "3"})
    assert (
        git(
            repo.root,
            "rev-parse",
            f"{snapshot(repo, size_limit=ROOMY).commit}:the lib",
        )
        == moved
    )


def test_too_many_bytes_of_untracked_files_are_refused(repo: Repository) -> None:
    for name, size in (("data.bin", 3 << 20), ("more.bin", 1 << 20)):
        (repo.root / name).write_bytes(b"x" * size)
    assert_refused(
        repo,
        r"have 4\.0 MiB, and a snapshot takes 2\.0; the largest: data\.bin, more\.bin",
        2 << 20,
    )
    (repo.root / "code.py").write_bytes(b"x" * (3 << 20))
    (repo.root / "data.bin").unlink()
    assert (
        snapshot(repo, size_limit=2 << 20).origin is Origin.SNAPSHOT
    )  # tracked files may be large


def test_a_merge_and_its_conflicts_are_refused(repo: Repository) -> None:
    git(repo.root, "stash", "-q", "--include-untracked", check=False)
    (repo.root / "code.py").write_text("stashed")
    git(repo.root, "stash", "-q")
    commit_files(repo.root, {"code.py": "other"})
    git(repo.root, "stash", "pop", "-q", check=False)
    assert_refused(repo, r"code\.py is in conflict")
    git(repo.root, "checkout", "-qf", "HEAD")
    git(repo.root, "checkout", "-qb", "side", "HEAD~1")
    commit_files(repo.root, {"code.py": "side"})
    git(repo.root, "merge", "main", check=False)
    assert_refused(repo, "a merge is in progress")


def test_a_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "new")
    assert_refused(Repository.discover(tmp_path / "new"), "no commit yet")
