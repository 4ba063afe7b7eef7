"""Templates: copies of a checkout, from which further worktrees of the commit are made.

The result is exactly the same as a checkout by git, and much faster.

    <workspace>/templates/<commit>
        the contents of all files in the order of the index (for a symlink: its target)
        the index
        the index's length (8 bytes)
        a digest of the settings that the checkout depended on (32 bytes)
        a digest of everything before it (32 bytes)

A template is made from a worktree before anything runs there. The copies get the modification times
of that worktree's files. They also get its index, in which the other stat data are replaced by
those of the copies. git then has no reason to read any file.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from gitorch.git.file_system import is_true
from gitorch.git.modes import EXECUTABLE, LINK
from gitorch.git.repository import Repository
from gitorch.git.worktree import admin
from gitorch.git.worktree.stat_index import LARGEST_INDEX, StatEntry, StatIndex
from gitorch.git.worktree.trash import trash
from gitorch.tools.faults import boundary
from gitorch.tools.random_names import random_hex
from gitorch.tools.untrusted import read_plain

_LARGEST = 1 << 30
_CHUNK = 1 << 20
_VERSION = 2  # of the checkouts that templates are made from: their LFS files have their content
_FOOTER = struct.Struct(">Q32s32s")
# Sections whose settings can change the bytes of a checkout.
_RELEVANT = ("core.", "filter.", "lfs.")
_LEFT_TO_GIT = {
    "core.ignorecase": True,
    "core.symlinks": False,
    "core.sparsecheckout": True,
    "extensions.worktreeconfig": True,
}


class _Template(NamedTuple):
    settings: bytes
    files: StatIndex


def copy_template(repo: Repository, commit: str, path: Path) -> Path | None:
    """Fill `path`, which is free, with the files of `commit`.

    Return an administrative directory that is not published yet, or None if there is no template
    that can be trusted. After an OSError, `path` may be half filled.
    """
    location = _location(repo, commit)
    try:
        source = os.open(location, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        template = _read(location, _identity(os.fstat(source)))
        if template is None or template.settings != _settings(repo):
            location.unlink(missing_ok=True)
            return None
        path.mkdir()
        # Written before the files, so that a half-made worktree is recognised as gitorch's.
        admin.write_git_file(path, admin.admin_directory(repo, path))
        index = _copy(template.files, source, path)
    finally:
        os.close(source)
    return _write_admin(repo, commit, path, index)


def save_template(
    repo: Repository, commit: str, tree: Path, index_file: Path
) -> None:
    """Make a template of `tree`, which git has just checked out.

    The first worktree of a commit is often the only one, so the template is made from the second.
    Some checkouts cannot be copied (submodules, a sparse index, a file system that folds names):
    they get no template, and git makes each of their worktrees. The same happens while there is no
    room for a template.
    """
    if is_left_to_git(repo):
        return
    seen = _location(repo, commit).with_name(f"{commit}.seen")
    if not seen.exists():
        seen.parent.mkdir(parents=True, exist_ok=True)
        seen.touch()
        return
    with suppress(OSError, ValueError, struct.error):
        index = StatIndex(read_plain(index_file, LARGEST_INDEX))
        if sum(entry.size for entry in index.entries) <= _LARGEST:
            _write(repo, commit, index, tree)
            _drop_old(seen.parent, "", repo.settings.templates)
            _drop_old(seen.parent, ".seen", 1000)


def is_left_to_git(repo: Repository) -> bool:
    """Return True if file names or contents may differ from what the index says."""
    config = repo.git_config
    for name, value in _LEFT_TO_GIT.items():
        values = config.get(name)
        if values and is_true(values[-1]) is value:
            return True
    return False


def _location(repo: Repository, commit: str) -> Path:
    return repo.workspace / "templates" / commit


def _identity(state: os.stat_result) -> tuple[int, ...]:
    """Return values of which at least one changes whenever the file changes."""
    return (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _settings(repo: Repository) -> bytes:
    """Return a digest of everything, except the commit, that decides the bytes of a checkout."""
    config = repo.git_config
    settings = sorted(
        (name, values)
        for name, values in config.items()
        if name.startswith(_RELEVANT)
    )
    identities = [_identity_at(path) for path in repo.attributes_files]
    facts = (_VERSION, settings, identities)
    return hashlib.sha256(os.fsencode(repr(facts))).digest()


def _identity_at(path: Path) -> tuple[int, ...] | None:
    return _identity(path.stat()) if path.exists() else None


# Writing


def _write(repo: Repository, commit: str, index: StatIndex, tree: Path) -> None:
    """Write the template of `commit` and rename it into place.

    `write_aside` is not used, because the content of up to 1 GiB is streamed. In addition, a
    half-written file must lie in the trash, where it is deleted even if this process is killed.
    """
    aside = trash(repo) / f"{commit}.{random_hex(4)}"
    digest = hashlib.sha256()
    top = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with aside.open("xb") as file:
            for entry in index.entries:
                for chunk in _content(index, entry, top):
                    digest.update(chunk)
                    file.write(chunk)
            footer = _FOOTER.pack(len(index.data), _settings(repo), b"")
            # The digest covers all of the footer except the digest itself.
            rest = index.data + footer[:-32]
            digest.update(rest)
            file.write(rest + digest.digest())
        aside.rename(_location(repo, commit))
        boundary()
    finally:
        os.close(top)
        aside.unlink(missing_ok=True)


def _content(index: StatIndex, entry: StatEntry, top: int) -> Iterator[bytes]:
    """Yield the bytes of a file, or the target of a symlink."""
    if entry.mode == LINK:
        yield os.readlink(entry.path, dir_fd=top)
        return
    descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=top)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123
        if not index.agrees(entry, os.fstat(file.fileno())):
            raise OSError(
                f"{os.fsdecode(entry.path)} has changed since git wrote it"
            )
        while chunk := file.read(_CHUNK):
            yield chunk


def _drop_old(directory: Path, suffix: str, kept: int) -> None:
    """Delete all files with this suffix except the `kept` newest ones.

    A process that is reading a deleted file has the file open, and can go on.
    """
    candidates: list[tuple[int, Path]] = []
    for path in directory.iterdir():
        if path.suffix == suffix:
            candidates.append((path.stat().st_mtime_ns, path))
    candidates.sort(reverse=True)
    for _, path in candidates[kept:]:
        path.unlink(missing_ok=True)


# Copying


@lru_cache(maxsize=4)
def _read(location: Path, identity: tuple[int, ...]) -> _Template | None:
    """Return the template, or None if it is broken.

    The result is cached, so that the digest is checked once for each version of the file.
    """
    with location.open("rb") as file:
        state = os.fstat(file.fileno())
        size = state.st_size
        if _identity(state) != identity or size < _FOOTER.size:
            return None
        digest = hashlib.sha256()
        for remaining in range(size - 32, 0, -_CHUNK):
            digest.update(file.read(min(remaining, _CHUNK)))
        footer_start = size - _FOOTER.size
        footer = os.pread(file.fileno(), _FOOTER.size, footer_start)
        length, settings, expected = _FOOTER.unpack(footer)
        if digest.digest() != expected:
            return None
        index = os.pread(file.fileno(), length, footer_start - length)
        return _Template(settings, StatIndex(index))


def _copy(index: StatIndex, source: int, path: Path) -> bytes:
    """Make all files in `path`; return the index for them."""
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for directory in index.directories:
            os.mkdir(directory, dir_fd=top)
        return index.with_stats(_copies(index, source, top))
    finally:
        os.close(top)


def _copies(index: StatIndex, source: int, top: int) -> Iterator[os.stat_result]:
    """Make each file from the template; yield its stat data, in the order of the index."""
    offset = 0
    for _, path, mode, size, mtime_ns in index.entries:
        times = (mtime_ns, mtime_ns)
        if mode == LINK:
            os.symlink(os.pread(source, size, offset), path, dir_fd=top)
            os.utime(path, ns=times, dir_fd=top, follow_symlinks=False)
            yield os.lstat(path, dir_fd=top)
        else:
            permissions = 0o777 if mode == EXECUTABLE else 0o666
            file = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, permissions, dir_fd=top
            )
            try:
                sent = 0
                while sent < size:
                    count = os.sendfile(file, source, offset + sent, size - sent)
                    if not count:
                        raise OSError(
                            f"the template ended within {os.fsdecode(path)}"
                        )
                    sent += count
                os.utime(file, ns=times)
                yield os.fstat(file)
            finally:
                os.close(file)
        offset += size


def _write_admin(repo: Repository, commit: str, path: Path, index: bytes) -> Path:
    """Write an administrative directory that is not published yet, and return its path."""
    aside = repo.store_dir / "tmp" / f"worktree-{random_hex(8)}"
    aside.mkdir(parents=True)
    admin.write_names(aside, path, commit)
    (aside / "index").write_bytes(index)
    return aside
