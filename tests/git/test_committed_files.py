"""The files of a commit's tree, by their paths."""

from __future__ import annotations

from pathlib import Path

from gitorch.git.committed_files import CommittedFiles
from gitorch.git.modes import EXECUTABLE, FILE, LINK
from gitorch.git.repository import Repository
from tests.conftest import commit_files, git

SUBMODULE = 0o160000


def committed(root: Path) -> CommittedFiles:
    return CommittedFiles(
        Repository.discover(root), git(root, "rev-parse", "HEAD^{tree}")
    )


def test_files_links_and_submodules_have_modes_and_directories_have_none(
    repo: Repository,
) -> None:
    (repo.root / "tool").write_text("")
    (repo.root / "tool").chmod(0o755)
    (repo.root / "link").symlink_to("tool")
    commit_files(repo.root, {"a/b/c.txt": "", "caf\udce9/x": ""})
    git(
        repo.root,
        "update-index",
        "--add",
        "--cacheinfo",
        f"160000,{'1' * 40},a/module",
    )
    git(repo.root, "commit", "-qm", "a submodule")
    files = committed(repo.root)
    assert files.mode("a/b/c.txt") == FILE
    assert files.mode("caf\udce9/x") == FILE
    assert files.mode("tool") == EXECUTABLE
    assert files.mode("link") == LINK
    assert files.mode("a/module") == SUBMODULE
    for path in (
        "",
        "a",
        "a/b",
        "no",
        "no/x",
        "tool/x",
        "a/module/x",
        "a//b",
    ):
        assert files.mode(path) is None, path
    assert files.mode("a/" * 5000) is None


def test_git_fetches_a_directory_that_a_partial_clone_lacks(
    repo: Repository, tmp_path: Path
) -> None:
    commit_files(repo.root, {"a/b/c.txt": ""})
    git(repo.root, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    options = ("--quiet", "--no-checkout", "--filter=tree:0")
    git(tmp_path, "clone", *options, repo.root.as_uri(), str(clone))
    files = committed(clone)
    assert files.mode("a/b/c.txt") == FILE
    assert files.mode("a/b/d.txt") is None
