"""Git LFS pointers and attributes, and the escaping of names that git would take for its own."""

from __future__ import annotations

import os
import subprocess

import pytest

from gitorch.git.repository import Repository
from gitorch.git.store.pointers import Pointer, gitattributes_for, parse_pointer
from gitorch.model.branch_layout import escaped, unescaped

AWKWARD = [
    ".gitattributes", ".gitignore", ".git", ".GIT", ".git/config", "a/.gitmodules", "%", "%.git",
    "a/%%b", "git~1", "GITMOD~1", ".g\u200cit", "a\\.git\\b", "plain", ".github/x", "sp ace",
    "line\nbreak", "tab\t", 'quo"te', "st*r", "que?", "[set]", "latin\udce9", "-dash", "#hash",
    "!bang", "ünï", "back\\slash", "end ", " begin", "a/b c/d*", "[attr]x", "\x7f", "x" * 255,
    "\n" * 255,
]  # fmt: skip


@pytest.mark.parametrize("name", AWKWARD)
def test_escaping_a_name_can_be_undone(name: str) -> None:
    assert unescaped(escaped(name)) == name


def test_ordinary_names_stay_as_they_are() -> None:
    for name in (
        "model.pt",
        "a/b.c",
        ".hidden",
        ".config/x",
        "git",
        "digits~",
        "gist.txt",
        "100%",
    ):
        assert escaped(name) == name


def test_git_matches_exactly_the_large_paths(repo: Repository) -> None:
    deep = "/".join(["d" * 200] * 12) + "/long\n"
    paths = (
        [name for name in AWKWARD if "/" not in name]
        + [f"x/{name}" for name in AWKWARD]
        + [deep]
    )
    (repo.root / ".gitattributes").write_bytes(
        gitattributes_for([f"outputs/{path}" for path in paths])
    )
    requests = [f"outputs/{path}{more}" for path in paths for more in ("", "2")] + [
        "outputs/star",
        "outputs/quet",
    ]
    output = subprocess.run(
        ["git", "check-attr", "-z", "--stdin", "filter"],
        cwd=repo.root,
        input=b"\0".join(map(os.fsencode, requests)),
        capture_output=True,
        check=True,
    ).stdout.split(b"\0")
    large = {
        os.fsdecode(path)
        for path, value in zip(output[0::3], output[2::3], strict=False)
        if value == b"lfs"
    }
    assert large == {f"outputs/{path}" for path in paths}
    assert (
        max(map(len, (repo.root / ".gitattributes").read_bytes().split(b"\n")))
        < 2048
    )


def test_only_an_exact_pointer_is_a_pointer() -> None:
    pointer = Pointer("0f" * 32, 123)
    data = pointer.render()
    assert parse_pointer(data) == pointer
    for other in (
        b"",
        data + b"\n",
        data[:-1],
        data.replace(b"123", b"0123"),
        b"x" + data,
    ):
        assert parse_pointer(other) is None
