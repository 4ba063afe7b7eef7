"""The content of the results branch: parsed objects, and the view of one commit."""

from __future__ import annotations

import json
import os
from typing import Any

from gitorch.errors import GitorchError
from gitorch.git.repository import Repository
from gitorch.git.store.trees import Edits, TreeEntry, find
from gitorch.model.branch_layout import RunPaths

_TREE = b"tree "


def parse_record(data: bytes | None) -> dict[str, Any] | None:
    """Return the record in `data`.

    Raises GitorchError if the record cannot be parsed, because a person has changed it with git.
    """
    if data is None:
        return None
    try:
        record: dict[str, Any] = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise GitorchError(
            f"a record on the results branch cannot be read: {error}",
            "gitorch doctor",
        ) from error
    return record


def tree_of_commit(commit: bytes) -> bytes:
    """Return the tree's oid, which is in the first line of a commit."""
    return bytes.fromhex(commit[len(_TREE) : len(_TREE) + 40].decode())


class BranchView:
    """The branch at one commit, read by pygit2, which is fast for many small reads."""

    def __init__(self, repo: Repository, tip: str) -> None:
        self._repo = repo
        self._tree = tree_of_commit(self.read(bytes.fromhex(tip)))
        self.tip = tip

    def entry(self, path: str) -> TreeEntry | None:
        """Return the tree entry at `path`."""
        return find(os.fsencode(path), self._tree, Edits(), self.read)

    def read(self, oid: bytes) -> bytes:
        """Return the data of an object."""
        data: bytes = self._repo.pygit.odb.read(oid.hex())[1]
        return data

    def record(self, run_id: str) -> dict[str, Any] | None:
        entry = self.entry(RunPaths.of(run_id).record)
        if entry is None:
            return None
        return parse_record(self.read(entry.oid))
