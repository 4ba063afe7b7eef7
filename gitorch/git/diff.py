"""What lies between two commits: history, changed files, and the difference as git shows it."""

from __future__ import annotations

from typing import NamedTuple

from gitorch.git.command import call_git, call_git_items
from gitorch.git.repository import Repository
from gitorch.model.run.compare import ChangedCommit, ChangedFile

# The output is git's own, whatever the user's settings for diffs are.
_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short")


class Changes(NamedTuple):
    """What lies between two commits: the history and the files.

    The history is the commits that only one of the two has, newest first.
    """

    commits: tuple[ChangedCommit, ...]
    files: tuple[ChangedFile, ...]


def changes_between(repo: Repository, a: str, b: str) -> Changes:
    return Changes(_commits(repo, a, b), _files(repo, a, b))


def diff_text(
    repo: Repository, a: str, b: str, *, color: bool = False, stat: bool = False
) -> bytes:
    """Return the difference between two commits as git shows it.

    Paths and lines are bytes in any encoding.
    """
    options: list[str] = []
    if color:
        options.append("--color=always")
    if stat:
        options.append("--stat")
    return call_git(repo.root, *_DIFF, *options, a, b, "--")


def diff_blobs(repo: Repository, a: str, b: str, *, color: bool = False) -> bytes:
    """Return the difference between two files, each given as `<commit>:<path>`, as git shows it."""
    when = "always" if color else "never"
    return call_git(repo.root, "diff", "--no-ext-diff", f"--color={when}", a, b)


def _commits(repo: Repository, a: str, b: str) -> tuple[ChangedCommit, ...]:
    command = ("log", "--no-show-signature", "--format=%H%s", "-z", f"{a}...{b}", "--")
    commits = []
    for item in call_git_items(repo.root, *command):
        commits.append(ChangedCommit(oid=item[:40], subject=item[40:]))
    return tuple(commits)


def _files(repo: Repository, a: str, b: str) -> tuple[ChangedFile, ...]:
    """Return the changed files.

    git prints two items for each file, its facts and its path (`--raw`). Then it prints one item
    for each of the same files in the same order (`--numstat`).
    """
    command = (*_DIFF, "--no-renames", "--raw", "--numstat", "-z", a, b, "--")
    items = call_git_items(repo.root, *command)
    count = len(items) // 3
    all_facts, paths, all_counts = (
        items[: 2 * count : 2],
        items[1 : 2 * count : 2],
        items[2 * count :],
    )
    files: list[ChangedFile] = []
    for facts, path, counts in zip(all_facts, paths, all_counts, strict=True):
        added, deleted, _ = counts.split("\t", 2)
        files.append(
            ChangedFile(path=path, status=facts[-1], added=_count(added), deleted=_count(deleted))
        )
    return tuple(files)


def _count(text: str) -> int | None:
    """Return a number of lines; git prints "-" for a binary file."""
    return None if text == "-" else int(text)
