"""A new repository, with a first commit."""

from __future__ import annotations

from pathlib import Path

from gitorch.git.command import call_git
from gitorch.git.repository import Repository

# gitorch can work in the repository whatever the user's defaults are.
_FORMAT = {"GIT_DEFAULT_HASH": "sha1", "GIT_DEFAULT_REF_FORMAT": "files"}


def create_repository(directory: Path) -> Repository:
    """Make the existing `directory` a repository without commits."""
    call_git(directory, "init", "--quiet", "--template=", env=_FORMAT)
    return Repository.discover(directory)


def commit_everything(repo: Repository, message: str) -> None:
    """Commit all files.

    Ignored files are included, since the user's own ignore rules may name some of them.
    """
    name, email = repo.signature()
    settings = {
        "user.name": name,
        "user.email": email,
        "core.hooksPath": "/dev/null",
    }
    options: list[str] = []
    for key, value in settings.items():
        options += ("-c", f"{key}={value}")
    call_git(repo.root, "add", "--force", "--all")
    call_git(
        repo.root,
        *options,
        "commit",
        "--quiet",
        "--no-gpg-sign",
        "--message",
        message,
    )
