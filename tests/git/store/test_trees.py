"""Edits of trees, compared with a flat dictionary and with git."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitorch.git.modes import DIRECTORY, EXECUTABLE, FILE, LINK
from gitorch.git.store.pack import ObjectType, object_id
from gitorch.git.store.trees import Edits, TreeEntry, find, parse_tree, render_tree
from tests.conftest import git

names = st.sampled_from([b"a", b"b", b"c.d", b"c", b"c-"])
paths = st.lists(names, min_size=1, max_size=3).map(b"/".join)
steps = st.lists(
    st.tuples(paths, st.one_of(st.none(), st.integers(0, 9))), max_size=12
)


class Store(dict[bytes, bytes]):
    """Trees in memory."""

    def write(self, data: bytes) -> bytes:
        oid = object_id(ObjectType.TREE, data)
        self[oid] = data
        return oid

    def files(
        self, oid: bytes | None, prefix: bytes = b""
    ) -> dict[bytes, TreeEntry]:
        found: dict[bytes, TreeEntry] = {}
        for name, entry in (parse_tree(self[oid]) if oid else {}).items():
            below = (
                self.files(entry.oid, prefix + name + b"/")
                if entry.mode == DIRECTORY
                else {prefix + name: entry}
            )
            assert below, "an empty directory"
            found |= below
        return found


def blob(number: int) -> TreeEntry:
    return TreeEntry(FILE, hashlib.sha1(b"%d" % number).digest())


def play(
    files: dict[bytes, TreeEntry], path: bytes, entry: TreeEntry | None
) -> None:
    """Do what a put or a remove means, with a flat dictionary."""
    parts = path.split(b"/")
    above = {b"/".join(parts[:length]) for length in range(1, len(parts))}
    for other in list(files):
        is_in_the_way = entry is not None and other in above
        if other == path or other.startswith(path + b"/") or is_in_the_way:
            del files[other]
    if entry:
        files[path] = entry


@given(steps, steps)
@example([(b"b", 0)], [(b"b/a", 0), (b"b/a", None)])
def test_edits_are_equivalent_to_their_steps_one_by_one(
    before: list, after: list
) -> None:
    store = Store()
    expected: dict[bytes, TreeEntry] = {}
    root = None
    for changes in (before, after):
        edits = Edits()
        for path, number in changes:
            entry = None if number is None else blob(number)
            play(expected, path, entry)
            if entry:
                edits.put(path, entry)
            else:
                edits.remove(path)
            for name in [path, *expected]:
                found = find(name, root, edits, store.__getitem__)
                assert found == expected.get(name) or (
                    found and found.mode == DIRECTORY
                )
        root = edits.apply(root, store.__getitem__, store.write)
        assert store.files(root) == expected


def test_only_the_directories_on_the_way_are_read() -> None:
    store = Store()
    edits = Edits()
    for name in (b"a/x/1", b"b/y/2", b"3"):
        edits.put(name, blob(1))
    root = edits.apply(None, store.__getitem__, store.write)
    read: list[bytes] = []

    def reading(oid: bytes) -> bytes:
        read.append(oid)
        return store[oid]

    more = Edits()
    more.put(b"a/x/4", blob(2))
    more.apply(root, reading, store.write)
    assert len(read) == 3


def test_git_makes_the_same_tree(project: Path) -> None:
    files = {
        "a.b": "1",
        "a/z": "2",
        "a0": "3",
        "run me": "4",
        "a/b/c\n": "5",
        "latin\udce9": "6",
    }
    for name, content in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content)
    (project / "run me").chmod(0o755)
    (project / "link").symlink_to("a/z")
    git(project, "add", "-A")
    git(project, "rm", "-q", "--cached", "README.md")
    store, edits = Store(), Edits()
    for name, content in files.items():
        mode = EXECUTABLE if name == "run me" else FILE
        edits.put(
            name.encode(errors="surrogateescape"),
            TreeEntry(mode, object_id(ObjectType.BLOB, content.encode())),
        )
    edits.put(b"link", TreeEntry(LINK, object_id(ObjectType.BLOB, b"a/z")))
    root = edits.apply(None, store.__getitem__, store.write)
    assert root
    assert root.hex() == git(project, "write-tree")
    data = subprocess.run(
        ["git", "cat-file", "tree", root.hex()],
        cwd=project,
        capture_output=True,
        check=True,
    ).stdout
    assert render_tree(parse_tree(data)) == data


@pytest.mark.parametrize(
    "path",
    [b"", b"/a", b"a/", b"a//b", b"../a", b"a/./b", b".git/x", b"a/.GIT", b"nul\0"],
)
def test_a_path_that_no_tree_may_hold_is_refused(path: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be a path"):
        Edits().put(path, blob(1))
    with pytest.raises(ValueError, match="cannot be a path"):
        Edits().remove(path)
