"""The text of a commit: who wrote it, when, and its message."""

from __future__ import annotations

from msgspec import Struct

from gitorch.git.command import call_git
from gitorch.git.repository import Repository

# The tree of a commit without files, which git knows without having it.
_EMPTY = {40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}
_EMPTY_SHA256 = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"


class CommitText(Struct, frozen=True, kw_only=True):
    """A commit as people read it. `parent` is an empty tree if the commit is the first one."""

    oid: str
    parent: str
    author: str
    date: str  # RFC 3339
    subject: str
    body: str


def commit_text(repo: Repository, commit: str) -> CommitText:
    """Return the text of a commit that is in this clone."""
    form = "--format=%H%x00%P%x00%an%x00%aI%x00%s%x00%b"
    output = call_git(repo.root, "log", "-1", "--no-show-signature", form, commit)
    oid, parents, author, date, subject, body = (
        output.decode("utf-8", "replace").rstrip("\n").split("\0", 5)
    )
    parent = parents.split(" ")[0] or _EMPTY.get(len(oid), _EMPTY_SHA256)
    return CommitText(
        oid=oid,
        parent=parent,
        author=author,
        date=date,
        subject=subject,
        body=body.strip("\n"),
    )
