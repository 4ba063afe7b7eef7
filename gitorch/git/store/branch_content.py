"""The content of the results branch: parsed objects, and the view of one commit."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from gitorch.git.modes import EXECUTABLE, FILE
from gitorch.git.repository import Repository
from gitorch.git.store.trees import Edits, TreeEntry, find
from gitorch.model.branch_layout import RECORD, RunPaths
from gitorch.model.run.record import RecordBroken
from gitorch.model.run.record_file import parse_record

_TREE = b"tree "


def is_file(entry: TreeEntry) -> bool:
    """Return True for a file. A directory, a submodule and a symbolic link are not files."""
    return entry.mode in (FILE, EXECUTABLE)


def missing_record(run_id: str) -> RecordBroken:
    """Return the error for a run whose directory has no file `record.json`."""
    return RecordBroken(run_id, f"it has no file {RECORD}")


def tree_of_commit(commit: bytes) -> bytes:
    """Return the tree's oid, which is in the first line of a commit."""
    return bytes.fromhex(commit[len(_TREE) : len(_TREE) + 40].decode())


def render_commit(
    tree: bytes, parents: Sequence[str], repo: Repository, message: bytes
) -> bytes:
    """Return the data of a commit object."""
    name, email = repo.signature()
    now = time.time()
    zone = time.strftime("%z", time.localtime(now))
    author = f"{name} <{email}> {int(now)} {zone}"
    header = [f"tree {tree.hex()}"]
    for parent in parents:
        header.append(f"parent {parent}")
    header += [f"author {author}", f"committer {author}"]
    return "\n".join(header).encode(errors="replace") + b"\n\n" + message


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
        """Return the record as JSON, or None if there is no such run. Raises RecordBroken."""
        paths = RunPaths.of(run_id)
        entry = self.entry(paths.record)
        if entry is not None and is_file(entry):
            return parse_record(self.read(entry.oid), run_id)
        if self.entry(paths.directory) is not None:
            raise missing_record(run_id)
        return None
