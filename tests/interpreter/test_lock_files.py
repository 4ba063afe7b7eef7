"""Locks: how they are found, what decides the environment, and what is not installed."""

from __future__ import annotations

import pytest

from gitorch.errors import Refused
from gitorch.interpreter.lock_files import (
    LocalProject,
    PinnedFiles,
    find_lock,
    local_projects,
    satisfies,
    without_projects,
)
from gitorch.model.run.locked_python import LockedPython

UV = LockedPython(tool="uv")
HASH = "--hash=sha256:" + "0" * 64


def pinned(files: dict[str, str]) -> PinnedFiles:
    oids = {path: f"id of {text}" for path, text in files.items()}
    return PinnedFiles("c0ffee", oids, lambda path: files[path].encode())


def digest(files: dict[str, str], locked: LockedPython = UV) -> str:
    return find_lock(locked, pinned(files)).digest


def refusal(files: dict[str, str], locked: LockedPython = UV) -> str:
    with pytest.raises(Refused) as refused:
        local_projects(find_lock(locked, pinned(files)))
    return refused.value.message


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("3.11.7", ">=3.9", True),
        ("3.11.7", ">=3.9, <3.11", False),
        ("3.11.0", "==3.11", True),
        ("3.11.7", "==3.11", False),
        ("3.11.7", "==3.11.*", True),
        ("3.11.7", "!=3.11.*", False),
        ("3.11.7", "~=3.9", True),
        ("4.0.0", "~=3.9", False),
        ("3.12.0", "~=3.11.2", False),
        ("3.11.7", ">3.11.6,<=3.11.7", True),
        ("3.11.7", "===3.11.7", False),
    ],
)
def test_ranges_of_versions(version: str, wanted: str, expected: bool) -> None:
    assert satisfies(version, wanted) is expected


def test_what_decides_the_environment_is_in_the_digest() -> None:
    plain = {
        "uv.lock": 'source = { registry = "wheels" }\n',
        "pyproject.toml": "[project]\nname = 'a'\n",
        "wheels/a.whl": "a",
        "README.md": "",
    }
    same = digest(plain)
    assert digest({**plain, "README.md": "changed"}) == same
    assert digest({**plain, "pyproject.toml": "[project]\nname = 'b'\n"}) == same
    changes = {
        "uv.lock": plain["uv.lock"] + "#",
        "pyproject.toml": "[tool.uv]\ndefault-groups = []\n",
        "uv.toml": "no-build = true\n",
        ".python-version": "# which\n3.12\n",
        "wheels/a.whl": "another",
    }
    others = {digest({**plain, name: text}) for name, text in changes.items()}
    others.add(digest(plain, LockedPython(tool="uv", options=("--no-dev",))))
    assert len(others - {same}) == len(changes) + 1


def test_the_version_of_python() -> None:
    files = {"uv.lock": 'requires-python = ">=3.9"\n', ".python-version": "3.12\n"}
    lock = find_lock(UV, pinned(files))
    assert (lock.python, lock.requires) == ("3.12", ">=3.9")
    asked = find_lock(LockedPython(tool="uv", python="3.13"), pinned(files))
    assert asked.python == "3.13"
    assert refusal({**files, ".python-version": "--help\n"}) == (
        ".python-version names '--help', which is not a version of Python"
    )


def test_lines_of_requirements() -> None:
    text = (
        "# made by hand\n-i https://example.org/simple\n-e .\n./libs/a[x] ; sys_platform\n"
        f"numpy==2 \\\n    {HASH} \\\n    {HASH}  # why\n"
    )
    lock = find_lock(UV, pinned({"requirements-gpu.txt": text}))
    assert lock.path == "requirements-gpu.txt"
    assert local_projects(lock) == [LocalProject("."), LocalProject("libs/a")]
    assert without_projects(lock).decode() == (
        f"-i https://example.org/simple\nnumpy==2 {HASH} {HASH}\n"
    )


def test_refused_locks() -> None:
    one = f"a==1 {HASH}\n"
    several = {"requirements-a.txt": one, "requirements-b.txt": one}
    assert refusal(several) == (
        "commit c0ffee has several locks: requirements-a.txt, requirements-b.txt"
    )
    assert "requirements.txt:1: '-r' has no hash" in refusal(
        {"requirements.txt": "-r other.txt\n"}
    )
    assert "requirements.txt names no package" in refusal(
        {"requirements.txt": "#\n"}
    )
    assert refusal({"pylock.toml": "a = b\n"}).startswith(
        "pylock.toml is not TOML: "
    )
    assert refusal({"uv.lock": 'source = { path = "../a.whl" }\n'}) == (
        "uv.lock takes packages from ../a.whl, which is not in the repository"
    )
    assert (
        refusal({"pylock.toml": ""}, LockedPython(tool="uv", options=("--no-dev",)))
        == "--no-dev chooses from a uv.lock, but the lock is pylock.toml"
    )
