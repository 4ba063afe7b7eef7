from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gitorch.errors import NotFound, Refused
from gitorch.git.command import GitFailed
from gitorch.git.repository import Repository
from gitorch.git.worktree.admin import admin_directory
from gitorch.git.worktree.worktrees import FastWorktrees
from tests.conftest import commit_files, git
from tests.git.conftest import ODD, administrative, contents, head

# Making


def test_a_worktree_is_exactly_its_commit(repo: Repository, tree: Path) -> None:
    pinned = commit_files(repo.root, ODD)
    (repo.root / "link").symlink_to("sp ace")
    (repo.root / "program").write_text("#!/bin/sh\n")
    (repo.root / "program").chmod(0o755)
    git(repo.root, "add", "-A")
    git(repo.root, "commit", "-qm", "link and program")
    pinned, expected = head(repo.root), contents(repo.root)
    commit_files(repo.root, {"README.md": "later"})

    FastWorktrees(repo).materialise(pinned, tree)

    assert contents(tree) == expected
    assert os.access(tree / "program", os.X_OK)
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "rev-parse", "HEAD", "--abbrev-ref", "HEAD").split("\n") == [pinned, "HEAD"]
    assert FastWorktrees(repo).is_present(tree)
    listed = git(repo.root, "worktree", "list", "--porcelain")
    assert f"worktree {tree}\nHEAD {pinned}\ndetached\nlocked gitorch" in listed


def test_making_it_again_leaves_it_as_it_is(repo: Repository, tree: Path) -> None:
    FastWorktrees(repo).materialise(head(repo.root), tree)
    (tree / "README.md").write_text("changed by a run")
    (tree / "checkpoint").write_text("of a run")
    FastWorktrees(repo).materialise(head(repo.root), tree)
    assert contents(tree) == {"README.md": b"changed by a run", "checkpoint": b"of a run"}


def test_hooks_and_sparse_checkouts_do_not_reach_it(repo: Repository, tree: Path) -> None:
    pinned = commit_files(repo.root, {"in/a": "1", "out/b": "2"})
    hook = repo.common_dir / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked\nexit 3\n")
    hook.chmod(0o755)
    git(repo.root, "sparse-checkout", "set", "in")
    assert not (repo.root / "out").exists()

    FastWorktrees(Repository.discover(repo.root)).materialise(pinned, tree)

    assert set(contents(tree)) == {"README.md", "in/a", "out/b"}
    git(tree, "reset", "-q", "--hard")  # a task may do so, and must not make it sparse
    assert set(contents(tree)) == {"README.md", "in/a", "out/b"}
    assert not (repo.root / "out").exists()


def test_filters_and_line_endings_are_applied(repo: Repository, tree: Path) -> None:
    git(repo.root, "config", "filter.shout.smudge", "tr a-z A-Z")
    git(repo.root, "config", "filter.shout.clean", "tr A-Z a-z")
    pinned = commit_files(
        repo.root,
        {
            ".gitattributes": "*.loud filter=shout\n*.bat eol=crlf\n",
            "a.loud": "hush\n",
            "b.bat": "x\ny\n",
        },
    )
    FastWorktrees(repo).materialise(pinned, tree)
    assert (tree / "a.loud").read_bytes() == b"HUSH\n"
    assert (tree / "b.bat").read_bytes() == b"x\r\ny\r\n"
    assert git(tree, "status", "--porcelain") == ""


def test_large_files_are_the_real_ones(repo: Repository, tree: Path) -> None:
    git(repo.root, "lfs", "install", "--local")
    git(repo.root, "lfs", "track", "*.bin")
    pinned = commit_files(repo.root, {"model.bin": bytes(range(256)) * 100})
    assert git(repo.root, "cat-file", "-p", "HEAD:model.bin").startswith("version https://git-lfs")
    FastWorktrees(repo).materialise(pinned, tree)
    assert (tree / "model.bin").read_bytes() == bytes(range(256)) * 100


def test_a_commit_that_is_not_there_is_refused_and_nothing_stays(
    repo: Repository, tree: Path
) -> None:
    with pytest.raises(GitFailed):
        FastWorktrees(repo).materialise("1" * 40, tree)
    assert not tree.exists()
    assert administrative(repo) == []


def test_what_gitorch_did_not_make_is_never_replaced(
    repo: Repository, tree: Path, tmp_path: Path
) -> None:
    pinned = head(repo.root)
    tree.mkdir(parents=True)
    (tree / "thesis.tex").write_text("years of work")
    git(repo.root, "worktree", "add", "-q", "--detach", str(tmp_path / "own"))
    (tmp_path / "alias").symlink_to(tree)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/.git").write_text(
        "gitdir: /of/another/repository/worktrees/gitorch-0123456789ab\n"
    )
    for taken in (tree, tmp_path / "own", tmp_path / "alias", tmp_path / "foreign", repo.root):
        with pytest.raises(Refused, match="is in the way"):
            FastWorktrees(repo).materialise(pinned, taken)
        with pytest.raises(Refused, match="is in the way"):
            FastWorktrees(repo).discard(taken)
    assert contents(tree) == {"thesis.tex": b"years of work"}


# Links


def test_links_lead_to_the_main_worktree(repo: Repository, tree: Path) -> None:
    pinned = commit_files(repo.root, {".gitignore": "data\nraw/\n", "sub/code.py": ""})
    (repo.root / "data").mkdir()
    (repo.root / "data/x.csv").write_text("1,2")
    (repo.root / "sub/raw").mkdir()
    FastWorktrees(repo).materialise(pinned, tree, link=["data", "sub/raw"])
    assert (tree / "data/x.csv").read_text() == "1,2"
    assert (tree / "sub/raw").readlink() == repo.root / "sub/raw"
    (tree / "data").unlink()
    FastWorktrees(repo).materialise(pinned, tree, link=["data", "sub/raw"])
    assert (tree / "data").is_symlink()
    FastWorktrees(repo).discard(tree)
    FastWorktrees(repo).empty_trash()
    assert (repo.root / "data/x.csv").read_text() == "1,2"


