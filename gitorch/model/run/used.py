"""The files that an attempt has used, as far as they are known.

They are kept in `used.json` beside `attempt.json`. Its text depends on nothing else, so git stores
the lists of runs that used the same files once.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gitorch.model.json_struct import JsonStruct, always

SCHEMA = "gitorch/used/v1"
MOST_NAMED = 10  # files, or directories, that were read without being declared


class Used(JsonStruct, frozen=True, kw_only=True):
    """The files of the pinned commit that an attempt has loaded, or opened for reading.

    A symbolic link and the file behind it are both used. The path of a submodule stands for its
    files. `complete` is false if other files may have been used as well: a program other than
    Python was executed, or a process was killed before it could report.
    """

    files: tuple[str, ...]  # sorted
    complete: bool = always(True)

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **super().to_json()}

    def uses(self, path: str) -> bool | None:
        """Return True if the file was used, False if it was not, None if that is not known."""
        if path in self.files:
            return True
        return False if self.complete else None


def summarised(paths: Collection[str], most: int = MOST_NAMED) -> tuple[str, ...]:
    """Return absolute paths, or directories that contain them if the paths are too many.

    A directory ends with a `/`.
    """
    if len(paths) <= most:
        return tuple(sorted(paths))
    names = {f"{path.rpartition('/')[0]}/" for path in paths}
    while len(names) > most:
        deepest = max(name.count("/") for name in names)
        higher = set()
        for name in names:
            if name.count("/") == deepest:
                name = f"{name[:-1].rpartition('/')[0]}/"
            higher.add(name)
        names = higher
    return tuple(sorted(names))
