"""Descriptions of files by which this machine and a host compare what they have, and locks.

A `Tree` has an `Entry` for each path: `("file", mode, size, sha256)`, `("link", target)`, or
`("gone",)` for a file that git has and the worktree has not.

Standard library only: Dask transports these functions by value.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

Entry = tuple[Any, ...]
Tree = dict[str, Entry]

_CHUNK = 1 << 20
_MOST_REMEMBERED = 100_000
# The digests of files by identity, size and times. A file that has just been written is not
# remembered: it may change again within the resolution of the times.
_remembered: dict[tuple[int, ...], str] = {}
_SETTLED_NS = 100_000_000


def remembered_digest_of(path: Path, status: os.stat_result) -> str:
    """Return the SHA-256 of a file, which is read again only if it may have changed."""
    times = status.st_mtime_ns, status.st_ctime_ns
    key = (status.st_dev, status.st_ino, status.st_size, *times)
    digest = _remembered.get(key)
    if digest is None:
        digest = digest_of(path)
        if time.time_ns() - max(times) > _SETTLED_NS:
            if len(_remembered) >= _MOST_REMEMBERED:
                _remembered.clear()
            _remembered[key] = digest
    return digest


def digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        while data := file.read(_CHUNK):
            digest.update(data)
    return digest.hexdigest()


def entry_of(path: Path) -> Entry | None:
    """Return the description of a file or a link, None for anything else."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return "link", str(path.readlink())
    if not stat.S_ISREG(status.st_mode):
        return None
    digest = remembered_digest_of(path, status)
    return "file", status.st_mode & 0o777, status.st_size, digest


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


def walk_submodule(tree: Path, path: str) -> Tree:
    """Return the files of a submodule of a worktree, without those of git."""
    found: Tree = {}
    for name, entry in walk(tree / path).items():
        if ".git" not in name.split("/"):
            found[f"{path}/{name}"] = entry
    return found


def delta(tree: Path, commit: str) -> Tree:
    """Return the files of a worktree that are not as in a commit, and those that are gone.

    An empty directory that git does not have is an entry ("directory",). Submodules are left out.
    """
    how = ("--name-only", "-z", "--no-renames", "--ignore-submodules", commit)
    listed = call_git(tree, "diff", *how)
    changed = listed.split("\0")
    listed = call_git(tree, "ls-files", "-z", "--others", "--directory")
    found: Tree = {}
    for name in (*changed, *listed.split("\0")):
        path = tree / name
        if not name:
            continue
        if path.is_dir() and not path.is_symlink():
            found.update(_walk_below(tree, name.rstrip("/")))
            continue
        if not os.path.lexists(path):
            found[name] = ("gone",)
            continue
        entry = entry_of(path)
        if entry is not None:
            found[name] = entry
    return found


def _walk_below(tree: Path, name: str) -> Tree:
    below = walk(tree / name)
    if not below:
        return {name: ("directory",)}
    return {f"{name}/{path}": entry for path, entry in below.items()}


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
    """Return the descriptor of a locked file.

    Return None if another process has the lock, or has just removed the file or its directory.
    """
    with suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        with suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)
    return None
