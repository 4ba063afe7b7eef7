"""Digests of code: whether two trees hold the same code, and in which files they differ."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache, partial

from msgspec import Struct

from gitorch.git.command import call_git
from gitorch.git.committed_files import CommittedFiles
from gitorch.git.repository import Repository
from gitorch.git.store.objects import read_objects
from gitorch.model.text.globs import first_match

# The schema that `gitorch init` writes beside the configs, so that an editor finds it on every
# machine. No run depends on it.
SCHEMA = ".gitorch.schema.json"
_REGULAR = (b"100644", b"100755")


class TreeFile(Struct, frozen=True):
    """A file or submodule in a tree.

    `entry` is the line of `git ls-tree -z`: mode, kind, oid, path.
    """

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
    def is_schema(self) -> bool:
        return self.entry[:6] in _REGULAR and self.path.endswith(f"/{SCHEMA}")

    @property
    def is_yaml(self) -> bool:
        return self.entry[:6] in _REGULAR and self.path.lower().endswith(
            (".yaml", ".yml")
        )


class CodeDigests:
    """The code in trees: each tree is listed once, and each digest is computed once.

    Any thread may use this.

    `configs_among` takes YAML files as a mapping from path to content. The function returns the
    paths of configs and of files that configs extend. These files do not count as code.
    """

    def __init__(
        self,
        repo: Repository,
        configs_among: Callable[[Mapping[str, bytes]], frozenset[str]],
    ) -> None:
        self._repo = repo
        self._configs_among = configs_among
        self._files = lru_cache(maxsize=4)(self._list)
        self.committed = lru_cache(maxsize=4)(partial(CommittedFiles, repo))
        self.configs = lru_cache(maxsize=4)(self._find_configs)
        self._digest = lru_cache(maxsize=1024)(self._compute)

    def of(
        self,
        tree: str,
        globs: tuple[str, ...] | None = None,
        aside: frozenset[str] = frozenset(),
    ) -> str:
        """Return a SHA-256 over path, mode and content of the files that match the globs.

        Without globs all files count. Configs, their schema and the paths in `aside` are left out,
        so the digest stays the same if a config is committed or if a file that does not match is
        changed. For a submodule, its commit counts.
        """
        return self._digest(tree, globs, aside)

    def files(self, tree: str) -> tuple[TreeFile, ...]:
        """Return all files in the tree, in its order. A submodule is the entry with its commit."""
        return self._files(tree)

    def differing(
        self, tree: str, other: str, globs: tuple[str, ...] | None = None
    ) -> tuple[str, ...]:
        """Return the paths in which two trees differ, among the files that count in `of`."""
        files = set(self._code(tree, globs, frozenset()))
        other_files = set(self._code(other, globs, frozenset()))
        paths = {file.path for file in files ^ other_files}
        return tuple(sorted(paths))

    def _list(self, tree: str) -> tuple[TreeFile, ...]:
        output = call_git(
            self._repo.root, "ls-tree", "-r", "-z", "--full-tree", tree
        )
        files: list[TreeFile] = []
        *entries, _ = output.split(b"\0")
        *texts, _ = os.fsdecode(output).split("\0")
        for entry, text in zip(entries, texts, strict=True):
            files.append(TreeFile(entry, text.partition("\t")[2]))
        return tuple(files)

    def _compute(
        self, tree: str, globs: tuple[str, ...] | None, aside: frozenset[str]
    ) -> str:
        import hashlib  # noqa: PLC0415  loads OpenSSL in 4 ms, which listing does not need

        entries = [file.entry for file in self._code(tree, globs, aside)]
        return hashlib.sha256(b"\0".join(entries)).hexdigest()

    def _code(
        self, tree: str, globs: tuple[str, ...] | None, aside: frozenset[str]
    ) -> list[TreeFile]:
        left_out = aside | self.configs(tree)
        files = []
        for file in self._files(tree):
            if file.path not in left_out and not file.is_schema:
                files.append(file)
        if globs is None:
            return files
        return [file for file in files if first_match(file.path, globs) is not None]

    def _find_configs(self, tree: str) -> frozenset[str]:
        """Return the paths of the configs in the tree, and of the files that they extend."""
        yaml_files = [file for file in self._files(tree) if file.is_yaml]
        contents = read_objects(self._repo.root, [file.oid for file in yaml_files])
        readable: dict[str, bytes] = {}
        for file, data in zip(yaml_files, contents, strict=True):
            if data:
                readable[file.path] = data
        return self._configs_among(readable)
