"""The directories of runs on the results branch, and everything beside them.

Anybody can put other things there with git, by hand or by a merge.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from gitorch.git.modes import DIRECTORY
from gitorch.git.store.objects import read_objects
from gitorch.git.store.trees import TreeEntry, parse_tree
from gitorch.model.branch_layout import KILLED, RUNS
from gitorch.model.run.ids import is_run_id

_PREFIX = re.compile(rb"[0-9a-f]{2}\Z")


class _Named(Struct, frozen=True):
    """An entry in `runs/` or `killed/`, or in one of their directories."""

    path: str
    run_id: str | None  # None: no run has this path
    entry: TreeEntry


def run_trees(root: Path, commit: str) -> dict[str, str]:
    """Return the oid of each run's directory, by the run's id."""
    trees = {}
    for named in _entries(root, commit, RUNS):
        if named.run_id is not None:
            trees[named.run_id] = named.entry.oid.hex()
    return trees


def killed_runs(root: Path, commit: str) -> set[str]:
    """Return the ids of the runs that have a mark of a kill."""
    return {
        named.run_id for named in _entries(root, commit, KILLED) if named.run_id
    }


def strays(root: Path, commit: str) -> list[str]:
    """Return the paths in `runs/` and `killed/` that belong to no run."""
    paths = []
    for top in (RUNS, KILLED):
        for named in _entries(root, commit, top):
            if named.run_id is None:
                paths.append(named.path)
    return paths


def _entries(root: Path, commit: str, top: str) -> Iterator[_Named]:
    """Yield the entries of the directories in `top`, and those that are not such directories."""
    name = top.removesuffix("/")
    entry = parse_tree(_trees(root, [f"{commit}^{{tree}}"])[0]).get(name.encode())
    if entry is None:
        return
    if entry.mode != DIRECTORY:
        yield _Named(name, None, entry)
        return
    prefixes = parse_tree(_trees(root, [entry.oid.hex()])[0])
    directories = {}
    for prefix, entry in prefixes.items():
        if entry.mode == DIRECTORY and _PREFIX.match(prefix):
            directories[prefix] = entry
        else:
            yield _Named(top + os.fsdecode(prefix), None, entry)
    oids = [entry.oid.hex() for entry in directories.values()]
    for prefix, data in zip(directories, _trees(root, oids), strict=True):
        for name_of_run, entry in parse_tree(data).items():
            text = os.fsdecode(name_of_run)
            is_run = is_run_id(text) and name_of_run.startswith(prefix)
            path = f"{top}{os.fsdecode(prefix)}/{text}"
            yield _Named(path, text if is_run else None, entry)


def _trees(root: Path, names: list[str]) -> list[bytes]:
    """Return the data of trees, empty for a tree that does not exist."""
    return [data or b"" for data in read_objects(root, names, "tree")]
