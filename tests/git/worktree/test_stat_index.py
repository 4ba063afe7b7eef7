"""The reading of git's index: it agrees with git, and refuses everything that is not plain."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitorch.git.command import call_git_items
from gitorch.git.worktree.stat_index import StatIndex, untouched
from tests.conftest import commit_files, git
from tests.git.conftest import ODD


def read(root: Path) -> StatIndex:
    return StatIndex((root / ".git/index").read_bytes())


def test_the_index_is_read_as_git_reads_it(project: Path) -> None:
    (project / "link").symlink_to("README.md")
    (project / "program").touch(0o755)
    commit_files(
        project, {**ODD, "x" * 250 + "/" + "y" * 250: "", "long/" + "z" * 250: ""}
    )
    index = read(project)
    listed = call_git_items(project, "ls-files", "--stage", "-z")
    assert [f"{entry.mode:o}" for entry in index.entries] == [
        item.split()[0] for item in listed
    ]
    assert [os.fsdecode(entry.path) for entry in index.entries] == [
        item.split("\t")[1] for item in listed
    ]
    states = [
        (project / os.fsdecode(entry.path)).lstat() for entry in index.entries
    ]
    for entry, state in zip(index.entries, states, strict=True):
        assert index.agrees(entry, state)
        assert (entry.size, entry.mtime_ns) == (state.st_size, state.st_mtime_ns)
    assert index.with_stats(states) == index.data
    assert set(map(os.fsdecode, index.directories)) == {
        "Grüße",
        "deep",
        "deep/er",
        "x" * 250,
        "long",
    }


def assume_unchanged(root: Path) -> None:
    git(root, "update-index", "--assume-unchanged", "README.md")


def skip_worktree(root: Path) -> None:
    git(root, "update-index", "--skip-worktree", "README.md")


def intend_to_add(root: Path) -> None:
    (root / "new").touch()
    git(root, "add", "--intent-to-add", "new")


def compress(root: Path) -> None:
    git(root, "update-index", "--index-version", "4")


def extend(root: Path) -> None:
    git(root, "update-index", "--force-untracked-cache")
    git(root, "status")


def split(root: Path) -> None:
    git(root, "update-index", "--split-index")


def conflict(root: Path) -> None:
    git(root, "switch", "-qc", "other")
    commit_files(root, {"README.md": "other"})
    git(root, "switch", "-q", "main")
    commit_files(root, {"README.md": "main"})
    git(root, "merge", "-q", "other", check=False)


def gitlink(root: Path) -> None:
    git(
        root,
        "update-index",
        "--add",
        "--cacheinfo",
        f"160000,{git(root, 'rev-parse', 'HEAD')},sub",
    )


def flip(root: Path) -> None:
    data = bytearray((root / ".git/index").read_bytes())
    data[40] ^= 1
    (root / ".git/index").write_bytes(data)


def empty(root: Path) -> None:
    os.truncate(root / ".git/index", 0)


@pytest.mark.parametrize(
    "change",
    [
        assume_unchanged,
        skip_worktree,
        intend_to_add,
        compress,
        extend,
        split,
        conflict,
        gitlink,
        flip,
        empty,
    ],
)
def test_an_index_that_is_not_plain_is_left_to_git(
    project: Path, change: object
) -> None:
    assert callable(change)
    os.utime(project / "README.md", (1, 1))
    git(project, "status")
    assert untouched(project, project / ".git/index")
    change(project)
    with pytest.raises(ValueError):  # noqa: PT011  the reasons are only for the reader of the code
        read(project)
    assert untouched(project, project / ".git/index") is None


@pytest.mark.parametrize(
    ("changed_ns", "written_ns", "trusted"),
    [
        (1_500_000_000, 1_499_999_999, False),
        (1_500_000_000, 1_500_000_000, False),
        (1_500_000_000, 1_500_000_001, True),
        # Perhaps changed at 1.95 s: this file system counts only seconds.
        (1_000_000_000, 1_900_000_000, False),
        (1_000_000_000, 2_000_000_000, True),
    ],
)
def test_a_file_that_may_have_changed_since_is_not_trusted(
    project: Path, changed_ns: int, written_ns: int, trusted: bool
) -> None:
    os.utime(project / "README.md", ns=(changed_ns, changed_ns))
    git(project, "update-index", "--refresh")
    os.utime(project / ".git/index", ns=(written_ns, written_ns))
    assert (untouched(project, project / ".git/index") is not None) is trusted
