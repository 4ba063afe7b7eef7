"""The changes between two commits: history, changed files, and the diff that git prints."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gitorch.git.command import call_git, call_git_items, call_git_text, run_git
from gitorch.git.repository import Repository
from gitorch.git.store.objects import has_commit, read_objects
from gitorch.model.run.compare import ChangedCommit, ChangedFile, SnapshotChanges
from gitorch.model.run.pin import Origin, Pin

# The output is git's own, whatever the user's settings for diffs are.
_DIFF = (
    "diff",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--submodule=short",
    "--ignore-submodules=none",
)


class Changes(NamedTuple):
    """The changes between two commits.

    `commits` has the commits that only one of the two histories contains, newest first.
    """

    commits: tuple[ChangedCommit, ...]
    files: tuple[ChangedFile, ...]


def changes_between(
    repo: Repository, a: str, b: str, paths: Sequence[str] = ()
) -> Changes:
    """Return the changes between two commits, in the files that the globs `paths` name if given."""
    commits = _commits(repo, a, b, paths)
    files = changed_files(repo, a, b, paths)
    return Changes(commits, files)


def snapshot_changes(repo: Repository, pin: Pin) -> SnapshotChanges | None:
    """Return the difference between a snapshot and the commit that it was taken on.

    The result is None if the pin is not a snapshot, or if its commit is not in this clone.
    """
    commit = pin.commit
    if pin.origin is not Origin.SNAPSHOT or not has_commit(repo.root, commit):
        return None
    parent = call_git_text(repo.root, "rev-parse", "--verify", f"{commit}^1")
    files = changed_files(repo, parent, commit)
    return SnapshotChanges(commit=commit, parent=parent, files=files)


def diff_text(
    repo: Repository,
    a: str,
    b: str,
    *,
    color: bool = False,
    stat: bool = False,
    paths: Sequence[str] = (),
) -> bytes:
    """Return the diff between two commits as git prints it.

    If there are `paths`, only files that these globs name are shown.

    The result is bytes, since paths and lines may have any encoding.
    """
    options: list[str] = []
    if color:
        options.append("--color=always")
    if stat:
        options.append("--stat")
    return call_git(repo.root, *_DIFF, *options, a, b, "--", *_pathspecs(paths))


def diff_blobs(repo: Repository, a: str, b: str, *, color: bool = False) -> bytes:
    """Return git's diff between two files, each given as `<commit>:<path>`."""
    when = "always" if color else "never"
    return call_git(repo.root, "diff", "--no-ext-diff", f"--color={when}", a, b)


def _pathspecs(globs: Sequence[str]) -> list[str]:
    """Return git's form of globs that also name everything below what they match."""
    specs = []
    for glob in globs:
        path = glob.rstrip("/")
        if path == ".":
            return []
        specs += [f":(top,glob){path}", f":(top,glob){path}/**"]
    return specs


def diff_texts(name: str, a: bytes, b: bytes, *, color: bool = False) -> bytes:
    """Return git's diff between two texts that are called `name`."""
    import tempfile  # noqa: PLC0415  with its random numbers: few commands need it

    when = "always" if color else "never"
    with tempfile.TemporaryDirectory(prefix="gitorch-") as directory:
        sides = []
        for side, text in (("A", a), ("B", b)):
            path = Path(directory, side, name)
            path.parent.mkdir()
            path.write_bytes(text)
            sides.append(f"{side}/{name}")
        command = ("diff", "--no-index", "--no-prefix", "--no-ext-diff")
        result = run_git(Path(directory), *command, f"--color={when}", *sides)
    return result.stdout


def _commits(
    repo: Repository, a: str, b: str, paths: Sequence[str] = ()
) -> tuple[ChangedCommit, ...]:
    command = (
        "log",
        "--no-show-signature",
        "--format=%H%s",
        "-z",
        f"{a}...{b}",
        "--",
        *_pathspecs(paths),
    )
    commits = []
    for item in call_git_items(repo.root, *command):
        oid, subject = item[:40], item[40:]
        commits.append(ChangedCommit(oid=oid, subject=subject))
    return tuple(commits)


def changed_files(
    repo: Repository, a: str, b: str, globs: Sequence[str] = ()
) -> tuple[ChangedFile, ...]:
    """Return the files that differ between two commits or trees, and that a glob names if given.

    git prints two items for each file, its facts and its path (`--raw`). Then it prints one item
    for each of the same files in the same order (`--numstat`).
    """
    command = (*_DIFF, "--no-renames", "--raw", "--numstat", "-z", a, b, "--")
    items = call_git_items(repo.root, *command, *_pathspecs(globs))
    count = len(items) // 3
    raw, all_counts = items[: 2 * count], items[2 * count :]
    all_facts = raw[0::2]
    paths = raw[1::2]
    files: list[ChangedFile] = []
    for facts, path, counts in zip(all_facts, paths, all_counts, strict=True):
        added, deleted, _ = counts.split("\t", 2)
        file = ChangedFile(
            path=path,
            status=facts[-1],
            added=_count(added),
            deleted=_count(deleted),
        )
        files.append(file)
    return tuple(files)


def changed_paths(
    repo: Repository, trees: Sequence[str], other: str
) -> dict[str, dict[str, str]]:
    """Return the files that differ in the tree `other`, with git's letter, by tree and path.

    Trees that are not in this clone are left out.
    """
    objects = [f"{tree}^{{tree}}" for tree in trees]
    there = [
        tree
        for tree, data in zip(
            trees, read_objects(repo.root, objects, "tree"), strict=True
        )
        if data is not None
    ]
    pairs = "".join(f"{tree} {other}\n" for tree in there)
    command = ("diff-tree", "--stdin", "-r", "-z", "--no-renames", "--name-status")
    output = call_git(repo.root, *command, input=pairs.encode())
    changed: dict[str, dict[str, str]] = {tree: {} for tree in there}
    changes: dict[str, str] = {}
    items = iter(os.fsdecode(output).split("\0")[:-1])
    for item in items:
        # Each pair of trees that differ begins with a line of its own.
        heading, newline, letter = item.rpartition("\n")
        if newline:
            changes = changed[heading.split(" ")[0]]
        changes[next(items)] = letter
    return changed


def _count(text: str) -> int | None:
    """Return a number of lines; git prints "-" for a binary file."""
    return None if text == "-" else int(text)
