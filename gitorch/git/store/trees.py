"""Tree objects by hand: a set of edits laid over a tree, touching only the directories on their way."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct, field

from gitorch.git.modes import DIRECTORY

Read = Callable[[bytes], bytes]  # the data of a tree object, by its oid
Write = Callable[[bytes], bytes]  # keeps the data of a tree object and gives its oid


class TreeEntry(NamedTuple):
    """What a name in a tree stands for."""

    mode: int
    oid: bytes


class Edits(Struct):
    """What is to be changed below one directory; `fresh`: whatever was there before is gone; `entered`: a file is gone
    that stood in its place, since something was put below, be it removed again.

    A None among `changes` removes that name, be it a file or a directory.
    """

    fresh: bool = False
    entered: bool = False
    changes: dict[bytes, Edits | TreeEntry | None] = field(default_factory=dict)

    def put(self, path: bytes, entry: TreeEntry) -> None:
        """Put a file at `path`, in place of whatever is there or on the way there."""
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
        """Remove the file or directory at `path`, if it is there."""
        *directories, name = _components(path)
        edits = self
        for directory in directories:
            below = edits.changes.setdefault(directory, Edits())
            if not isinstance(below, Edits):
                return
            edits = below
        edits.changes[name] = None

    def apply(self, base: bytes | None, read: Read, write: Write) -> bytes | None:
        """The oid of the tree `base` with the edits applied; None where nothing is left of it."""
        entries = parse_tree(read(base)) if base is not None and not self.fresh else {}
        for name, change in self.changes.items():
            if isinstance(change, Edits):
                change = change._applied(entries.get(name), read, write)
            if change:
                entries[name] = change
            else:
                entries.pop(name, None)
        return write(render_tree(entries)) if entries else None

    def _applied(self, before: TreeEntry | None, read: Read, write: Write) -> TreeEntry | None:
        if self._leaves(before):
            return before
        oid = self.apply(before.oid if before and before.mode == DIRECTORY else None, read, write)
        return TreeEntry(DIRECTORY, oid) if oid else None

    def _leaves(self, before: TreeEntry | None) -> bool:
        """Whether a file stands here and stays, since something was only to be removed below it."""
        is_file = before is not None and before.mode != DIRECTORY
        return is_file and not (self.fresh or self.entered)


def find(path: bytes, base: bytes | None, edits: Edits, read: Read) -> TreeEntry | None:
    """The file that `path` stands for once `edits` are applied to `base`; of a directory only one without edits."""
    pending: Edits | None = edits
    entry = TreeEntry(DIRECTORY, base) if base else None
    for name in _components(path):
        before = None if pending and pending.fresh else _child(entry, name, read)
        change = pending.changes.get(name, before) if pending else before
        pending, entry = (change, before) if isinstance(change, Edits) else (None, change)
    return entry if pending is None or pending._leaves(entry) else None


def _child(entry: TreeEntry | None, name: bytes, read: Read) -> TreeEntry | None:
    return _parsed(read(entry.oid)).get(name) if entry and entry.mode == DIRECTORY else None


def parse_tree(data: bytes) -> dict[bytes, TreeEntry]:
    return _parsed(data).copy()


def render_tree(entries: dict[bytes, TreeEntry]) -> bytes:
    """A tree object's data; git sorts a directory as if its name ended with a slash."""
    ordered = sorted(
        (name + b"/" if entry.mode == DIRECTORY else name, name, entry)
        for name, entry in entries.items()
    )
    return b"".join(b"%o %s\0%s" % (entry.mode, name, entry.oid) for _, name, entry in ordered)


_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)


@lru_cache(maxsize=64)  # on the way to a run there is always the same tree of 256 directories
def _parsed(data: bytes) -> dict[bytes, TreeEntry]:
    return {name: TreeEntry(int(mode, 8), oid) for mode, name, oid in _ENTRY.findall(data)}


def _components(path: bytes) -> list[bytes]:
    """The names on a path; those that no git tree may hold are refused with ValueError."""
    names = path.split(b"/")
    for name in names:
        if name in (b"", b".", b"..") or name.lower() == b".git" or b"\0" in name:
            raise ValueError(f"{path!r} cannot be a path in a tree")
    return names
