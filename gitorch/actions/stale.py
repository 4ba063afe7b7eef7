"""`gitorch stale`: the runs whose used files have changed since their pin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.selection import Selection, select_rows
from gitorch.git import pins
from gitorch.git.diff import changed_paths
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Record
from gitorch.model.run.status import Status
from gitorch.model.run.used import Used
from gitorch.storage.catalog import Catalog
from gitorch.storage.records import read_sound_records
from gitorch.storage.site import Site
from gitorch.storage.used_lists import UsedByTask, read_used_lists

# By path: git's letter for the change, from the pin to the revision.
Changes = Mapping[str, str]


class StaleRun(Struct, frozen=True, kw_only=True):
    """A run, and the files that it used and that have changed since."""

    id: str
    label: str
    commit: str
    files: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "label": self.label,
            "commit": self.commit,
            "files": list(self.files),
        }


class Stale(Struct, frozen=True, kw_only=True):
    """The runs that `revision` has made stale, newest first.

    Files have changed since the pin of an `unknown` run too, but it is not known if the run used
    them. The pin of a `lost` run is not in this clone. `examined` is the number of all runs.
    """

    revision: Pin
    runs: tuple[StaleRun, ...]
    unknown: tuple[str, ...]
    lost: tuple[str, ...]
    examined: int

    @property
    def files(self) -> dict[str, int]:
        """Return the changed files, each with the number of runs that used it."""
        counts: Counter[str] = Counter()
        for run in self.runs:
            counts.update(run.files)
        return dict(sorted(counts.items()))

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/stale/v1",
            "commit": self.revision.commit,
            "runs": [run.to_json() for run in self.runs],
            "unknown": list(self.unknown),
            "lost": list(self.lost),
            "examined": self.examined,
        }


def find_stale(site: Site, selection: Selection, revision: str = "HEAD") -> Stale:
    """Compare the files that runs used with those of a revision.

    By default all COMPLETE runs are examined. Raises NotFound, UsageError.
    """
    pin = pins.resolve(site.repository, revision)
    if not selection.is_named and selection.status is None:
        selection = replace(selection, status=Status.COMPLETE)
    rows = select_rows(Catalog.of(site), selection, "stale")
    found = read_sound_records(site, [row.id for row in rows])
    records = [found[row.id] for row in rows if row.id in found]
    return _examined(site, records, pin)


def _examined(site: Site, records: Sequence[Record], revision: Pin) -> Stale:
    trees = {task.pin.tree for record in records for task in record.tasks}
    changes = changed_paths(site.repository, sorted(trees), revision.tree)
    lists = read_used_lists(site, records)
    comparison = _Comparison(site, changes, revision)
    stale = []
    unknown = []
    lost = []
    for record in records:
        files = comparison.used_and_changed(record, lists)
        if files:
            stale.append(
                StaleRun(
                    id=record.id,
                    label=record.label,
                    commit=record.pin.commit,
                    files=tuple(sorted(files)),
                )
            )
        elif any(task.pin.tree not in changes for task in record.tasks):
            lost.append(record.id)
        elif comparison.is_unknown(record, lists):
            unknown.append(record.id)
    return Stale(
        revision=revision,
        runs=tuple(stale),
        unknown=tuple(unknown),
        lost=tuple(lost),
        examined=len(records),
    )


class _Comparison:
    """The changes since each tree. Equal lists at one tree are compared once."""

    def __init__(
        self, site: Site, changes: Mapping[str, Changes], revision: Pin
    ) -> None:
        self._site = site
        self._changes = changes
        self._revision = revision
        self._common: dict[tuple[str, int], frozenset[str]] = {}
        self._is_code_changed: dict[str, bool] = {}

    def used_and_changed(self, record: Record, lists: UsedByTask) -> set[str]:
        """Return the files that tasks of the run used and that have changed."""
        files: set[str] = set()
        for task in record.tasks:
            used = lists.get((record.id, task.id))
            if used is not None:
                files |= self._in_common(task.pin.tree, used)
        return files

    def is_unknown(self, record: Record, lists: UsedByTask) -> bool:
        """Return True if a task may have used code that has changed."""
        for task in record.tasks:
            used = lists.get((record.id, task.id))
            is_known = used is not None and used.complete
            if not is_known and self._has_changed_code(task.pin.tree):
                return True
        return False

    def _in_common(self, tree: str, used: Used) -> frozenset[str]:
        # Equal lists are the same object, which `lists` keeps alive.
        key = tree, id(used)
        if key not in self._common:
            changed = self._changes.get(tree, {})
            common = changed.keys() & set(used.files)
            self._common[key] = frozenset(common)
        return self._common[key]

    def _has_changed_code(self, tree: str) -> bool:
        """Return True if a file other than a config has changed since the tree."""
        if tree not in self._is_code_changed:
            code = self._site.code
            configs: frozenset[str] = frozenset()
            changed = self._changes[tree].keys()
            if changed:
                configs = code.configs(tree) | code.configs(self._revision.tree)
            self._is_code_changed[tree] = bool(changed - configs)
        return self._is_code_changed[tree]
