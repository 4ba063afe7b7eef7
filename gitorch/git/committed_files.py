"""The files that a tree of git has, by their paths."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gitorch.git.modes import DIRECTORY
from gitorch.git.repository import Repository
from gitorch.git.store.objects import read_objects
from gitorch.git.store.trees import each_entry

_Entries = Mapping[str, tuple[int, bytes]]  # mode and oid, by name
_MISSING = (None, b"")


class CommittedFiles:
    """The files and submodules of a tree. A directory is read when it is first asked for."""

    def __init__(self, repo: Repository, tree: str) -> None:
        self._repo = repo
        self._trees: dict[bytes, _Entries] = {}
        self._directories: dict[str, _Entries] = {
            "": self._entries_of(bytes.fromhex(tree))
        }

    def mode(self, path: str) -> int | None:
        """Return the mode of a file or submodule, None if the tree has none at this path."""
        directory, _, name = path.rpartition("/")
        entries = self._directories.get(directory)
        if entries is None:
            entries = self._entries_at(directory)
            self._directories[directory] = entries
        mode, _ = entries.get(name, _MISSING)
        return None if mode == DIRECTORY else mode

    def _entries_at(self, directory: str) -> _Entries:
        entries = self._directories[""]
        for name in directory.split("/"):
            mode, oid = entries.get(name, _MISSING)
            if mode != DIRECTORY:
                return {}
            entries = self._entries_of(oid)
        return entries

    def _entries_of(self, tree: bytes) -> _Entries:
        if tree not in self._trees:
            entries: dict[str, tuple[int, bytes]] = {}
            for mode, name, oid in each_entry(self._read(tree.hex())):
                entries[os.fsdecode(name)] = int(mode, 8), oid
            self._trees[tree] = entries
        return self._trees[tree]

    def _read(self, tree: str) -> bytes:
        try:
            data: bytes = self._repo.pygit.odb.read(tree)[1]
        except KeyError:  # git fetches it, if the clone is a partial one
            (found,) = read_objects(self._repo.root, [tree], "tree")
            data = found or b""
        return data
