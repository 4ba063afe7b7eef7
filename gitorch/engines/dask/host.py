"""The store of gitorch on a host: what it keeps, and the functions that fill it.

gitorch is not installed there: Dask transports these functions by value (see `stub`), and the
programs of an attempt as an archive. A host keeps everything in one directory,
`$GITORCH_HOST_CACHE` or below the user's cache, with a part for each repository:

    code.git          the commits that were transferred, a bare repository
    programs/<digest> gitorch, as far as an attempt needs it
    content/<digest>  files that the host lacked, by their SHA-256
    incoming/         what is being transferred
    runs/<id>/        tree, output and log of a run, as on the worker's machine (see `run_files`)

Standard library only.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from contextlib import suppress
from pathlib import Path

from gitorch.engines.dask.files import call_git, digest_of, locked


class HostError(Exception):
    """Something that a host lacks, or cannot do, in words for the user."""


def cache_directory() -> Path:
    """Return the directory in which everything is kept on this host."""
    chosen = os.environ.get("GITORCH_HOST_CACHE")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(cache, "gitorch", "hosts")


def root(repository: str) -> Path:
    """Return the directory of a repository on this host. Only the user can read it."""
    directory = cache_directory() / repository
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def greet(marker: str) -> tuple[str, bool]:
    """Return the directory in which everything is kept here, and True if the host sees a file.

    It then shares the file system of the worker.
    """
    return str(cache_directory()), Path(marker).exists()


def receive(repository: str, name: str, offset: int, data: bytes) -> None:
    """Write a part of a file that is being transferred. To be repeated safely."""
    incoming = root(repository) / "incoming"
    incoming.mkdir(exist_ok=True)
    descriptor = os.open(incoming / name, os.O_CREAT | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.seek(offset)
        file.write(data)


def keep_content(repository: str, name: str, digest: str) -> None:
    """Keep a transferred file under its SHA-256. Raises HostError if it has another one."""
    base = root(repository)
    incoming = base / "incoming" / name
    if not incoming.exists() and (base / "content" / digest).exists():
        return  # this call is repeated
    if digest_of(incoming) != digest:
        incoming.unlink()
        raise HostError("a file was damaged on the way")
    content = base / "content"
    content.mkdir(exist_ok=True)
    incoming.rename(content / digest)


def has_commit(repository: str, commit: str) -> bool:
    return _pins(repository).joinpath(commit).exists()


def commits(repository: str) -> list[str]:
    """Return the commits that the host has."""
    with suppress(FileNotFoundError):
        return [pin.name for pin in _pins(repository).iterdir()]
    return []


def _pins(repository: str) -> Path:
    return root(repository) / "code.git" / "refs" / "gitorch" / "pins"


def take_pack(repository: str, name: str, commit: str) -> None:
    """Take a pack with the objects of a commit that the host lacks."""
    base = root(repository)
    code = base / "code.git"
    pack = base / "incoming" / name
    with locked(base / "code.lock"):
        if not pack.exists() and has_commit(repository, commit):
            return  # this call is repeated
        if not code.is_dir():
            aside = base / "incoming" / f"{name}.git"
            call_git(base, "init", "-q", "--bare", str(aside))
            call_git(aside, "config", "gc.auto", "0")
            aside.rename(code)
        with pack.open("rb") as file:
            call_git(code, "index-pack", "--stdin", "--fix-thin", stdin=file)
        pack.unlink()
        # The parents of the commit stay where they are.
        shallow = code / "shallow"
        known = shallow.read_text().split() if shallow.exists() else []
        if commit not in known:
            shallow.write_text("".join(f"{oid}\n" for oid in [*known, commit]))
        call_git(code, "update-ref", f"refs/gitorch/pins/{commit}", commit)


def has_program(repository: str, digest: str) -> bool:
    return (root(repository) / "programs" / digest).is_dir()


def take_program(repository: str, name: str, digest: str) -> None:
    """Unpack the programs of attempts."""
    base = root(repository)
    archive = base / "incoming" / name
    programs = base / "programs"
    programs.mkdir(exist_ok=True)
    aside = programs / f".{name}"
    if not archive.exists() and has_program(repository, digest):
        return  # this call is repeated
    with tarfile.open(archive) as tar:
        tar.extractall(aside)  # noqa: S202  gitorch has made it
    archive.unlink()
    with suppress(OSError):  # another worker of this host was faster
        aside.rename(programs / digest)
    shutil.rmtree(aside, ignore_errors=True)
