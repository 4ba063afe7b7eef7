"""Code compared: whether two trees are the same code, and what lies between two commits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from gitorch.git.command import call_git, call_git_items
from gitorch.git.objects import read_objects
from gitorch.git.repository import Repository

# The program's output as it is whatever the user's own settings for diffs say.
_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short")
_REGULAR = (b"100644", b"100755")


class Commit(NamedTuple):
    oid: str
    subject: str


class FileChange(NamedTuple):
    """`status` is git's letter (A, D, M, T), a renamed file one that went and one that came; counts are of lines."""

    path: str
    status: str
    added: int | None  # None of a binary file
    deleted: int | None


class Changes(NamedTuple):
    """What lies between two commits: the history that only one of them has, newest first, and the files."""

    commits: tuple[Commit, ...]
    files: tuple[FileChange, ...]


def code_identity(repo: Repository, tree: str, is_config: Callable[[bytes], bool]) -> str:
    """A SHA-256 over path, mode and content of all files in the tree but YAML files that are configs.

    So committing a config alone does not make other code. Submodules count by their commit.
    """
    entries = call_git(repo.root, "ls-tree", "-r", "-z", "--full-tree", tree).split(b"\0")[:-1]
    yaml = [entry for entry in entries if _is_yaml(entry)]
    contents = read_objects(repo.root, [entry.split(b" ", 2)[2][:40].decode() for entry in yaml])
    configs = {entry for entry, data in zip(yaml, contents, strict=True) if data is not None and is_config(data)}
    return hashlib.sha256(b"\0".join(entry for entry in entries if entry not in configs)).hexdigest()


def changes_between(repo: Repository, a: str, b: str) -> Changes:
    return Changes(_commits(repo, a, b), _files(repo, a, b))


def diff_text(repo: Repository, a: str, b: str, *, color: bool = False, stat: bool = False) -> bytes:
    """The difference as git shows it; paths and lines are bytes of whatever encoding."""
    options = ("--color=always",) if color else ()
    return call_git(repo.root, *_DIFF, *options, *(("--stat",) if stat else ()), a, b, "--")


def _commits(repo: Repository, a: str, b: str) -> tuple[Commit, ...]:
    items = call_git_items(repo.root, "log", "--no-show-signature", "--format=%H%s", "-z", f"{a}...{b}", "--")
    return tuple(Commit(item[:40], item[40:]) for item in items)


def _files(repo: Repository, a: str, b: str) -> tuple[FileChange, ...]:
    """`--raw` gives two items a file, facts and path; then `--numstat` one for each of the same files in that order."""
    items = call_git_items(repo.root, *_DIFF, "--no-renames", "--raw", "--numstat", "-z", a, b, "--")
    count = len(items) // 3
    files = []
    for facts, path, counts in zip(items[: 2 * count : 2], items[1 : 2 * count : 2], items[2 * count :], strict=True):
        added, deleted, _ = counts.split("\t", 2)
        files.append(FileChange(path, facts[-1], _count(added), _count(deleted)))
    return tuple(files)


def _count(text: str) -> int | None:
    return None if text == "-" else int(text)


def _is_yaml(entry: bytes) -> bool:
    return entry[:6] in _REGULAR and entry.lower().endswith((b".yaml", b".yml"))
