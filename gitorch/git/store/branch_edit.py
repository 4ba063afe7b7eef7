"""Edits to the results branch: one pack, one commit and one compare-and-swap of the branch."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from gitorch.errors import GitorchError
from gitorch.git.modes import FILE
from gitorch.git.repository import Repository
from gitorch.git.store.artifacts import Stored
from gitorch.git.store.branch_content import is_file, missing_record, tree_of_commit
from gitorch.git.store.branch_readme import README
from gitorch.git.store.branch_state import KEPT
from gitorch.git.store.object_cache import ObjectCache
from gitorch.git.store.pack import KeptPack, ObjectType, PackWriter
from gitorch.git.store.refs import move_ref, read_ref
from gitorch.git.store.spool import SpooledBlob
from gitorch.git.store.trees import Edits, TreeEntry, find
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.record_file import parse_record
from gitorch.tools.readable_json import render_json


class BranchEdit:
    """Edits that become visible together, when they are committed.

    Made by `ResultsBranch.changing`.
    """

    def __init__(
        self, repo: Repository, ref: str, tip: str | None, cache: ObjectCache
    ) -> None:
        self._repo = repo
        self._ref = ref
        self._tip = tip
        self._cache = cache
        self._edits = Edits()
        self._pack: PackWriter | None = None
        if tip is None:
            self.put("README.md", README.encode())

    @property
    def tip(self) -> str | None:
        """The commit that the edits are based on; after `commit`, the new commit."""
        return self._tip

    def read(self, path: str) -> bytes | None:
        """Return the file at `path`, including edits that are not committed yet."""
        entry = find(os.fsencode(path), self._tree(), self._edits, self._read)
        if entry is None or not is_file(entry):
            return None
        return self._read(entry.oid)

    def record(self, run_id: str) -> dict[str, Any] | None:
        """Return the record as JSON, or None if there is no such run. Raises RecordBroken."""
        paths = RunPaths.of(run_id)
        data = self.read(paths.record)
        if data is not None:
            return parse_record(data, run_id)
        directory = find(
            os.fsencode(paths.directory), self._tree(), self._edits, self._read
        )
        if directory is not None:
            raise missing_record(run_id)
        return None

    def put(
        self, path: str, data: bytes | Stored | TreeEntry, mode: int = FILE
    ) -> None:
        """Put a file at `path`.

        A stored artifact, and a tree entry that the branch has elsewhere, have their own mode:
        `mode` is ignored for them.
        """
        if isinstance(data, TreeEntry):
            self._edits.put(os.fsencode(path), data)
            return
        content: bytes | SpooledBlob
        if isinstance(data, Stored):
            mode, content = data.mode, data.data
        else:
            content = data
        with _write_errors_explained():
            if isinstance(content, SpooledBlob):
                oid = content.oid
                self._packing().add_packed(content.packed())
            else:
                oid = self._packing().add(ObjectType.BLOB, content)
            self._edits.put(os.fsencode(path), TreeEntry(mode, oid))

    def put_record(self, record: dict[str, Any]) -> None:
        with _write_errors_explained():
            oid = self._add(ObjectType.BLOB, render_json(record))
        self._edits.put(
            os.fsencode(RunPaths.of(record["id"]).record), TreeEntry(FILE, oid)
        )

    def remove(self, path: str) -> None:
        """Remove the file or directory at `path`, if it exists."""
        self._edits.remove(os.fsencode(path))

    def commit(self, subject: str, trailers: Sequence[tuple[str, str]] = ()) -> str:
        """Commit the edits durably and return the branch's tip.

        If the edits change nothing, there is no new commit, so that a step can be repeated. Raises
        Busy.
        """
        published: list[KeptPack] = []
        message = _message(subject, trailers)
        try:
            with _write_errors_explained():
                tip = self._committed(message, published)
                while tip is None:
                    # The user's own git moved the branch: try again, on top of the new tip.
                    self._tip = read_ref(self._repo, self._ref)
                    tip = self._committed(message, published)
        finally:
            for pack in published:
                pack.release()
        self._tip = tip
        self._edits = Edits()
        return tip

    def close(self) -> None:
        """Discard the edits that are not committed."""
        if self._pack:
            self._pack.close()
        self._pack = None

    def _committed(self, message: bytes, published: list[KeptPack]) -> str | None:
        """Return the new tip, or None if the branch's tip has moved since the edits were begun."""
        base = self._tree()
        tree = self._edits.apply(base, self._read, self._add_tree)
        if tree == base and self._tip:
            return self._tip
        if tree is None:
            tree = self._add_tree(b"")
        data = _render_commit(tree, self._tip, self._repo, message)
        commit = self._add(ObjectType.COMMIT, data).hex()
        published.append(self._packing().publish())
        self.close()
        if not move_ref(self._repo, self._ref, self._tip, commit, "gitorch"):
            return None
        move_ref(self._repo, KEPT, read_ref(self._repo, KEPT), commit, "gitorch")
        return commit

    def _tree(self) -> bytes | None:
        """Return the tree at the tip."""
        if self._tip is None:
            return None
        return tree_of_commit(self._read(bytes.fromhex(self._tip)))

    def _read(self, oid: bytes) -> bytes:
        data = self._cache.get(oid)
        if data is None and self._pack:
            data = self._pack.read(oid)
        if data is None:
            data = self._repo.pygit.odb.read(oid.hex())[1]
        return data

    def _add(self, kind: ObjectType, data: bytes) -> bytes:
        """Add an object that the next change will read again; return its oid."""
        oid = self._packing().add(kind, data)
        self._cache.put(oid, data)
        return oid

    def _add_tree(self, data: bytes) -> bytes:
        return self._add(ObjectType.TREE, data)

    def _packing(self) -> PackWriter:
        if self._pack is None:
            self._pack = PackWriter(self._repo.common_dir)
        return self._pack


@contextlib.contextmanager
def _write_errors_explained() -> Iterator[None]:
    """Raise GitorchError in place of OSError: a full disk, for example, is not a bug."""
    try:
        yield
    except OSError as error:
        raise GitorchError(
            f"the results cannot be written: {error}", "make room, then try again"
        ) from error


def _message(subject: str, trailers: Sequence[tuple[str, str]]) -> bytes:
    """Return a commit message; the subject and each trailer are one line."""
    lines = [" ".join(subject.split()), ""]
    for key, value in trailers:
        lines.append(f"{key}: {' '.join(value.split())}")
    text = "\n".join(lines).strip() + "\n"
    return text.replace("\0", "").encode(errors="replace")


def _render_commit(
    tree: bytes, parent: str | None, repo: Repository, message: bytes
) -> bytes:
    """Return the data of a commit object."""
    name, email = repo.signature()
    now = time.time()
    zone = time.strftime("%z", time.localtime(now))
    author = f"{name} <{email}> {int(now)} {zone}"
    header = [f"tree {tree.hex()}"]
    if parent:
        header.append(f"parent {parent}")
    header += [f"author {author}", f"committer {author}"]
    return "\n".join(header).encode(errors="replace") + b"\n\n" + message
