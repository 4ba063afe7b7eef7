"""The contract of worktrees, asserted of the fast implementation and of the plain one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gitorch.errors import NotFound, Refused
from gitorch.git.command import GitFailed
from gitorch.git.repository import Repository
from gitorch.git.worktree.contract import UNMODIFIED, Worktrees, WorktreeState
from tests.conftest import commit_files, git
from tests.git.conftest import ODD, administrative, contents, head
from tests.git.worktree.deeds import CHANGES, HARMLESS_OR_NOT, Deed

FILES = {
    "code.py": "one\ntwo\n",
    "pack/age.py": "x = 1\n",
    "pack/data": b"\0\1\2",
    "run.sh": "true\n",
    **ODD,
}


@pytest.fixture
def made(repo: Repository, worktrees: Worktrees, tree: Path) -> str:
    """Make a worktree at `tree` and return its commit."""
    pinned = commit_files(repo.root, FILES)
    worktrees.materialise(pinned, tree)
    return pinned


# Making


def test_a_worktree_is_exactly_its_commit(
    repo: Repository, worktrees: Worktrees, tree: Path
) -> None:
    commit_files(repo.root, ODD)
    (repo.root / "link").symlink_to("sp ace")
    (repo.root / "program").write_text("#!/bin/sh\n")
    (repo.root / "program").chmod(0o755)
    git(repo.root, "add", "-A")
    git(repo.root, "commit", "-qm", "link and program")
    pinned, expected = head(repo.root), contents(repo.root)
    commit_files(repo.root, {"README.md": "later"})
    assert not worktrees.is_registered(tree)

    worktrees.materialise(pinned, tree)

    assert contents(tree) == expected
    assert os.access(tree / "program", os.X_OK)
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "rev-parse", "HEAD", "--abbrev-ref", "HEAD").split("\n") == [
        pinned,
        "HEAD",
    ]
    assert worktrees.is_present(tree)
    assert worktrees.is_registered(tree)
    assert worktrees.is_made_for(tree, pinned)
    assert not worktrees.is_made_for(tree, head(repo.root))
    assert worktrees.state(tree) == WorktreeState(pinned, is_of_this_boot=True)
    listed = git(repo.root, "worktree", "list", "--porcelain")
    assert f"worktree {tree}\nHEAD {pinned}\ndetached\nlocked gitorch" in listed


def test_where_there_is_no_worktree_there_is_no_state(
    repo: Repository, worktrees: Worktrees, tree: Path
) -> None:
    assert worktrees.state(tree) is None
    assert worktrees.state(repo.root) is None
    assert not worktrees.is_present(tree)
    assert not worktrees.is_made_for(tree, head(repo.root))


def test_making_a_worktree_again_leaves_it_as_it_is(
    repo: Repository, worktrees: Worktrees, tree: Path
) -> None:
    worktrees.materialise(head(repo.root), tree)
    (tree / "README.md").write_text("changed by a run")
    (tree / "checkpoint").write_text("of a run")
    worktrees.materialise(head(repo.root), tree)
    assert contents(tree) == {
        "README.md": b"changed by a run",
        "checkpoint": b"of a run",
    }


def test_hooks_and_sparse_checkouts_do_not_reach_a_worktree(
    repo: Repository, worktrees: Worktrees, tree: Path
) -> None:
    pinned = commit_files(repo.root, {"in/a": "1", "out/b": "2"})
    hook = repo.common_dir / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked\nexit 3\n")
    hook.chmod(0o755)
    git(repo.root, "sparse-checkout", "set", "in")
    assert not (repo.root / "out").exists()

    worktrees.materialise(pinned, tree)

    assert set(contents(tree)) == {"README.md", "in/a", "out/b"}
    git(
        tree, "reset", "-q", "--hard"
    )  # a task may do so, and must not make the worktree sparse
    assert set(contents(tree)) == {"README.md", "in/a", "out/b"}
    assert not (repo.root / "out").exists()


def test_filters_and_line_endings_are_applied(
    repo: Repository, worktrees: Worktrees, tree: Path
) -> None:
    git(repo.root, "config", "filter.shout.smudge", "tr a-z A-Z")
    git(repo.root, "config", "filter.shout.clean", "tr A-Z a-z")
    files = {
        ".gitattributes": "*.loud filter=shout\n*.bat eol=crlf\n",
        "a.loud": "hush\n",
        "b.bat": "x\ny\n",
    }
    worktrees.materialise(commit_files(repo.root, files), tree)
    assert (tree / "a.loud").read_bytes() == b"HUSH\n"
    assert (tree / "b.bat").read_bytes() == b"x\r\ny\r\n"
    assert git(tree, "status", "--porcelain") == ""


def test_large_files_are_the_real_ones(
    repo: Repository, worktrees: Worktrees, tree: Path
) -> None:
    git(repo.root, "lfs", "install", "--local")
    git(repo.root, "lfs", "track", "*.bin")
    pinned = commit_files(repo.root, {"model.bin": bytes(range(256)) * 100})
    assert git(repo.root, "cat-file", "-p", "HEAD:model.bin").startswith(
        "version https://git-lfs"
    )
    worktrees.materialise(pinned, tree)
    assert (tree / "model.bin").read_bytes() == bytes(range(256)) * 100


def test_a_missing_commit_is_refused_and_leaves_nothing(
    repo: Repository, worktrees: Worktrees, tree: Path
) -> None:
    with pytest.raises(GitFailed):
        worktrees.materialise("1" * 40, tree)
    assert not tree.exists()
    assert administrative(repo) == []


def test_files_that_gitorch_did_not_make_are_never_replaced(
    repo: Repository, worktrees: Worktrees, tree: Path, tmp_path: Path
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
    for taken in (
        tree,
        tmp_path / "own",
        tmp_path / "alias",
        tmp_path / "foreign",
        repo.root,
    ):
        with pytest.raises(Refused, match="is in the way"):
            worktrees.materialise(pinned, taken)
        with pytest.raises(Refused, match="is in the way"):
            worktrees.discard(taken)
    assert contents(tree) == {"thesis.tex": b"years of work"}


# Links


def test_links_lead_to_the_main_worktree(
    repo: Repository, worktrees: Worktrees, tree: Path
) -> None:
    pinned = commit_files(
        repo.root, {".gitignore": "data\nraw/\n", "sub/code.py": ""}
    )
    (repo.root / "data").mkdir()
    (repo.root / "data/x.csv").write_text("1,2")
    (repo.root / "sub/raw").mkdir()
    worktrees.materialise(pinned, tree, link=["data", "sub/raw"])
    assert (tree / "data/x.csv").read_text() == "1,2"
    assert (tree / "sub/raw").readlink() == repo.root / "sub/raw"
    (tree / "data").unlink()
    worktrees.materialise(pinned, tree, link=["data", "sub/raw"])
    assert (tree / "data").is_symlink()
    worktrees.discard(tree)
    worktrees.empty_trash()
    assert (repo.root / "data/x.csv").read_text() == "1,2"


def test_a_link_that_cannot_be_made_leaves_no_worktree(
    repo: Repository, worktrees: Worktrees, tree: Path
) -> None:
    outside = repo.root.parent / "outside"
    outside.mkdir()
    (repo.root / "away").symlink_to(outside)
    pinned = commit_files(repo.root, {"tracked": "x"})
    (repo.root / "away/data").mkdir()
    for name, error in {
        "nothing": NotFound,
        "tracked": Refused,
        "away/data": Refused,
    }.items():
        with pytest.raises(error, match="link: "):
            worktrees.materialise(pinned, tree, link=[name])
        assert not tree.exists()
        assert administrative(repo) == []


# Removing


def test_discarding_removes_everything(
    repo: Repository, worktrees: Worktrees, tree: Path
) -> None:
    worktrees.materialise(head(repo.root), tree)
    (tree / "shut").mkdir()
    (tree / "shut/file").write_text("x")
    (tree / "shut").chmod(0o500)
    tree.chmod(0o500)
    worktrees.discard(tree)
    assert not tree.exists()
    assert not worktrees.is_present(tree)
    assert not worktrees.is_registered(tree)
    assert administrative(repo) == []
    worktrees.discard(tree)  # nothing is there, so there is nothing to do
    worktrees.empty_trash()
    assert not list(repo.workspace.glob("trash/*"))


def test_prune_and_gc_keep_what_only_a_worktree_refers_to(
    repo: Repository, worktrees: Worktrees, tree: Path
) -> None:
    first = head(repo.root)
    pinned = commit_files(repo.root, {"only": "here"})
    worktrees.materialise(pinned, tree)
    git(repo.root, "reset", "-q", "--hard", first)
    git(repo.root, "reflog", "expire", "--expire=now", "--all")
    git(repo.root, "gc", "-q", "--prune=now")
    git(repo.root, "worktree", "prune", "--expire=now")
    assert git(tree, "show", "HEAD:only") == "here"


# Changes, and their undoing


@pytest.mark.parametrize(
    ("deed", "files"), CHANGES.items(), ids=[deed.__name__ for deed in CHANGES]
)
def test_what_a_run_changed_is_found_kept_and_undone(
    repo: Repository,
    worktrees: Worktrees,
    tree: Path,
    made: str,
    deed: Deed,
    files: set[str],
    tmp_path: Path,
) -> None:
    expected = contents(tree)
    (tree / "checkpoint").write_text("untracked")
    deed(tree)
    spoilt = contents(tree)

    changes = worktrees.modified(tree, made)
    assert set(changes.files) == files
    again = tmp_path / "again"
    worktrees.materialise(made, again)
    subprocess.run(["git", "apply", "-"], input=changes.diff, cwd=again, check=True)
    after = contents(again)
    assert {name: after.get(name) for name in files} == {
        name: spoilt.get(name) for name in files
    }

    branches = git(repo.root, "for-each-ref", "refs/heads")
    worktrees.reset(tree, made)
    restored = contents(tree)
    assert {name: restored[name] for name in expected} == expected
    assert restored["checkpoint"] == b"untracked"
    assert not os.access(tree / "run.sh", os.X_OK)
    assert head(tree) == made
    assert git(tree, "diff", "HEAD") == ""
    assert {line[0] for line in git(tree, "ls-files", "-v").split("\n")} == {"H"}
    assert git(repo.root, "for-each-ref", "refs/heads") == branches
    assert worktrees.modified(tree, made) == UNMODIFIED


def test_bits_that_hide_changes_are_cleared_even_if_nothing_changed(
    worktrees: Worktrees, tree: Path, made: str
) -> None:
    git(tree, "update-index", "--skip-worktree", "code.py")
    worktrees.reset(tree, made)
    (tree / "code.py").write_text("changed")
    assert git(tree, "status", "--porcelain") == " M code.py"


def test_settings_for_diffs_do_not_reach_the_patch(
    repo: Repository, worktrees: Worktrees, tree: Path, made: str
) -> None:
    settings = {
        "diff.noprefix": "true",
        "diff.external": "false",
        "color.ui": "always",
    }
    for name, value in settings.items():
        git(repo.root, "config", name, value)
    git(repo.root, "config", "diff.odd.textconv", "false")
    (tree / "code.py").write_text("one\n2\n")
    first_line, _, _ = worktrees.modified(tree, made).diff.partition(b"\n")
    assert first_line == b"diff --git a/code.py b/code.py"


def test_a_worktree_moves_to_another_commit(
    repo: Repository, worktrees: Worktrees, tree: Path, made: str
) -> None:
    git(repo.root, "rm", "-q", "pack/age.py")
    later = commit_files(repo.root, {"code.py": "fixed", "new.py": "new"})
    expected = contents(repo.root)
    (tree / "run.sh").write_text("changed")
    (tree / "new.py").write_text("in the way")
    (tree / "checkpoint").write_text("untracked")
    worktrees.materialise(later, tree)
    assert contents(tree) == {**expected, "checkpoint": b"untracked"}
    assert head(tree) == later
    worktrees.reset(tree, made)
    assert (tree / "pack/age.py").exists()
    assert not (tree / "new.py").exists()
    assert git(tree, "status", "--porcelain") == "?? checkpoint"


def test_resetting_a_worktree_that_is_not_there_is_refused(
    repo: Repository, worktrees: Worktrees, tree: Path
) -> None:
    with pytest.raises(NotFound, match="is not a worktree"):
        worktrees.reset(tree, head(repo.root))


# Handing on


@pytest.mark.parametrize(
    "deed",
    [None, *HARMLESS_OR_NOT],
    ids=lambda deed: getattr(deed, "__name__", "nothing"),
)
def test_a_worktree_that_is_handed_on_is_as_good_as_a_new_one(
    repo: Repository,
    worktrees: Worktrees,
    tree: Path,
    following: Path,
    made: str,
    deed: Deed | None,
) -> None:
    expected = contents(tree)
    if deed:
        deed(tree)
    if not worktrees.hand_on(tree, following, made):
        assert not following.exists()
        return
    assert not tree.exists()
    assert not worktrees.is_registered(tree)
    assert worktrees.is_made_for(following, made)
    assert contents(following) == expected
    assert git(following, "status", "--porcelain", "--ignored") == ""
    assert head(following) == made
    assert git(following, "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
    assert worktrees.modified(following, made) == UNMODIFIED


def test_nothing_is_handed_on_to_a_path_that_is_taken(
    repo: Repository, worktrees: Worktrees, tree: Path, following: Path, made: str
) -> None:
    worktrees.materialise(made, following)
    assert not worktrees.hand_on(tree, following, made)
    assert worktrees.is_present(tree)


def test_a_worktree_is_not_handed_on_at_another_commit(
    repo: Repository, worktrees: Worktrees, tree: Path, following: Path, made: str
) -> None:
    assert not worktrees.hand_on(
        tree, following, git(repo.root, "rev-parse", "HEAD~1")
    )
    assert not following.exists()
