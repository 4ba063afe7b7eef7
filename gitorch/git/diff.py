"""Code compared: whether two trees are the same code, and what lies between two commits."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from gitorch.git.command import call_git, call_git_items
from gitorch.git.repository import Repository
from gitorch.git.store.objects import read_objects
from gitorch.model.text.globs import first_match

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


class CodeDigests:
    """What code trees hold: each listed once, each digest computed once. For any thread.

    `configs_among` tells which of some YAML files, content by path, are configs or part of one: they are no code.
    """

    def __init__(
        self, repo: Repository, configs_among: Callable[[Mapping[str, bytes]], frozenset[str]]
    ) -> None:
        self._repo = repo
        self._configs_among = configs_among
        self._files = lru_cache(maxsize=4)(self._list)
        self.configs = lru_cache(maxsize=4)(self._find_configs)
        self._digest = lru_cache(maxsize=1024)(self._compute)

    def of(
        self, tree: str, globs: tuple[str, ...] | None = None, aside: frozenset[str] = frozenset()
    ) -> str:
        """A SHA-256 over path, mode and content of the files that the globs name, configs and the paths `aside` left
        out; by default of all.

        So committing a config alone does not make other code, nor does what is not named. Submodules count by their
        commit.
        """
        return self._digest(tree, globs, aside)

    def files(self, tree: str) -> tuple[TreeFile, ...]:
        """All files in the tree, in its order; of a submodule the one that it stands at."""
        return self._files(tree)

    def differing(
        self, tree: str, other: str, globs: tuple[str, ...] | None = None
    ) -> tuple[str, ...]:
        """The paths of the files, among those that count in `of`, in which two trees differ."""
        one, another = (set(self._code(known, globs, frozenset())) for known in (tree, other))
        return tuple(sorted({file.path for file in one ^ another}))

    def _list(self, tree: str) -> tuple[TreeFile, ...]:
        entries = call_git(self._repo.root, "ls-tree", "-r", "-z", "--full-tree", tree).split(
            b"\0"
        )[:-1]
        return tuple(
            TreeFile(entry, os.fsdecode(entry[entry.index(b"\t") + 1 :])) for entry in entries
        )

    def _compute(self, tree: str, globs: tuple[str, ...] | None, aside: frozenset[str]) -> str:
        return hashlib.sha256(
            b"\0".join(file.entry for file in self._code(tree, globs, aside))
        ).hexdigest()

    def _code(
        self, tree: str, globs: tuple[str, ...] | None, aside: frozenset[str]
    ) -> list[TreeFile]:
        files = self._files(tree)
        if globs is not None:
            files = tuple(file for file in files if first_match(file.path, globs) is not None)
        aside |= self.configs(tree)
        return [file for file in files if file.path not in aside]

    def _find_configs(self, tree: str) -> frozenset[str]:
        """The paths of the configs in the tree, and of what they extend."""
        yaml = [file for file in self._files(tree) if file.is_yaml]
        contents = read_objects(self._repo.root, [file.oid for file in yaml])
        return self._configs_among(
            {file.path: data for file, data in zip(yaml, contents, strict=True) if data}
        )


class TreeFile(NamedTuple):
    """What a tree holds at a path; `entry` is as `git ls-tree -z` has it: mode, kind, oid, path."""

    entry: bytes
    path: str

    @property
    def oid(self) -> str:
        return self.entry.split(b" ", 2)[2].partition(b"\t")[0].decode()

    @property
    def is_link(self) -> bool:
        return self.entry.startswith(b"120000")

    @property
    def is_submodule(self) -> bool:
        return self.entry.startswith(b"160000")

    @property
    def is_yaml(self) -> bool:
        return self.entry[:6] in _REGULAR and self.path.lower().endswith((".yaml", ".yml"))


def changes_between(repo: Repository, a: str, b: str) -> Changes:
    return Changes(_commits(repo, a, b), _files(repo, a, b))


def diff_text(
    repo: Repository, a: str, b: str, *, color: bool = False, stat: bool = False
) -> bytes:
    """The difference as git shows it; paths and lines are bytes of whatever encoding."""
    options = ("--color=always",) if color else ()
    return call_git(repo.root, *_DIFF, *options, *(("--stat",) if stat else ()), a, b, "--")


def _commits(repo: Repository, a: str, b: str) -> tuple[Commit, ...]:
    items = call_git_items(
        repo.root, "log", "--no-show-signature", "--format=%H%s", "-z", f"{a}...{b}", "--"
    )
    return tuple(Commit(item[:40], item[40:]) for item in items)


def _files(repo: Repository, a: str, b: str) -> tuple[FileChange, ...]:
    """`--raw` gives two items a file, facts and path; then `--numstat` one for each of the same files in that order."""
    items = call_git_items(
        repo.root, *_DIFF, "--no-renames", "--raw", "--numstat", "-z", a, b, "--"
    )
    count = len(items) // 3
    files = []
    for facts, path, counts in zip(
        items[: 2 * count : 2], items[1 : 2 * count : 2], items[2 * count :], strict=True
    ):
        added, deleted, _ = counts.split("\t", 2)
        files.append(FileChange(path, facts[-1], _count(added), _count(deleted)))
    return tuple(files)


def _count(text: str) -> int | None:
    return None if text == "-" else int(text)
