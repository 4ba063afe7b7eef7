"""What follows from a restoration of the results branch: a message, and new pins."""

from __future__ import annotations

from gitorch.git import pins
from gitorch.git.repository import Repository
from gitorch.git.store.branch_restoration import Restoration
from gitorch.git.store.results import ResultsBranch
from gitorch.model.run.record import Record, RecordBroken
from gitorch.model.text.phrases import counted

_SHORT = 12


def describe(restoration: Restoration, branch: str) -> str:
    """Return one line about the restoration of the branch with this name."""
    source = restoration.source[:_SHORT]
    runs = counted(len(restoration.runs), "run")
    if not restoration.runs:
        return f"another git program deleted gitorch's references; they are restored from {source}"
    if restoration.found is None:
        return f"the branch {branch} was gone; {runs} restored from {source}"
    message = f"the branch {branch} lacked results; {runs} restored from {source}"
    found = restoration.found[:_SHORT]
    if restoration.aside is not None:
        return (
            f"{message} ({found}, to which it was moved, is in {restoration.aside})"
        )
    return f"{message} ({found}, to which it was moved, is in its history)"


def keep_pins(repository: Repository, results: ResultsBranch, tip: str) -> None:
    """Keep the commits of all runs at `tip`; for a caller that holds the lock.

    A program that deletes references that it does not know has deleted the pins as well.
    """
    commits: dict[str, None] = {}
    for document in results.records(tip):
        try:
            record = Record.from_json(document)
        except RecordBroken:
            continue
        commits.update(dict.fromkeys(record.pins))
    missing = commits.keys() - set(pins.kept(repository))
    for commit in pins.present_commits(repository, sorted(missing)):
        pins.keep_locked(repository, commit)
