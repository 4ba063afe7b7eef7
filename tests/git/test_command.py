"""The calls of the git program: environment, failures, and the forms of output."""

from __future__ import annotations

import os
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
from tests.conftest import commit_files, gitorch


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


def old_git(directory: Path, version: str, answer: str) -> str:
    """Write a `git` of this version that answers everything else so; return a PATH with it."""
    directory.mkdir()
    program = directory / "git"
    program.write_text(
        f"#!/bin/sh\n[ $1 = --version ] && echo git version {version} || {{ {answer}; }}\n"
    )
    program.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("version", "answer"),
    [
        ("2.33.8", "exit 129"),
        (
            "2.30.2",
            r"printf 'false\nsha1\n--path-format=absolute\n/r/.git\n.git\n/r\n'",
        ),
        (
            "1.8.3.1",
            r"printf 'false\n--show-object-format\n--path-format=absolute\n'",
        ),
    ],
)
def test_a_git_that_is_too_old_is_named(
    project: Path, tmp_path: Path, version: str, answer: str
) -> None:
    path = old_git(tmp_path / "old", version, answer)
    for words in (["list"], ["run"], ["doctor"]):
        shown = gitorch(project, *words, env={"PATH": path}, code=69).stderr
        assert f"git version {version} is too old" in shown
        assert "install git 2.34 or newer" in shown


def test_an_unknown_option_of_a_new_git_is_its_own_error(project: Path) -> None:
    with pytest.raises(GitFailed, match="unknown option"):
        call_git(project, "cat-file", "--no-such-option")
