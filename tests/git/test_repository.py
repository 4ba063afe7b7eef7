"""Finding the repository, its paths and its settings; refusing what gitorch cannot work with."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gitorch.errors import NotFound, Refused, UsageError
from gitorch.git.repository import Repository
from tests.conftest import AUTHOR, commit_files, git


def test_root_and_subdirectory_give_the_same_repository(project: Path) -> None:
    commit_files(project, {"a b/c/file": "x"})
    repo = Repository.discover(project / "a b" / "c")
    assert repo == Repository.discover(project)
    assert (repo.root, repo.git_dir, repo.common_dir) == (
        project,
        project / ".git",
        project / ".git",
    )
    assert repo.main_root == project


def test_a_linked_worktree_has_its_own_root_and_shares_the_rest(
    project: Path, tmp_path: Path
) -> None:
    git(project, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    repo = Repository.discover(tmp_path / "linked")
    assert repo.root == tmp_path / "linked"
    assert repo.git_dir == project / ".git" / "worktrees" / "linked"
    assert repo.common_dir == project / ".git"
    assert repo.main_root == project
    assert repo.workspace == Repository.discover(project).workspace
    assert repo.clone_id() == Repository.discover(project).clone_id()
    assert (
        repo.pygit.head.peel().id
        == Repository.discover(project).pygit.head.peel().id
    )


def test_a_separate_git_directory_names_one_workspace(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--separate-git-dir", "apart", "work")
    commit_files(tmp_path / "work", {"a": "a"})
    git(
        tmp_path / "work",
        "worktree",
        "add",
        "-q",
        "--detach",
        str(tmp_path / "linked"),
    )
    main, linked = (
        Repository.discover(tmp_path / "work"),
        Repository.discover(tmp_path / "linked"),
    )
    assert main.main_root == tmp_path / "work"
    assert main.workspace == linked.workspace == tmp_path / "apart.gitorch"


def test_inside_a_hook_the_directory_decides_and_not_git_dir(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    assert Repository.discover(project).root == project


def test_outside_a_repository_nothing_is_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not in a git repository"):
        Repository.discover(tmp_path)
    with pytest.raises(NotFound, match="no such directory"):
        Repository.discover(tmp_path / "missing")


def test_a_bare_repository_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    with pytest.raises(Refused, match="bare repository"):
        Repository.discover(tmp_path / "bare.git")


def test_a_git_directory_is_not_a_work_tree(project: Path) -> None:
    with pytest.raises(NotFound, match="inside a git directory"):
        Repository.discover(project / ".git")


def test_sha256_objects_are_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256", "new")
    with pytest.raises(Refused, match="SHA256"):
        Repository.discover(tmp_path / "new")


def test_a_reftable_is_refused_whether_or_not_this_git_knows_it(
    project: Path,
) -> None:
    (project / ".git" / "reftable").mkdir()
    with pytest.raises(Refused, match="reftable"):
        Repository.discover(project)
    (project / ".git" / "reftable").rmdir()
    git(project, "config", "core.repositoryFormatVersion", "1")
    git(project, "config", "extensions.refStorage", "reftable")
    with pytest.raises(Refused, match="reftable"):
        Repository.discover(project)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_repository_of_another_user_is_refused(
    project: Path, sealed_room: Path
) -> None:
    os.chown(project / ".git", 12345, 12345)
    os.chown(project, 12345, 12345)
    with pytest.raises(Refused, match="belongs to another user"):
        Repository.discover(project)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_git_trusting_the_directory_does_not_make_it_ours(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(project / ".git", 12345, 12345)
    trusting = project.parent / "trusting"
    trusting.write_text("[safe]\n\tdirectory = *\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(trusting))
    with pytest.raises(Refused, match="belongs to another user"):
        Repository.discover(project)


def test_a_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "new")
    repo = Repository.discover(tmp_path / "new")
    with pytest.raises(Refused, match="no commit yet"):
        repo.require_commit()


def test_a_detached_head_is_a_commit(project: Path) -> None:
    git(project, "checkout", "-q", "--detach")
    assert Repository.discover(project).require_commit() == git(
        project, "rev-parse", "HEAD"
    )


@pytest.mark.parametrize("what", ["merge", "rebase", "cherry-pick"])
def test_a_merge_in_progress_is_refused(project: Path, what: str) -> None:
    repo = Repository.discover(project)
    repo.require_no_merge()
    git(project, "checkout", "-qb", "side")
    commit_files(project, {"f": "side"})
    git(project, "checkout", "-q", "main")
    commit_files(project, {"f": "main"})
    git(project, what, "side", check=False)
    with pytest.raises(Refused, match=f"a {what} is in progress"):
        repo.require_no_merge()
    git(project, what, "--abort")
    repo.require_no_merge()


def test_settings_come_from_file_command_line_and_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(project, "config", "gitorch.jobs", "2")
    git(project, "config", "gitorch.largeFile", "3m")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "gitorch.grace")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "7")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'gitorch.jobs'='4'")
    repo = Repository.discover(project)
    assert repo.settings.jobs == "4"
    assert repo.settings.large_file_bytes == 3 << 20
    assert repo.settings.grace_s == 7
    assert repo.settings.lost_limit == 3
    git(project, "config", "gitorch.lostLimit", "no")
    with pytest.raises(
        UsageError, match=r"gitorch\.lostLimit: 'no' is not a whole number"
    ):
        _ = Repository.discover(project).settings


def test_remotes_have_the_addresses_that_git_uses(project: Path) -> None:
    git(project, "remote", "add", "origin", "gh:owner/repo.git")
    git(project, "remote", "add", "a.b", "/somewhere")
    git(project, "config", "url.https://example.org/.insteadOf", "gh:")
    assert Repository.discover(project).remotes() == {
        "origin": "https://example.org/owner/repo.git",
        "a.b": "/somewhere",
    }


def test_the_workspace_is_a_sibling_a_named_root_or_the_data_directory(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Repository.discover(project).workspace == tmp_path / "project.gitorch"
    git(project, "config", "gitorch.workspace", str(tmp_path / "configured"))
    configured = Repository.discover(project).workspace
    assert configured.parent == tmp_path / "configured"
    assert re.fullmatch(r"project-[0-9a-f]{8}", configured.name)
    monkeypatch.setenv("GITORCH_WORKSPACE", str(tmp_path / "named"))
    assert (
        Repository.discover(project).workspace
        == tmp_path / "named" / configured.name
    )


def test_the_workspace_of_a_submodule_is_not_in_its_superproject(
    project: Path, tmp_path: Path, sealed_room: Path
) -> None:
    git(tmp_path, "init", "-q", "super")
    git(tmp_path / "super", "submodule", "add", "-q", str(project), "sub")
    repo = Repository.discover(tmp_path / "super" / "sub")
    assert repo.home == tmp_path / "super" / "sub"
    assert repo.workspace.parent == sealed_room / ".local/share/gitorch"


def test_a_clone_has_one_id_even_if_many_ask_at_once(project: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        drawn = set(
            pool.map(lambda _: Repository.discover(project).clone_id(), range(16))
        )
    assert len(drawn) == 1
    assert re.fullmatch(r"[0-9a-f]{12}", drawn.pop())
    names = sorted(path.name for path in (project / ".git" / "gitorch").iterdir())
    assert names == ["clone-home", "clone-id", "clone.lock"]


def test_the_state_directory_is_a_setting(project: Path, tmp_path: Path) -> None:
    git(project, "config", "gitorch.stateDir", str(tmp_path / "fast"))
    repo = Repository.discover(project)
    assert repo.state_dir.parent == tmp_path / "fast"
    assert repo.state_dir.is_dir()
    assert repo.store_dir == project / ".git" / "gitorch"


def test_the_author_is_the_one_of_git(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Repository.discover(project).signature() == (
        AUTHOR["name"],
        AUTHOR["email"],
    )
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Some <One>\n")
    assert Repository.discover(project).signature().name == "Some One"


def test_without_an_author_the_account_commits(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    name, email = Repository.discover(project).signature()
    assert name
    assert email.startswith(f"{name}@")


def test_the_pager_is_the_one_of_git(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(project, "config", "core.pager", "less -FRX")
    assert Repository.discover(project).pager() == "less -FRX"
    monkeypatch.setenv("GIT_PAGER", "most")
    assert Repository.discover(project).pager() == "most"
