"""Tree objects by hand: edits of a tree, which touch only the directories on their way."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct, field

from gitorch.git.modes import DIRECTORY

Read = Callable[[bytes], bytes]  # returns the data of a tree object, by its oid
Write = Callable[
    [bytes], bytes
]  # stores the data of a tree object and returns its oid

_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)


class TreeEntry(NamedTuple):
    """What a name in a tree stands for."""

    mode: int
    oid: bytes


class Edits(Struct):
    """The changes below one directory, by name.

    A None removes the name, whether it is a file or a directory.

    `fresh`: everything that was in the directory before is gone. `entered`: a file that stood in
    the directory's place is gone, because something was put below it, even if that was removed
    again.
    """

    fresh: bool = False
    entered: bool = False
    changes: dict[bytes, Edits | TreeEntry | None] = field(default_factory=dict)

    def put(self, path: bytes, entry: TreeEntry) -> None:
        """Put a file at `path`, in place of anything that is there or on the way there."""
        *directories, name = _components(path)
        edits = self
        for directory in directories:
            below = edits.changes.get(directory, Edits())
            if not isinstance(below, Edits):
                below = Edits(fresh=True)
            below.entered = True
            edits.changes[directory] = below
            edits = below
        edits.changes[name] = entry

    def remove(self, path: bytes) -> None:
        """Remove the file or directory at `path`, if it exists."""
        *directories, name = _components(path)
        edits = self
        for directory in directories:
            below = edits.changes.setdefault(directory, Edits())
            if not isinstance(below, Edits):
                return
            edits = below
        edits.changes[name] = None

    def apply(self, base: bytes | None, read: Read, write: Write) -> bytes | None:
        """Return the oid of the tree `base` with the edits applied; None if it is empty then."""
        entries: dict[bytes, TreeEntry] = {}
        if base is not None and not self.fresh:
            entries = parse_tree(read(base))
        for name, change in self.changes.items():
            entry = change
            if isinstance(entry, Edits):
                entry = entry._apply_to_entry(entries.get(name), read, write)
            if entry:
                entries[name] = entry
            else:
                entries.pop(name, None)
        return write(render_tree(entries)) if entries else None

    def _apply_to_entry(
        self, before: TreeEntry | None, read: Read, write: Write
    ) -> TreeEntry | None:
        """Return what the directory's name stands for after the edits; it stood for `before`."""
        if self._keeps_file(before):
            return before
        base = before.oid if before and before.mode == DIRECTORY else None
        oid = self.apply(base, read, write)
        return TreeEntry(DIRECTORY, oid) if oid else None

    def _keeps_file(self, before: TreeEntry | None) -> bool:
        """Return True if a file stands here and stays, since edits only remove things below it."""
        is_file = before is not None and before.mode != DIRECTORY
        return is_file and not (self.fresh or self.entered)


def find(
    path: bytes, base: bytes | None, edits: Edits, read: Read
) -> TreeEntry | None:
    """Return the entry at `path` as it is once `edits` are applied to `base`.

    A directory is found only if it has no edits.
    """
    pending: Edits | None = edits
    entry = TreeEntry(DIRECTORY, base) if base else None
    for name in _components(path):
        before = None
        if not (pending and pending.fresh):
            before = _child(entry, name, read)
        change: Edits | TreeEntry | None = before
        if pending:
            change = pending.changes.get(name, before)
        if isinstance(change, Edits):
            pending, entry = change, before
        else:
            pending, entry = None, change
    return entry if pending is None or pending._keeps_file(entry) else None


def _child(entry: TreeEntry | None, name: bytes, read: Read) -> TreeEntry | None:
    if entry is None or entry.mode != DIRECTORY:
        return None
    return _parsed(read(entry.oid)).get(name)


def parse_tree(data: bytes) -> dict[bytes, TreeEntry]:
    """Return the entries of a tree object, by name."""
    return _parsed(data).copy()


def render_tree(entries: dict[bytes, TreeEntry]) -> bytes:
    """Return the data of a tree object; git sorts a directory as if its name ended with a slash."""
    ordered: list[tuple[bytes, bytes, TreeEntry]] = []
    for name, entry in entries.items():
        key = name + b"/" if entry.mode == DIRECTORY else name
        ordered.append((key, name, entry))
    ordered.sort()
    return b"".join(
        [b"%o %s\0%s" % (entry.mode, name, entry.oid) for _, name, entry in ordered]
    )


# The tree of up to 256 directories that is on the way to every run would otherwise be parsed for
# each file.
@lru_cache(maxsize=64)
def _parsed(data: bytes) -> dict[bytes, TreeEntry]:
    return {
        name: TreeEntry(int(mode, 8), oid)
        for mode, name, oid in _ENTRY.findall(data)
    }


def _components(path: bytes) -> list[bytes]:
    """Return the names on a path. Raises ValueError if no git tree may hold one of them."""
    names = path.split(b"/")
    for name in names:
        if name in (b"", b".", b"..") or name.lower() == b".git" or b"\0" in name:
            raise ValueError(f"{path!r} cannot be a path in a tree")
    return names
