"""The paths of a Python process that opens many files, or changes its directory: each is kept once.

`gitorch_recorder` loads this module when it is needed.
"""

import os
import sys

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_recorder = sys.modules["gitorch_recorder"]
_MOST_RAW = 50_000  # paths, before those that do not count are dropped
_MOST = 100_000  # paths in the worktree
_MOST_OUTSIDE = 1000  # paths outside of the worktree, then as many directories


class KeptPaths:
    """The paths, each once.

    `raw` are as they were given. `inside` and `outside`, of the worktree, are absolute. With
    `is_cut`, some are left out because there are too many.
    """

    def __init__(self, path: str) -> None:
        self.tree = os.path.normpath(os.path.join(path, *[os.pardir] * 4, "tree"))
        self.raw: set[Any] = set()
        self.inside: set[str] = set()
        self.outside: set[str] = set()
        self.is_cut = False

    def add(self, encoded: "Iterable[bytes]") -> None:
        """Add the paths of these entries."""
        for entries in encoded:
            paths = os.fsdecode(entries[:-1]).split("\0")
            self.raw.update(paths)  # at once: another thread may replace `raw`
        if len(self.raw) > _MOST_RAW:
            self.sort()

    def absolute(self) -> "list[str]":
        return [*self.inside, *self.outside]

    def sort(self) -> None:
        """Make the paths of `raw` absolute, and drop those that do not count."""
        raw = self.raw
        self.raw = set()
        trees = (self.tree + os.sep, os.path.realpath(self.tree) + os.sep)
        own = _recorder.ignored()
        here = _recorder.here()
        for path in raw:
            if path[:1] != "/":
                path = here + path
            if path.startswith(trees):
                self._add(path, self.inside)
            elif not path.startswith(own):
                self._add_outside(path)

    def _add_outside(self, path: str) -> None:
        if len(self.outside) >= _MOST_OUTSIDE and path not in self.outside:
            path = path.rpartition(os.sep)[0] + os.sep
        if len(self.outside) < 2 * _MOST_OUTSIDE:
            self._add(path, self.outside)

    def _add(self, path: str, kept: "set[str]") -> None:
        if len(kept) < _MOST:
            kept.add(path)
        elif path not in kept:
            self.is_cut = True
