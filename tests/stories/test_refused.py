"""Repositories that gitorch refuses, each with a hint that says what to do.

A refused command changes nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, write

CONFIG = "tasks: [{id: t, command: 'true'}]\n"


def refusal(root: Path, *arguments: str, code: int) -> tuple[str, str]:
    """Return message and hint of a command that is refused."""
    result = gitorch(root, *arguments, "--json", code=code)
    error = json.loads(result.stdout)["error"]
    assert result.stderr == ""
    assert error["kind"] == {3: "not-found", 4: "refused"}[code]
    return error["message"], error["hint"]


def test_not_a_repository(tmp_path: Path) -> None:
    message, hint = refusal(tmp_path, "list", code=3)
    assert "not in a git repository" in message
    assert "git init" in hint
    refused = gitorch(tmp_path, "list", code=3)
    assert (refused.stdout, refused.stderr) == (
        "",
        f"error: {message}\nhint: {hint}\n",
    ), "the text output has the same words"


def test_no_commit_yet(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write(tmp_path, "experiments/a.yaml", CONFIG)
    for verb in ("ready", "check", "run experiments"):
        message, hint = refusal(tmp_path, *verb.split(), code=4)
        assert "no commit yet" in message
        assert "git commit" in hint
    assert gitorch(tmp_path, "list").stderr == "no runs yet; next: gitorch ready\n"
    assert gitorch(tmp_path, "run").returncode == 0
    assert git(tmp_path, "for-each-ref") == ""


def test_sha_256_objects(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256")
    commit_files(tmp_path, {"experiments/a.yaml": CONFIG})
    for verb in ("ready", "list"):
        message, hint = refusal(tmp_path, verb, code=4)
        assert "SHA256" in message
        assert "sha1" in hint


@pytest.mark.parametrize("made_by_git", [True, False])
def test_references_in_a_reftable(tmp_path: Path, made_by_git: bool) -> None:
    if made_by_git:
        about_git = git(tmp_path, "init", "-q", "-h", check=False) + git(
            tmp_path, "version"
        )
        if "reftable" not in about_git:
            git(tmp_path, "init", "-q", "--ref-format=reftable", check=False)
        if not (tmp_path / ".git/reftable").is_dir():
            pytest.skip("this git cannot create a repository with a reftable")
    else:
        git(tmp_path, "init", "-q")
        git(tmp_path, "config", "core.repositoryFormatVersion", "1")
        git(tmp_path, "config", "extensions.refStorage", "reftable")
        (tmp_path / ".git/reftable").mkdir()
    message, hint = refusal(tmp_path, "list", code=4)
    assert "reftable" in message
    assert "git refs migrate" in hint


def test_a_bare_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare")
    message, hint = refusal(tmp_path, "list", code=4)
    assert "bare" in message
    assert "git clone" in hint


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can change the owner of a file"
)
def test_a_repository_of_another_user(project: Path) -> None:
    write(project, "experiments/a.yaml", CONFIG)
    for path in (project, project / ".git"):
        os.chown(path, 65534, 65534)
    for trusted in ("", str(project)):
        git(
            project,
            "config",
            "--file",
            str(project.parent / "config"),
            "safe.directory",
            trusted,
        )
        message, hint = refusal(project, "ready", code=4)
        assert "belongs to another user" in message
        assert "git clone" in hint
    os.chown(project, os.geteuid(), os.getegid())
    os.chown(project / ".git", os.geteuid(), os.getegid())
    assert git(project, "for-each-ref", "refs/gitorch", "refs/heads/gitorch") == ""


def test_a_merge_in_progress(project: Path) -> None:
    commit_files(project, {"a": "1\n", "experiments/a.yaml": CONFIG})
    gitorch(project, "run", "experiments")
    git(project, "switch", "-qc", "other")
    commit_files(project, {"a": "2\n"})
    git(project, "switch", "-q", "main")
    commit_files(project, {"a": "3\n"})
    git(project, "merge", "other", check=False)
    before = (
        git(project, "status", "--porcelain"),
        (project / ".git/index").read_bytes(),
    )
    for arguments in (["ready"], ["ready", "--snapshot"], ["run", "experiments"]):
        message, hint = refusal(project, *arguments, code=4)
        assert "a merge is in progress" in message
        assert "git merge --abort" in hint
    assert (
        "a merge is in progress" in gitorch(project, "revert", "@", code=4).stderr
    )
    assert gitorch(project, "logs", "@").returncode == 0, (
        "reading needs no work tree"
    )
    assert gitorch(project, "rerun", "@").returncode == 0, (
        "a run that is pinned needs none either"
    )
    assert (
        git(project, "status", "--porcelain"),
        (project / ".git/index").read_bytes(),
    ) == before


def test_a_branch_named_gitorch(project: Path) -> None:
    write(project, "experiments/a.yaml", CONFIG)
    git(project, "branch", "gitorch")
    for arguments in (["ready"], ["run", "experiments"]):
        message, hint = refusal(project, *arguments, code=4)
        assert "'gitorch'" in message
        assert "git branch -m gitorch" in hint
    assert gitorch(project, "list").stdout == ""
    git(project, "config", "gitorch.branch", "results")
    gitorch(project, "run", "experiments")
    assert git(project, "log", "-1", "--format=%s", "results").startswith("a ")


def test_git_is_not_installed(project: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    stderr = gitorch(
        project, "list", code=69, env={"PATH": str(tmp_path / "bin")}
    ).stderr
    assert "git is not installed" in stderr
    assert "apt-get install git" in stderr
