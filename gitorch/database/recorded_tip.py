"""The commit of the results branch that a database holds, read without changing the file."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

from gitorch.database import queue_file, run_index
from gitorch.database.connection import Database, DatabaseBroken
from gitorch.errors import Busy

_COMMIT = re.compile(r"[0-9a-f]{40}")


def recorded_tips(queue: Path, index: Path) -> list[str]:
    """Return the commits that these databases were made from. A file that is broken has none."""
    tips: list[str] = []
    for path, format in ((queue, queue_file.FORMAT), (index, run_index.FORMAT)):
        if not path.exists():
            continue
        try:
            with closing(Database.open_read_only(path, format)) as database:
                rows = database.fetch("get_meta", key="tip")
        except (DatabaseBroken, Busy):
            continue
        for (tip,) in rows:
            if _COMMIT.fullmatch(str(tip)):
                tips.append(tip)
    return tips
