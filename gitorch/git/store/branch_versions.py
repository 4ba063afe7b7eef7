"""The commits of the results branch and their order, and which of two versions of a record wins."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

from gitorch.errors import GitorchError
from gitorch.git.command import call_git_items, run_git
from gitorch.git.repository import Repository
from gitorch.git.store.branch_content import tree_of_commit
from gitorch.model.branch_layout import RECORD, RUNS
from gitorch.model.run.labels import with_labels_of
from gitorch.model.run.record_file import parse_record
from gitorch.model.run.record_order import is_further
from gitorch.tools.readable_json import render_json

# The number of commits that are searched for earlier versions of records.
_LONGEST_SEARCH = 10_000
_EARLIER = (
    "log",
    "--raw",
    "-z",
    "--no-abbrev",
    "--no-renames",
    "--format=",
    "--first-parent",
    "-m",
    f"--max-count={_LONGEST_SEARCH}",
)


def contains(repo: Repository, commit: str, other: str) -> bool:
    """Return True if `other` is `commit` or one of its ancestors."""
    return commit == other or repo.pygit.descendant_of(commit, other)


def is_complete(repo: Repository, commit: str) -> bool:
    """Return True if this clone has the commit with all its history and files.

    A commit that no reference leads to may be half removed by a gc.
    """
    options = ("--ignore-missing", "--objects", "--quiet", commit, "--not", "--all")
    return run_git(repo.root, "rev-list", *options).returncode == 0


def read_object(repo: Repository, oid: bytes) -> bytes:
    data: bytes = repo.pygit.odb.read(oid.hex())[1]
    return data


def tree_at(repo: Repository, commit: str) -> bytes:
    """Return the oid of a commit's tree."""
    return tree_of_commit(read_object(repo, bytes.fromhex(commit)))


class Versions:
    """Chooses between the versions that two commits have of a run's record.

    A version that the other commit's own history has had before is out of date: for example, a user
    has committed from a worktree that was checked out before the newest results. Apart from this,
    the later commit wins if one commit descends from the other, since somebody has edited the
    record. Otherwise the run that has got further wins.
    """

    def __init__(self, repo: Repository, tip: str, known: str) -> None:
        self._repo = repo
        self._tip = tip
        self._known = known

    def is_known_better(self, path: bytes, at_tip: bytes, known: bytes) -> bool:
        """Return True if the known version of the record at `path` wins over that of the tip."""
        if (path, at_tip.hex()) in self._before_known:
            return True
        if contains(self._repo, self._tip, self._known):
            return False
        if (path, known.hex()) in self._before_tip:
            return False
        return is_further(self._record(known), self._record(at_tip))

    def with_all_labels(self, record: bytes, other: bytes) -> bytes | None:
        """Return the text of a record with the labels that only the other version has.

        Return None if there are none, or if somebody has changed the known version: what was
        removed from it stays removed.
        """
        if contains(self._repo, self._tip, self._known):
            return None
        records = self._record(record), self._record(other)
        if None in records:
            return None
        merged = with_labels_of(*records)
        return None if merged is None else render_json(merged)

    @cached_property
    def _before_known(self) -> frozenset[tuple[bytes, str]]:
        return _earlier_records(self._repo, self._known)

    @cached_property
    def _before_tip(self) -> frozenset[tuple[bytes, str]]:
        return _earlier_records(self._repo, self._tip)

    def _record(self, oid: bytes) -> Any:
        """Return the record in a blob, or None if it cannot be read."""
        try:
            return parse_record(read_object(self._repo, oid), "")
        except (GitorchError, KeyError):
            return None


def _earlier_records(repo: Repository, commit: str) -> frozenset[tuple[bytes, str]]:
    """Return path and oid of the versions of records that were replaced up to `commit`."""
    items = call_git_items(repo.root, *_EARLIER, commit, "--", RUNS)
    earlier: set[tuple[bytes, str]] = set()
    # A change is two items: ":<mode> <mode> <oid before> <oid after> <letter>" and the path.
    for change, path in zip(items[::2], items[1::2], strict=True):
        if path.endswith(f"/{RECORD}"):
            earlier.add((os.fsencode(path), change.split(" ")[2]))
    return frozenset(earlier)