def test_links_that_cannot_be_made_leave_no_worktree(repo: Repository, tree: Path) -> None:
    outside = repo.root.parent / "outside"
    outside.mkdir()
    (repo.root / "away").symlink_to(outside)
    pinned = commit_files(repo.root, {"tracked": "x"})
    (repo.root / "away/data").mkdir()
    for name, error in {"nothing": NotFound, "tracked": Refused, "away/data": Refused}.items():
        with pytest.raises(error, match="link: "):
            FastWorktrees(repo).materialise(pinned, tree, link=[name])
        assert not tree.exists()
        assert administrative(repo) == []


# Removing


def test_discarding_is_whole_and_deletes_later(repo: Repository, tree: Path) -> None:
    FastWorktrees(repo).materialise(head(repo.root), tree)
    (tree / "shut").mkdir()
    (tree / "shut/file").write_text("x")
    (tree / "shut").chmod(0o500)
    tree.chmod(0o500)
    FastWorktrees(repo).discard(tree)
    assert not tree.exists()
    assert not FastWorktrees(repo).is_present(tree)
    assert administrative(repo) == []
    FastWorktrees(repo).discard(tree)  # nothing there: nothing to do
    FastWorktrees(repo).empty_trash()
    assert not list((repo.workspace / "trash").iterdir())


def test_files_deleted_by_hand_are_forgotten_and_others_are_not(
    repo: Repository, tree: Path, tmp_path: Path
) -> None:
    other = tree.with_name("other")
    for path in (tree, other):
        FastWorktrees(repo).materialise(head(repo.root), path)
    git(repo.root, "worktree", "add", "-q", "--lock", "--reason", "gitorch", str(tmp_path / "own"))
    (repo.workspace / "trash").mkdir(exist_ok=True)
    subprocess.run(["rm", "-r", tree], check=True)
    (tmp_path / "own").rename(tmp_path / "unmounted")
    FastWorktrees(repo).empty_trash()
    assert administrative(repo) == sorted([admin_directory(repo, other).name, "own"])
    assert git(other, "status", "--porcelain") == ""


def test_a_workspace_that_is_not_mounted_loses_nothing(repo: Repository, tree: Path) -> None:
    FastWorktrees(repo).materialise(head(repo.root), tree)
    away = repo.workspace.rename(repo.workspace.with_name("away"))
    repo.workspace.mkdir()  # the mount point
    git(repo.root, "worktree", "prune")
    FastWorktrees(repo).empty_trash()
    repo.workspace.rmdir()
    away.rename(repo.workspace)
    assert FastWorktrees(repo).is_present(tree)
    assert git(tree, "status", "--porcelain") == ""


def test_files_that_a_power_cut_may_have_emptied_are_written_again(
    repo: Repository, tree: Path
) -> None:
    pinned = commit_files(repo.root, {"code.py": "print(1)\n", "deep/more.py": "print(2)\n"})
    FastWorktrees(repo).materialise(pinned, tree)
    before = contents(tree)
    (tree / "left").write_text("by a run")
    admin = admin_directory(repo, tree)
    mark = json.loads((admin / "gitorch.json").read_text())
    (admin / "gitorch.json").write_text(json.dumps({**mark, "boot": "another"}))
    for name in ("HEAD", "commondir", "gitdir", "locked"):
        (admin / name).write_text("")
    for path, state in ((path, path.stat()) for path in (tree / "code.py", tree / "deep/more.py")):
        path.write_bytes(bytes(state.st_size))
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))

    FastWorktrees(repo).materialise(pinned, tree)
    assert contents(tree) != before, "it may be the work of somebody who checked the run out"
    assert not is_of_this_boot(repo, tree)
    FastWorktrees(repo).reset(tree, pinned)
    assert is_of_this_boot(repo, tree)
    assert contents(tree) == {**before, "left": b"by a run"}
    assert git(tree, "status", "--porcelain") == "?? left"


def is_of_this_boot(repo: Repository, tree: Path) -> bool:
    state = FastWorktrees(repo).state(tree)
    assert state
    return state.is_of_this_boot


@pytest.mark.parametrize(
    "emptied", [("mark", "locked"), ("mark", "locked", ".git"), (".git", "all of it")]
)
def test_one_that_a_power_cut_left_half_made_is_made_anew(
    repo: Repository, emptied: tuple[str, ...]
) -> None:
    tree = repo.workspace / "000000000000/tree"
    FastWorktrees(repo).materialise(head(repo.root), tree)
    before = contents(tree)
    admin = admin_directory(repo, tree)
    places = {"mark": admin / "gitorch.json", "locked": admin / "locked", ".git": tree / ".git"}
    for name in places.keys() & set(emptied):
        places[name].write_text("")
    if "all of it" in emptied:
        shutil.rmtree(admin)
    FastWorktrees(repo).materialise(head(repo.root), tree)
    assert contents(tree) == before


def test_prune_and_gc_keep_what_only_a_worktree_refers_to(repo: Repository, tree: Path) -> None:
    first = head(repo.root)
    pinned = commit_files(repo.root, {"only": "here"})
    FastWorktrees(repo).materialise(pinned, tree)
    git(repo.root, "reset", "-q", "--hard", first)
    git(repo.root, "reflog", "expire", "--expire=now", "--all")
    git(repo.root, "gc", "-q", "--prune=now")
    git(repo.root, "worktree", "prune", "--expire=now")
    assert git(tree, "show", "HEAD:only") == "here"
