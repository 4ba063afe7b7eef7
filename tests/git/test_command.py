"""The calls of the git program: environment, failures, and the forms of output."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitorch.errors import ProgramMissing
from gitorch.git.command import (
    GitFailed,
    call_git,
    call_git_items,
    call_git_lines,
    call_git_success,
    call_git_text,
    child_environment,
)
from tests.conftest import commit_files


def test_every_variable_that_git_calls_local_is_stripped(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = call_git_lines(project, "rev-parse", "--local-env-vars")
    for name in local:
        monkeypatch.setenv(name, "leaked")
    passed_on = {
        name for name in local if child_environment().get(name) == "leaked"
    }
    assert passed_on == set()


def test_a_leaked_git_dir_has_no_effect(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nothing"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "kept")
    assert call_git_text(project, "status", "--porcelain") == ""
    assert child_environment()["GIT_AUTHOR_NAME"] == "kept"


def test_a_failure_contains_the_message_of_git(project: Path) -> None:
    with pytest.raises(GitFailed) as caught:
        call_git(
            project, "-c", "core.quotePath=false", "cat-file", "-p", "nonsense"
        )
    assert caught.value.message == "git cat-file: Not a valid object name nonsense"
    assert caught.value.code == 128


def test_yes_and_no_differ_from_an_error(project: Path) -> None:
    assert call_git_success(project, "rev-parse", "-q", "--verify", "HEAD")
    assert not call_git_success(
        project, "rev-parse", "-q", "--verify", "refs/heads/nothing"
    )
    with pytest.raises(GitFailed):
        call_git_success(project, "merge-base", "--is-ancestor", "nonsense", "HEAD")


def test_any_file_name_is_complete(project: Path) -> None:
    names = ["README.md", "line\nbreak", "latin\udce9", "sp ace"]
    commit_files(project, dict.fromkeys(names[1:], "x"))
    assert sorted(call_git_items(project, "ls-files", "-z")) == sorted(names)
    assert call_git_items(project, "ls-files", "-z", "nothing") == []


def test_without_git_the_message_says_how_to_install_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project))
    with pytest.raises(ProgramMissing, match="git is not installed"):
        call_git(project, "status")
