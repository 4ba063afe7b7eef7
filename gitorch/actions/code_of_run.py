"""The commit that a run executes, as text: its message, its author, and its diff."""

from __future__ import annotations

from msgspec import Struct

from gitorch.actions.records import find_record
from gitorch.git import pins
from gitorch.git.commit_text import CommitText as CommitText
from gitorch.git.commit_text import commit_text as _read
from gitorch.git.diff import diff_text
from gitorch.model.run.pin import Origin
from gitorch.storage.site import Site


class CodeChange(Struct, frozen=True, kw_only=True):
    """The commit of a run and the diff to its parent, as git prints it."""

    commit: CommitText
    is_snapshot: bool
    diff: bytes


def commit_text(site: Site, commit: str) -> CommitText:
    """Return the text of a commit. Raises NotFound if it is not in this clone."""
    pins.require(site.repository, commit)
    return _read(site.repository, commit)


def code_change(site: Site, reference: str) -> CodeChange:
    """Return what the commit of a run changed. Raises NotFound, UsageError."""
    record = find_record(site, reference)
    commit = commit_text(site, record.pin.commit)
    return CodeChange(
        commit=commit,
        is_snapshot=record.pin.origin is Origin.SNAPSHOT,
        diff=diff_text(site.repository, commit.parent, commit.oid, color=False),
    )
