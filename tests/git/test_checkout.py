"""Going back to the code of a run without losing anything of the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gitorch.errors import Refused
from gitorch.git.checkout import (
    Reverted,
    checkout_run,
    revert_detached,
    revert_files,
    revert_to_branch,
)
from gitorch.git.repository import Repository
from gitorch.git.worktree.contract import Lacking
from gitorch.git.worktree.worktrees import FastWorktrees
from tests.conftest import commit_files, git

RUN = "0123456789ab"


@pytest.fixture
def old(repo: Repository) -> str:
    """Return the commit of a run; main has since changed one file, removed one and added one."""
    pinned = commit_files(
        repo.root, {"code.py": "old", "gone/away.py": "x", "same.py": "same"}
    )
    git(repo.root, "rm", "-rq", "gone")
    commit_files(repo.root, {"code.py": "new", "later.py": "y"})
    return pinned


def files(root: Path) -> dict[str, str]:
    paths = (
        path
        for path in root.rglob("*")
        if ".git" not in path.parts and path.is_file()
    )
    return {str(path.relative_to(root)): path.read_text() for path in paths}


THEN = {
    "README.md": "A project.\n",
    "code.py": "old",
    "gone/away.py": "x",
    "same.py": "same",
}
NOW = {
    "README.md": "A project.\n",
    "code.py": "new",
    "later.py": "y",
    "same.py": "same",
}


def revert(mode: str, repo: Repository, commit: str) -> Reverted:
    match mode:
        case "branch":
            return revert_to_branch(repo, commit, f"gitorch/{RUN}")
        case "detach":
            return revert_detached(repo, commit)
        case _:
            return revert_files(repo, commit)


each_mode = pytest.mark.parametrize("mode", ["branch", "detach", "files"])


# checkout-run


def check_out(
    repo: Repository,
    commit: str,
    path: Path,
    fill: Callable[[Path], object],
    link: Sequence[str] = (),
) -> Path:
    lacking = Lacking()
    kept = checkout_run(
        repo,
        FastWorktrees(repo),
        RUN,
        commit,
        path,
        fill,
        link=link,
        lacking=lacking,
    )
    assert not lacking
    return kept


def test_a_checkout_has_the_code_and_the_files_of_the_run(
    repo: Repository, old: str
) -> None:
    path = repo.workspace / "checkouts" / RUN
    calls: list[Path] = []

    def fill(directory: Path) -> None:
        calls.append(directory)
        (directory / "outputs").mkdir()
        (directory / "outputs/model").write_text("weights")

    kept = check_out(repo, old, path, fill)
    assert kept == path / f"run-{RUN}"
    assert {
        name: text
        for name, text in files(path).items()
        if not name.startswith("run-")
    } == THEN
    assert (kept / "outputs/model").read_text() == "weights"
    assert git(path, "status", "--porcelain") == ""

    (kept / "outputs/model").write_text("changed since")
    assert check_out(repo, old, path, fill) == kept
    assert len(calls) == 1
    assert (kept / "outputs/model").read_text() == "changed since"


def test_a_checkout_leaves_out_links_to_missing_paths(
    repo: Repository, old: str, tmp_path: Path
) -> None:
    (repo.root / "data").mkdir()
    check_out(
        repo,
        old,
        tmp_path / "checkout",
        lambda directory: None,
        link=["data", "gone"],
    )
    assert (tmp_path / "checkout/data").readlink() == repo.root / "data"


def test_a_checkout_that_was_stopped_is_filled_anew(
    repo: Repository, old: str, tmp_path: Path
) -> None:
    def fail(directory: Path) -> None:
        (directory / "half").touch()
        raise KeyboardInterrupt

    path = tmp_path / "checkout"
    with pytest.raises(KeyboardInterrupt):
        check_out(repo, old, path, fail)
    assert git(path, "status", "--porcelain") == ""
    check_out(
        repo,
        old,
        path,
        lambda directory: (directory / "whole").touch(),
    )
    assert {file.name for file in (path / f"run-{RUN}").iterdir()} == {
        ".gitignore",
        "whole",
    }
    assert not (path / f".run-{RUN}.part").exists()


def test_a_checkout_never_replaces_other_files(
    repo: Repository, old: str, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    with pytest.raises(Refused, match="in the way"):
        check_out(
            repo,
            old,
            tmp_path / "taken",
            lambda directory: None,
        )


# revert


@each_mode
def test_the_current_worktree_gets_the_code(
    repo: Repository, old: str, mode: str
) -> None:
    (repo.root / "notes").write_text("untracked")
    main = git(repo.root, "rev-parse", "main")
    done = revert(mode, repo, old)
    assert files(repo.root) == {**THEN, "notes": "untracked"}
    assert (done.before, done.files) == ("main", 3)
    assert git(repo.root, "rev-parse", "main") == main
    head, branch = git(
        repo.root, "rev-parse", "HEAD", "--abbrev-ref", "HEAD"
    ).split("\n")
    expected = {
        "branch": (old, f"gitorch/{RUN}"),
        "detach": (old, "HEAD"),
        "files": (main, "main"),
    }
    assert (head, branch) == expected[mode]
    staged = git(repo.root, "status", "--porcelain").split("\n")
    assert staged == (
        ["M  code.py", "A  gone/away.py", "D  later.py"] if mode == "files" else []
    ) + ["?? notes"]


def test_the_branch_of_a_run_is_reused_but_never_moved(
    repo: Repository, old: str
) -> None:
    revert_to_branch(repo, old, "mine")
    git(repo.root, "switch", "-q", "main")
    assert revert_to_branch(repo, old, "mine").branch == "mine"
    commit_files(repo.root, {"work": "on it"})
    git(repo.root, "switch", "-q", "main")
    with pytest.raises(
        Refused, match="branch mine exists already, at another commit"
    ):
        revert_to_branch(repo, old, "mine")
    with pytest.raises(Refused, match="is not a valid name for a branch"):
        revert_to_branch(repo, old, "two..dots")
    assert files(repo.root) == NOW


def unstaged(root: Path) -> None:
    (root / "code.py").write_text("precious")


def staged(root: Path) -> None:
    (root / "code.py").write_text("precious")
    git(root, "add", "code.py")


def staged_new(root: Path) -> None:
    (root / "brand new").write_text("precious")
    git(root, "add", "brand new")


def untracked(root: Path) -> None:
    (root / "gone").mkdir()
    (root / "gone/away.py").write_text("precious")


def ignored(root: Path) -> None:
    commit_files(root, {".gitignore": "gone/\n"})
    (root / "gone").mkdir()
    (root / "gone/away.py").write_text("precious")


def ignored_file_for_directory(root: Path) -> None:
    commit_files(root, {".gitignore": "gone\n"})
    (root / "gone").write_text("precious")


def ignored_link_for_directory(root: Path) -> None:
    commit_files(root, {".gitignore": "gone\n"})
    (root.parent / "elsewhere").mkdir()
    (root.parent / "elsewhere/away.py").write_text("precious")
    (root / "gone").symlink_to("../elsewhere")


def ignored_directory_for_file(root: Path) -> None:
    commit_files(root, {".gitignore": "away.py/\n"})
    (root / "gone/away.py").mkdir(parents=True)
    (root / "gone/away.py/data").write_text("precious")


def assumed_unchanged(root: Path) -> None:
    git(root, "update-index", "--assume-unchanged", "code.py")
    (root / "code.py").write_text("precious")


def merging(root: Path) -> None:
    git(root, "switch", "-qc", "other", "HEAD~")
    commit_files(root, {"code.py": "other"})
    git(root, "switch", "-q", "main")
    git(root, "merge", "-q", "other", check=False)


@each_mode
@pytest.mark.parametrize(
    "work",
    [
        unstaged,
        staged,
        staged_new,
        untracked,
        ignored,
        ignored_file_for_directory,
        ignored_link_for_directory,
        ignored_directory_for_file,
        assumed_unchanged,
        merging,
    ],
)
def test_nothing_uncommitted_is_ever_lost(
    repo: Repository, old: str, mode: str, work: object
) -> None:
    assert callable(work)
    work(repo.root)
    before, status = (
        files(repo.root.parent),
        git(repo.root, "status", "--porcelain", "--branch", "--ignored"),
    )
    with pytest.raises(Refused):
        revert(mode, repo, old)
    assert files(repo.root.parent) == before
    assert (
        git(repo.root, "status", "--porcelain", "--branch", "--ignored") == status
    )
    assert git(repo.root, "branch", "--list", f"gitorch/{RUN}") == ""


def test_the_message_names_the_files(repo: Repository, old: str) -> None:
    commit_files(repo.root, {f"{number}.py": "" for number in range(8)})
    for number in range(8):
        (repo.root / f"{number}.py").write_text("changed")
    with pytest.raises(
        Refused,
        match=r"^uncommitted changes in 0.py, 1.py, 2.py, 3.py, 4.py and 3 more$",
    ):
        revert_files(repo, old)


def test_commits_that_no_branch_contains_are_not_abandoned(
    repo: Repository, old: str
) -> None:
    git(repo.root, "switch", "-q", "--detach", "main")
    assert revert_detached(repo, old).before == git(repo.root, "rev-parse", "main")
    commit_files(repo.root, {"work": "on nothing"})
    with pytest.raises(Refused, match="which no branch contains"):
        revert_to_branch(repo, old, "mine")
    assert revert_files(repo, old).branch is None


def test_a_branch_that_another_worktree_is_on_is_refused(
    repo: Repository, old: str, tmp_path: Path
) -> None:
    git(
        repo.root,
        "worktree",
        "add",
        "-q",
        "-b",
        "mine",
        str(tmp_path / "other"),
        old,
    )
    with pytest.raises(Refused, match="already checked out"):
        revert_to_branch(repo, old, "mine")


def test_a_failing_hook_does_not_fail_the_revert(
    repo: Repository, old: str
) -> None:
    hook = repo.common_dir / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 3\n")
    hook.chmod(0o755)
    revert_detached(repo, old)
    assert files(repo.root) == THEN


def test_a_revert_works_in_a_linked_worktree_and_from_a_subdirectory(
    repo: Repository, old: str, tmp_path: Path
) -> None:
    git(
        repo.root,
        "worktree",
        "add",
        "-q",
        "--detach",
        str(tmp_path / "linked"),
        "main",
    )
    (tmp_path / "linked/sub").mkdir()
    revert_files(Repository.discover(tmp_path / "linked/sub"), old)
    assert files(tmp_path / "linked") == THEN
    assert files(repo.root) == NOW
