"""A further worktree of a commit, copied from one that git has made: faster than a checkout by much, exactly the same.

    <workspace>/templates/<commit>
        the contents of all files in the order of the index (of a symlink: where it leads), then the index;
        then the index's length (8 bytes), a digest of the settings that the checkout depended on (32 bytes),
        and a digest of all that comes before (32 bytes)

It is taken from a worktree before anything runs there. The copies get the times that the files had in it, and its index
with the rest of the stat data exchanged, so that git sees no reason to look into any file.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, NoReturn

from gitorch.git.repository import Repository
from gitorch.git.worktree import admin
from gitorch.git.worktree.stat_index import EXECUTABLE, SYMLINK, StatEntry, StatIndex
from gitorch.tools.faults import boundary

_LARGEST = 1 << 30
_CHUNK = 1 << 20
_FOOTER = struct.Struct(">Q32s32s")
_MATTERS = (
    "core.",
    "filter.",
    "lfs.",
)  # sections whose settings can change the bytes of a checkout
_LEFT_TO_GIT = {
    "core.ignorecase": "true",
    "core.symlinks": "false",
    "core.sparsecheckout": "true",
    "extensions.worktreeconfig": "true",
}


class _Template(NamedTuple):
    settings: bytes
    files: StatIndex


def copy_template(repo: Repository, commit: str, path: Path) -> Path | None:
    """Fill `path`, which is free, with the files of `commit`; gives an administrative directory, not yet published.

    None if there is no template to be trusted. Raises OSError with `path` half filled.
    """
    place = _place(repo, commit)
    try:
        source = os.open(place, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        template = _read(place, _identity(os.fstat(source)))
        if template is None or template.settings != _settings(repo):
            place.unlink(missing_ok=True)
            return None
        path.mkdir()
        admin.point(
            path, admin.admin_directory(repo, path)
        )  # first, so that a half-made one is known for ours
        index = _copy(template.files, source, path)
    finally:
        os.close(source)
    return _write_admin(repo, commit, path, index)


def save_template(repo: Repository, commit: str, tree: Path, index_file: Path) -> None:
    """Keep what git has just checked out in `tree`, from its second worktree of a commit on: one may be all there is.

    What cannot be copied (submodules, a sparse index, a file system that folds names) is left to git every time, and
    so is everything while there is no room for a template.
    """
    if is_left_to_git(repo):
        return
    seen = _place(repo, commit).with_name(f"{commit}.seen")
    if not seen.exists():
        seen.parent.mkdir(parents=True, exist_ok=True)
        seen.touch()
        return
    with suppress(OSError, ValueError, struct.error):
        index = StatIndex(index_file.read_bytes())
        if sum(entry.size for entry in index.entries) <= _LARGEST:
            _write(repo, commit, index, tree)
            _drop_old(seen.parent, "", repo.settings.templates)
            _drop_old(seen.parent, ".seen", 1000)


def is_left_to_git(repo: Repository) -> bool:
    """Whether file names or contents may be otherwise than the index says."""
    return any(repo.git_config.get(name, [""])[-1] == value for name, value in _LEFT_TO_GIT.items())


def _place(repo: Repository, commit: str) -> Path:
    return repo.workspace / "templates" / commit


def _identity(state: os.stat_result) -> tuple[int, ...]:
    """What changes whenever the file does."""
    return (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _settings(repo: Repository) -> bytes:
    """A digest of what decides, besides the commit, over the bytes of a checkout."""
    user = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config") / "git" / "attributes"
    attributes = (
        repo.common_dir / "info" / "attributes",
        Path(repo.git_config.get("core.attributesfile", [str(user)])[-1]).expanduser(),
        Path("/etc/gitattributes"),
    )
    facts = (
        sorted(item for item in repo.git_config.items() if item[0].startswith(_MATTERS)),
        sorted(item for item in os.environ.items() if item[0].startswith("GIT_LFS_")),
        [_identity(path.stat()) if path.exists() else None for path in attributes],
    )
    return hashlib.sha256(os.fsencode(repr(facts))).digest()


# Writing


def _write(repo: Repository, commit: str, index: StatIndex, tree: Path) -> None:
    aside = (
        admin.trash(repo) / f"{commit}.{secrets.token_hex(4)}"
    )  # where it is swept away if this is killed
    digest = hashlib.sha256()
    top = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with aside.open("xb") as file:
            for entry in index.entries:
                for chunk in _content(index, entry, top):
                    digest.update(chunk)
                    file.write(chunk)
            rest = index.data + _FOOTER.pack(len(index.data), _settings(repo), b"")[:-32]
            digest.update(rest)
            file.write(rest + digest.digest())
        aside.rename(_place(repo, commit))
        boundary()
    finally:
        os.close(top)
        aside.unlink(missing_ok=True)


def _content(index: StatIndex, entry: StatEntry, top: int) -> Iterator[bytes]:
    """The bytes of a file, or where a symlink leads."""
    if entry.mode == SYMLINK:
        yield os.readlink(entry.path, dir_fd=top)
        return
    descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=top)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123
        if not index.agrees(entry, os.fstat(file.fileno())):
            raise OSError(f"{os.fsdecode(entry.path)} has changed since git wrote it")
        while chunk := file.read(_CHUNK):
            yield chunk


def _drop_old(directory: Path, suffix: str, kept: int) -> None:
    """Keep the `kept` that were made last. Whoever still reads one that is dropped has it open."""
    found = [
        (path.stat().st_mtime_ns, path) for path in directory.iterdir() if path.suffix == suffix
    ]
    for _, path in sorted(found, reverse=True)[kept:]:
        path.unlink(missing_ok=True)


# Copying


@lru_cache(maxsize=4)
def _read(place: Path, identity: tuple[int, ...]) -> _Template | None:
    """The template at `place`, checked as a whole: once, as long as the file is the same; None if it is broken."""
    with place.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if _identity(os.fstat(file.fileno())) != identity or size < _FOOTER.size:
            return None
        digest = hashlib.sha256()
        for left in range(size - 32, 0, -_CHUNK):
            digest.update(file.read(min(left, _CHUNK)))
        length, settings, expected = _FOOTER.unpack(
            os.pread(file.fileno(), _FOOTER.size, size - _FOOTER.size)
        )
        if digest.digest() != expected:
            return None
        return _Template(
            settings, StatIndex(os.pread(file.fileno(), length, size - _FOOTER.size - length))
        )


def _copy(index: StatIndex, source: int, path: Path) -> bytes:
    """Make all files in `path`; gives the index for them."""
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for directory in index.directories:
            os.mkdir(directory, dir_fd=top)
        return index.with_stats(_copies(index, source, top))
    finally:
        os.close(top)


def _copies(index: StatIndex, source: int, top: int) -> Iterator[os.stat_result]:
    offset = 0
    for _, path, mode, size, mtime_ns in index.entries:
        times = (mtime_ns, mtime_ns)
        if mode == SYMLINK:
            os.symlink(os.pread(source, size, offset), path, dir_fd=top)
            os.utime(path, ns=times, dir_fd=top, follow_symlinks=False)
            yield os.lstat(path, dir_fd=top)
        else:
            file = os.open(
                path,
                os.O_WRONLY | os.O_CREAT | os.O_EXCL,
                0o777 if mode == EXECUTABLE else 0o666,
                dir_fd=top,
            )
            try:
                sent = 0
                while sent < size:
                    sent += os.sendfile(file, source, offset + sent, size - sent) or _cut_short(
                        path
                    )
                os.utime(file, ns=times)
                yield os.fstat(file)
            finally:
                os.close(file)
        offset += size


def _cut_short(path: bytes) -> NoReturn:
    raise OSError(f"the template ended within {os.fsdecode(path)}")


def _write_admin(repo: Repository, commit: str, path: Path, index: bytes) -> Path:
    aside = repo.store_dir / "tmp" / f"worktree-{secrets.token_hex(8)}"
    aside.mkdir(parents=True)
    admin.write_names(aside, path, commit)
    (aside / "index").write_bytes(index)
    return aside
