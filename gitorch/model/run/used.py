"""The files that an attempt has used, as far as they are known.

They are kept in `used.json` beside `attempt.json`. Its text depends on nothing else, so git stores
the lists of runs that used the same files once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
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


def usage(
    paths: Collection[str], lists: Iterable[Used | None]
) -> dict[str, bool | None]:
    """Return for each path if one of the lists has it, None if that is not known."""
    used: set[str] = set()
    is_complete = True
    seen: set[int] = set()
    for one in lists:
        if one is None or not one.complete:
            is_complete = False
        if one is not None and id(one) not in seen:
            seen.add(id(one))  # runs share their lists
            used.update(one.files)
    unused = False if is_complete else None
    return {path: path in used or unused for path in paths}


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
