"""`gitorch demo` creates a usable repository, whatever the user's git settings are."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from gitorch.actions.demo import create
from gitorch.errors import Refused
from tests.conftest import AUTHOR, git, gitorch

DEMO = Path(__file__).parents[2] / "demo"
PROJECT = [
    ".gitignore",
    "README.md",
    "Tasks.py",
    "experiments/all-measurements.yaml",
    "experiments/bill-shape.yaml",
    "experiments/body-size.yaml",
    "penguins.csv",
]


def committed(root: Path) -> list[str]:
    """Return the paths of the committed files."""
    return git(root, "ls-tree", "-r", "--name-only", "HEAD").splitlines()


def test_the_repository_contains_the_project_in_one_clean_commit(
    tmp_path: Path,
) -> None:
    root = create(tmp_path / "new" / "penguins")
    assert root == tmp_path / "new" / "penguins"
    assert committed(root) == PROJECT
    assert all(
        (root / name).read_bytes() == (DEMO / name).read_bytes() for name in PROJECT
    )
    assert git(root, "status", "--porcelain", "--ignored") == ""
    assert git(root, "log", "--format=%an <%ae> %s") == (
        f"{AUTHOR['name']} <{AUTHOR['email']}> The penguins demo"
    )


def test_every_file_of_the_demo_is_copied_or_known_not_to_be() -> None:
    not_copied = [
        "__init__.py",
        "pictures/page.png",
        "pictures/terminal.png",
        "run",
    ]
    tracked = git(DEMO, "ls-files").splitlines()
    assert sorted(tracked) == sorted(PROJECT + not_copied)


def test_the_directory_may_be_empty_and_its_path_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert create(Path()) == tmp_path
    assert committed(tmp_path) == PROJECT


def test_an_existing_file_or_directory_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(Refused, match="exists already"):
        create(tmp_path)
    with pytest.raises(Refused, match="exists already"):
        create(tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_demo_inside_another_repository_is_a_repository_of_its_own(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(project / ".git"))
    root = create(project / "penguins")
    monkeypatch.delenv("GIT_DIR")
    assert committed(root) == PROJECT
    assert committed(project) == ["README.md"]


@pytest.mark.parametrize(
    "settings",
    [
        {"commit.gpgSign": "true", "gpg.program": "/bin/false"},
        {"core.hooksPath": "{home}/hooks"},
        {"core.excludesFile": "{home}/ignore"},
        {"init.templateDir": "{home}/template"},
        {"core.autocrlf": "input"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_the_users_git_settings_have_no_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    own = tmp_path / "own"
    for hooks in (own / "hooks", own / "template" / "hooks"):
        hooks.mkdir(parents=True)
        (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
        (hooks / "pre-commit").chmod(0o755)
    (own / "ignore").write_text("*.csv\n*.yaml\n")
    (own / "gitconfig").write_text(
        f"[user]\n\tname = {AUTHOR['name']}\n\temail = {AUTHOR['email']}\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(own / "gitconfig"))
    for name, value in settings.items():
        git(tmp_path, "config", "--global", name, value.format(home=own))
    root = create(tmp_path / "penguins")
    assert committed(root) == PROJECT
    assert git(root, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [("GIT_DEFAULT_HASH", "sha256"), ("GIT_DEFAULT_REF_FORMAT", "reftable")],
)
def test_the_format_of_the_repository_is_one_that_gitorch_supports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    root = create(tmp_path / "penguins")
    assert git(root, "rev-parse", "--show-object-format") == "sha1"
    assert (root / ".git" / "HEAD").read_text() == "ref: refs/heads/main\n"


def test_a_user_without_a_name_in_git_gets_a_commit_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    root = create(tmp_path / "penguins")
    assert committed(root) == PROJECT


def test_the_next_commands_work_for_any_directory(tmp_path: Path) -> None:
    said = gitorch(tmp_path, "demo", "my penguins; here").stderr
    [line] = [line for line in said.splitlines() if line.strip().startswith("cd ")]
    assert shlex.split(line)[0] == "cd"
    assert Path(tmp_path, shlex.split(line)[1]) == tmp_path / "my penguins; here"
