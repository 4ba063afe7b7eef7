"""Edits of git trees, which read and write only the directories on the edited paths."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct, field

from gitorch.git.modes import DIRECTORY

# Returns the data of a tree object, by its oid.
Read = Callable[[bytes], bytes]
# Stores the data of a tree object and returns its oid.
Write = Callable[[bytes], bytes]

_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)

_MOST_REMEMBERED = 64  # trees


class TreeEntry(NamedTuple):
    """The mode and the oid that a tree has for a name."""

    mode: int
    oid: bytes


# The entries of the newest trees, by the data of the tree. The tree `runs`, with up to 256
# directories, is on the path of every run, and would be parsed again for each file.
_newest: dict[bytes, dict[bytes, TreeEntry]] = {}
_lock = threading.Lock()


class Edits(Struct):
    """The changes below one directory, by name.

    In `changes`, None removes the file or directory with that name. `fresh` means that the former
    content of the directory is gone. `entered` means that something was put below the directory,
    even if it was removed again: a file that stood in the directory's place is then gone.
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
        """Return the oid of the tree `base` with the edits applied, or None if nothing is left."""
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
        if not entries:
            return None
        ordered = _in_order(entries)
        data = render_tree(ordered)
        _remember(data, ordered)
        return write(data)

    def _apply_to_entry(
        self, before: TreeEntry | None, read: Read, write: Write
    ) -> TreeEntry | None:
        """Return the entry with which the edits replace the entry `before`."""
        if self._keeps_file(before):
            return before
        base = None
        if before and before.mode == DIRECTORY:
            base = before.oid
        oid = self.apply(base, read, write)
        return TreeEntry(DIRECTORY, oid) if oid else None

    def _keeps_file(self, before: TreeEntry | None) -> bool:
        """Return True if `before` is a file that stays, as edits only remove paths below it."""
        if before is None or before.mode == DIRECTORY:
            return False
        return not (self.fresh or self.entered)


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
    if pending and not pending._keeps_file(entry):
        return None
    return entry


def _child(entry: TreeEntry | None, name: bytes, read: Read) -> TreeEntry | None:
    if entry is None or entry.mode != DIRECTORY:
        return None
    return _parsed(read(entry.oid)).get(name)


def parse_tree(data: bytes) -> dict[bytes, TreeEntry]:
    """Return the entries of a tree object, by name."""
    return _parsed(data).copy()


def each_entry(data: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Return mode, name and oid of each entry of a tree object. The mode is in octal digits."""
    return _ENTRY.findall(data)


def render_tree(entries: dict[bytes, TreeEntry]) -> bytes:
    """Return the data of a tree object with these entries, which are in the order of a tree."""
    rendered = []
    for name, (mode, oid) in entries.items():
        rendered.append(b"%o %s\0%s" % (mode, name, oid))
    return b"".join(rendered)


def _in_order(entries: dict[bytes, TreeEntry]) -> dict[bytes, TreeEntry]:
    """Return the entries in the order of a tree: a directory as if its name ended with a slash."""
    names = []
    for name, entry in entries.items():
        key = name + b"/" if entry.mode == DIRECTORY else name
        names.append((key, name))
    names.sort()
    return {name: entries[name] for _, name in names}


def _parsed(data: bytes) -> dict[bytes, TreeEntry]:
    entries = _newest.get(data)
    if entries is None:
        entries = {}
        for mode, name, oid in each_entry(data):
            entries[name] = TreeEntry(int(mode, 8), oid)
        _remember(data, entries)
    return entries


def _remember(data: bytes, entries: dict[bytes, TreeEntry]) -> None:
    """Remember the entries of a tree, which nothing changes from now on, in place of the oldest."""
    with _lock:
        _newest[data] = entries
        if len(_newest) > _MOST_REMEMBERED:
            del _newest[next(iter(_newest))]


def _components(path: bytes) -> list[bytes]:
    """Return the names on a path. Raises ValueError if no git tree may hold one of them."""
    names = path.split(b"/")
    for name in names:
        is_reserved = name in (b"", b".", b"..") or name.lower() == b".git"
        if is_reserved or b"\0" in name:
            raise ValueError(f"{path!r} cannot be a path in a tree")
    return names
