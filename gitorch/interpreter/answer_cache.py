"""A cache of the answers of interpreters to `probe`.

Starting an interpreter takes as long as a short task. Its answer depends on the call and on the
files that the answer itself names (`depends_on`), and is valid until one of them changes. Answers
are not cached in three cases:

- The interpreter is a version manager's shim, which may start another interpreter at any time.
- The interpreter has a `sitecustomize`, which may do anything.
- A file is so new that it could change again within the same tick of the file system's clock.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitorch.tools.files import write_aside

_YOUNG_NS = 2_000_000_000
_VERSION = 3

Answer = dict[str, Any]
_Stamp = list[int] | None


def load_answer(
    directory: Path, python: str, *, cwd: Path, env: Mapping[str, str]
) -> Answer | None:
    """Return the cached answer to this call, or None if there is no valid one."""
    try:
        entry = json.loads(_entry_path(directory, python).read_bytes())
        if entry["asked"] != _question(python, cwd, env):
            return None
        for path, stamp in entry["files"].items():
            if _stamp(path) != stamp:
                return None
        answer: Answer = entry["answer"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # no entry, or a broken one
    return answer


def save_answer(
    directory: Path,
    python: str,
    answer: Answer,
    *,
    cwd: Path,
    env: Mapping[str, str],
    asked_ns: int,
) -> None:
    """Cache the answer to a call that was made at `asked_ns`, if the answer may be cached.

    A cache that cannot be written is no error: the next call asks the interpreter again.
    """
    with suppress(OSError, ValueError):
        is_shim = not Path(python).samefile(answer["executable"])
        if not answer["depends_on"] or is_shim:
            return
        files: dict[str, _Stamp] = {}
        for path in (python, *answer["depends_on"]):
            files[path] = _stamp(path)
        oldest_young_ns = asked_ns - _YOUNG_NS
        for stamp in files.values():
            if stamp and max(stamp[2:]) > oldest_young_ns:
                return
        directory.mkdir(exist_ok=True)
        question = _question(python, cwd, env)
        entry = {"asked": question, "answer": answer, "files": files}
        write_aside(_entry_path(directory, python), json.dumps(entry).encode())


def clock_ns() -> int:
    """Return the time of the clock that sets the timestamps of files."""
    return time.time_ns()


def _entry_path(directory: Path, python: str) -> Path:
    digest = hashlib.sha256(os.fsencode(python)).hexdigest()
    return directory / f"{digest[:16]}.json"


def _question(python: str, cwd: Path, env: Mapping[str, str]) -> list[Any]:
    """Return all facts about the call that can change the interpreter's answer."""
    variables = []
    for name, value in sorted(env.items()):
        if name.startswith(("PYTHON", "LD_")) or name == "HOME":
            variables.append([name, value])
    return [_VERSION, python, str(cwd), variables]


def _stamp(path: str) -> _Stamp:
    """Return numbers that change when a file, or the list of names in a directory, changes.

    Return None if there is no such file or directory.
    """
    try:
        state = os.stat(path)  # noqa: PTH116  (called for many paths; a Path for each costs more)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]
