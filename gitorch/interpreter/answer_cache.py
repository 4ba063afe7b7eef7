"""What an interpreter said of itself, remembered for as long as all that it depends on stays as it is.

To start one takes as long as a short task. Its answer follows from the way it was asked and from files that it names
itself (`depends_on`). Nothing is remembered of a version manager's shim, which may start another one any time, of an
interpreter with a `sitecustomize`, which may do anything, and where a file is so young that it could be changed again
within the same tick of the clock.
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
_VERSION = 1

Answer = dict[str, Any]
_Stamp = list[int] | None


def load_answer(
    directory: Path, python: str, *, cwd: Path, env: Mapping[str, str]
) -> Answer | None:
    """What `python` answered when it was asked like this before; None where it may answer otherwise now."""
    try:
        kept = json.loads(_place(directory, python).read_bytes())
        if kept["asked"] == _question(python, cwd, env) and all(
            _stamp(path) == stamp for path, stamp in kept["files"].items()
        ):
            answer: Answer = kept["answer"]
            return answer
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def save_answer(
    directory: Path,
    python: str,
    answer: Answer,
    *,
    cwd: Path,
    env: Mapping[str, str],
    asked_ns: int,
) -> None:
    """Keep an answer to what was asked at `asked_ns`, if it may be; whoever cannot, asks again."""
    with suppress(OSError, ValueError):
        if not answer["depends_on"] or not Path(python).samefile(answer["executable"]):
            return
        files = {path: _stamp(path) for path in (python, *answer["depends_on"])}
        if any(stamp and max(stamp[2:]) > asked_ns - _YOUNG_NS for stamp in files.values()):
            return
        directory.mkdir(exist_ok=True)
        kept = {"asked": _question(python, cwd, env), "answer": answer, "files": files}
        write_aside(_place(directory, python), json.dumps(kept).encode())


def clock_ns() -> int:
    """By the clock that stamps files."""
    return time.time_ns()


def _place(directory: Path, python: str) -> Path:
    return directory / f"{hashlib.sha256(os.fsencode(python)).hexdigest()[:16]}.json"


def _question(python: str, cwd: Path, env: Mapping[str, str]) -> list[Any]:
    """All of the way it is asked that Python heeds."""
    heeded = sorted(
        item for item in env.items() if item[0].startswith(("PYTHON", "LD_")) or item[0] == "HOME"
    )
    return [_VERSION, python, str(cwd), [list(item) for item in heeded]]


def _stamp(path: str) -> _Stamp:
    """What changes whenever a file, or the names in a directory, do; None if there is none."""
    try:
        state = os.stat(path)  # noqa: PTH116  text, many of them
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]
