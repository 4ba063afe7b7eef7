"""Descriptions of files by which this machine and a host compare what they have, and locks.

A `Tree` has an `Entry` for each path: `("file", mode, size, sha256)`, `("link", target)`, or
`("gone",)` for a file that git has and the worktree has not.

Standard library only: Dask transports these functions by value.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

Entry = tuple[Any, ...]
Tree = dict[str, Entry]

_CHUNK = 1 << 20


def digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        while data := file.read(_CHUNK):
            digest.update(data)
    return digest.hexdigest()


def entry_of(path: Path) -> Entry | None:
    """Return the description of a file or a link, None for anything else."""
    if path.is_symlink():
        return "link", str(path.readlink())
    if not path.is_file():
        return None
    status = path.stat()
    return "file", status.st_mode & 0o777, status.st_size, digest_of(path)


def walk(directory: Path) -> Tree:
    """Return the files and links in a directory and below, without following links."""
    found: Tree = {}
    for parent, directories, files in os.walk(directory):
        for name in [*files, *directories]:
            path = Path(parent, name)
            if name in directories and not path.is_symlink():
                continue
            with suppress(OSError):
                entry = entry_of(path)
                if entry is not None:
                    found[str(path.relative_to(directory))] = entry
    return found


def delta(tree: Path) -> Tree:
    """Return the files of a worktree that git does not have in HEAD, and those that are gone."""
    changed = call_git(
        tree, "diff", "--name-only", "-z", "--no-renames", "HEAD"
    ).split("\0")
    others = call_git(tree, "ls-files", "-z", "--others").split("\0")
    found: Tree = {}
    for name in (*changed, *others):
        path = tree / name
        if not name:
            continue
        if not os.path.lexists(path):
            found[name] = ("gone",)
            continue
        entry = entry_of(path)
        if entry is not None:
            found[name] = entry
    return found


def call_git(directory: Path, *words: str, stdin: Any = subprocess.DEVNULL) -> str:
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_")
    }
    done = subprocess.run(
        ["git", "-c", "core.hooksPath=/dev/null", "-C", str(directory), *words],
        stdin=stdin,
        capture_output=True,
        env={**env, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"},
        check=True,
    )
    return done.stdout.decode("utf-8", "surrogateescape")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which processes of one host share."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """Return the descriptor of a locked file, None if another process has the lock."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
