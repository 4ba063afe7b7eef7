"""JSON files that a task writes. What is wrong with them becomes notes of the attempt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gitorch.tools.untrusted import read_plain, reason

DEEPEST = 100  # levels of mappings and lists

LARGEST_METRICS = 4 << 20  # bytes of a JSON file with metrics


class JsonReader:
    """Reads JSON files, and notes what is wrong with them."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def read(self, path: Path, below: Path, name: str, limit: int) -> Any:
        """Return the JSON at `path`. Return None if the file is missing or cannot be used."""
        try:
            value = json.loads(read_plain(path, limit, below=below))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.notes.append(f"{name} is not read: {reason(error)}")
            return None
        except ValueError as error:
            self.notes.append(f"{name} is not read: it is not JSON ({error})")
            return None
        except RecursionError:
            value = None
            is_deep = True
        else:
            is_deep = _is_deep(value)
        if is_deep:
            self.notes.append(
                f"{name} is not read: it is nested more than {DEEPEST} levels deep"
            )
            return None
        return value


def _is_deep(value: Any) -> bool:
    """Return True if mappings and lists are nested more than DEEPEST levels deep."""
    level = [value]
    for _ in range(DEEPEST + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return False
        level = below
    return True
