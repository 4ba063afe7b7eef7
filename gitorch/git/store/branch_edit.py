"""Edits to the results branch: one pack, one commit and one compare-and-swap of the branch."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gitorch.errors import Busy, GitorchError
from gitorch.git.modes import FILE
from gitorch.git.repository import Repository
from gitorch.git.store.artifacts import Stored
from gitorch.git.store.branch_content import (
    is_file,
    missing_record,
    render_commit,
    tree_of_commit,
)
from gitorch.git.store.branch_readme import README
from gitorch.git.store.branch_restoration import BranchKeeper, Looked
from gitorch.git.store.object_cache import ObjectCache
from gitorch.git.store.pack import KeptPack, ObjectType, PackWriter
from gitorch.git.store.refs import move_ref
from gitorch.git.store.spool import SpooledBlob
from gitorch.git.store.trees import Edits, TreeEntry, find
from gitorch.model.branch_layout import KILLED, RUNS, RunPaths
from gitorch.model.run.record_file import parse_record
from gitorch.model.text.phrases import some
from gitorch.tools.readable_json import render_json

# A program that moves the branch again and again is given up on after this time.
_PATIENCE_S = 30.0


class BranchCommit(NamedTuple):
    """A new commit of the branch, and the commit on which it was made.

    The two are the same if there was nothing to commit.
    """

    parent: str | None
    tip: str


class RunsChanged(Busy):
    """Another git program changed runs on the branch while gitorch was changing them.

    Nothing was committed. The same change can be made again, from the records as they are now.
    """

    def __init__(self, run_ids: Sequence[str]) -> None:
        super().__init__(
            f"another git program changed {some(run_ids)} on the results branch just now",
            "try again",
        )


class BranchEdit:
    """Edits that become visible together, when they are committed.

    Made by `ResultsBranch.changing`.
    """

    def __init__(
        self, repo: Repository, ref: str, keeper: BranchKeeper, cache: ObjectCache
    ) -> None:
        self._repo = repo
        self._ref = ref
        self._keeper = keeper
        self._tip, self._kept = keeper.look()
        self._cache = cache
        self._edits = Edits()
        self._pack: PackWriter | None = None
        if self._tip is None:
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

    def include(self, commit: str) -> None:
        """Restore what the branch held at `commit`, which another part of gitorch remembers.

        To be called before any edit.
        """
        self._tip, self._kept = self._keeper.look(commit)

    def commit(
        self, subject: str, trailers: Sequence[tuple[str, str]] = ()
    ) -> BranchCommit:
        """Commit the edits durably.

        If the edits change nothing, there is no new commit, so that a step can be repeated. If
        another git program moves the branch, the edits are applied to what it holds then. Raises
        RunsChanged if that program has changed one of the edited runs, or Busy.
        """
        published: list[KeptPack] = []
        message = _message(subject, trailers)
        deadline = time.monotonic() + _PATIENCE_S
        try:
            with _write_errors_explained():
                while not (committed := self._committed(message, published)):
                    self._move_to(self._keeper.look(self._tip))
                    if time.monotonic() > deadline:
                        raise Busy(
                            f"another program keeps moving {self._ref}",
                            "end it, then try again",
                        )
        finally:
            for pack in published:
                pack.release()
        self._tip = self._kept = committed.tip
        self._edits = Edits()
        return committed

    def close(self) -> None:
        """Discard the edits that are not committed."""
        if self._pack:
            self._pack.close()
        self._pack = None

    def _committed(
        self, message: bytes, published: list[KeptPack]
    ) -> BranchCommit | None:
        """Commit on top of the tip. Return None if the branch is not at the tip any more."""
        parent = self._tip
        base = self._tree()
        tree = self._edits.apply(base, self._read, self._add_tree)
        if tree == base and parent:
            return BranchCommit(parent, parent)
        if tree is None:
            tree = self._add_tree(b"")
        parents = [parent] if parent else []
        data = render_commit(tree, parents, self._repo, message)
        commit = self._add(ObjectType.COMMIT, data).hex()
        published.append(self._packing().publish())
        self.close()
        if not move_ref(self._repo, self._ref, parent, commit, "gitorch"):
            return None
        self._keeper.keep(self._kept, commit)
        return BranchCommit(parent, commit)

    def _move_to(self, looked: Looked) -> None:
        """Apply the edits to another tip.

        Raises RunsChanged if an edited run differs there. The edits were made from what the run was
        before, so they would undo the change.
        """
        before = self._tree()
        self._tip, self._kept = looked
        after = self._tree()
        changed: list[str] = []
        for path in _edited_runs(self._edits):
            if find(path, before, Edits(), self._read) != find(
                path, after, Edits(), self._read
            ):
                changed.append(os.fsdecode(path).split("/")[-1])
        if changed:
            raise RunsChanged(changed)

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


def _edited_runs(edits: Edits) -> Iterator[bytes]:
    """Yield the paths of the directories and marks of the edited runs."""
    for area in (RUNS, KILLED):
        name = os.fsencode(area.removesuffix("/"))
        prefixes = edits.changes.get(name)
        if not isinstance(prefixes, Edits):
            continue
        for prefix, runs in prefixes.changes.items():
            if isinstance(runs, Edits):
                for run in runs.changes:
                    yield b"/".join((name, prefix, run))
