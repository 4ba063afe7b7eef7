"""Which files are configs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gitorch.config.bases import LARGEST_CONFIG, SUFFIXES, named_bases
from gitorch.config.yaml_parser import parse_document
from gitorch.errors import NotFound, UsageError
from gitorch.tools.untrusted import Unacceptable, read_plain

__all__ = ["SUFFIXES", "configs_among", "find_configs", "is_config"]


def is_config(data: bytes) -> bool:
    """Return True if `data` is a YAML mapping with `tasks`. This never raises."""
    if b"tasks" not in data:
        return False
    value = parse_document(data, "").value
    return isinstance(value, dict) and "tasks" in value


def configs_among(files: Mapping[str, bytes]) -> frozenset[str]:
    """Return the paths of the configs among these YAML files, and of their bases.

    This never raises.
    """
    configs: set[str] = set()
    for path, data in files.items():
        if is_config(data):
            configs.add(path)
    to_visit = list(configs)
    while to_visit:
        path = to_visit.pop()
        named = set(named_bases(files[path], path))
        new = (files.keys() & named) - configs
        configs |= new
        to_visit += new
    return frozenset(configs)


def find_configs(path: Path) -> list[Path]:
    """Return the file at `path`, or all configs in the directory at `path`, sorted.

    Files and directories whose names begin with `_` or `.` are left out of the search. Raises
    NotFound if there is no config.
    """
    if path.exists() and not path.is_dir():
        return [path]
    if not path.is_dir():
        raise NotFound(
            f"{path} does not exist",
            "name a config, or a directory of configs",
        )
    configs: list[Path] = []
    for directory, subdirectories, names in os.walk(path):
        subdirectories[:] = filter(_is_searched, subdirectories)
        for name in filter(_is_searched, names):
            file = Path(directory, name)
            if name.endswith(SUFFIXES) and file.is_file():
                configs.append(file)
    if not configs:
        hint = "a config's name ends in .yaml or .yml; names that begin with _ or . are left out"
        raise NotFound(f"there is no config in {path}", hint)
    return sorted(configs)


def read_config(path: Path) -> bytes:
    """Return the content of a config. Raises UsageError if it is not a file that can be read."""
    try:
        return read_plain(path, LARGEST_CONFIG)
    except Unacceptable as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _is_searched(name: str) -> bool:
    return not name.startswith(("_", "."))
