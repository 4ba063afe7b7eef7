"""Code compared: whether two trees are the same code, and what lies between two commits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal, NamedTuple

from gitorch.git.command import call_git, call_git_items
from gitorch.git.objects import read_objects
from gitorch.git.repository import Repository

# The program's output as it is whatever the user's own settings for diffs say.
_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--find-renames", "--submodule=short")
_REGULAR = (b"100644", b"100755")


class Commit(NamedTuple):
    """A commit that only one of two has behind it."""

    oid: str
    subject: str
    side: Literal["a", "b"]


class FileChange(NamedTuple):
    """`status` is git's letter (A, C, D, M, R, T); counts are of lines, None of a binary file."""

    path: str
    status: str
    added: int | None
    deleted: int | None
    source: str | None = None  # where it was before, of one that was renamed


class Changes(NamedTuple):
    """What lies between two commits a and b: the history apart, and what makes b's files of a's."""

    commits: tuple[Commit, ...]  # newest first
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
    arguments = ("log", "--no-show-signature", "--left-right", "--format=%m%H%s", "-z", f"{a}...{b}", "--")
    items = call_git_items(repo.root, *arguments)
    return tuple(Commit(item[1:41], item[41:], "a" if item[0] == "<" else "b") for item in items)


def _files(repo: Repository, a: str, b: str) -> tuple[FileChange, ...]:
    """`--raw` gives the letters, then `--numstat` the counts, of the same files in the same order."""
    items = iter(call_git_items(repo.root, *_DIFF, "--raw", "--numstat", "-z", a, b, "--"))
    letters: dict[str, tuple[str, str | None]] = {}
    files = []
    for item in items:
        if item.startswith(":"):
            letter = item.rsplit(" ", 1)[1][0]
            source = next(items)
            path = next(items) if letter in "RC" else source
            letters[path] = (letter, source if path != source else None)
            continue
        added, deleted, path = item.split("\t", 2)
        if not path:  # of a renamed file the two paths follow
            next(items)
            path = next(items)
        files.append(FileChange(path, letters[path][0], _count(added), _count(deleted), letters[path][1]))
    return tuple(files)


def _count(text: str) -> int | None:
    return None if text == "-" else int(text)


def _is_yaml(entry: bytes) -> bool:
    return entry[:6] in _REGULAR and entry.lower().endswith((b".yaml", b".yml"))
