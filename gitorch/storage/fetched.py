"""Data that gitorch has fetched for runs: a cache that all runs of a repository share.

A file has the name of the digest that its content was checked against. Worktrees have links to it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from gitorch.errors import Refused
from gitorch.model.run.remote_input import RemoteInput
from gitorch.model.run.spec import RunSpec
from gitorch.storage.contents import Notify, ignore_notice
from gitorch.storage.site import Site
from gitorch.tools.files import resolved
from gitorch.tools.locks import taken

_PATIENCE_S = 24 * 3600.0  # while another process fetches the same address
KEPT_S = 30 * 24 * 3600.0  # since a run last used it


def directory_of(site: Site) -> Path:
    return site.state / "fetched"


def fetch(site: Site, address: RemoteInput, notify: Notify = ignore_notice) -> Path:
    """Return the file with the content of an address. Fetch it if it is not in the cache.

    Raises DownloadFailed, OSError.
    """
    path = _place(site, address)
    if not path.exists():
        from gitorch.tools.download import (  # noqa: PLC0415  loads TLS, only to fetch
            download,
        )

        path.parent.mkdir(parents=True, exist_ok=True)
        awaited = f"another gitorch to fetch {address.url}"
        lock = path.with_name(f"{path.name}.lock")
        with taken(lock, wait_s=_PATIENCE_S, awaited=awaited):
            if not path.exists():
                notify(f"fetching {address.url}")
                download(
                    address.url, path, sha256=address.sha256, etag=address.etag
                )
    os.utime(path)  # the time of its last use
    return path


def place(site: Site, tree: Path, addresses: Sequence[RemoteInput]) -> None:
    """Link the fetched addresses into a worktree. What is there already is replaced by the link.

    Raises DownloadFailed, OSError, and Refused if a path leads out of the worktree.
    """
    for address in addresses:
        if not address.fetch:
            continue
        target = tree / address.path
        parent = resolved(target.parent)
        if not parent.is_relative_to(resolved(tree)):
            raise Refused(f"inputs: {address.path} leads out of the worktree")
        source = fetch(site, address)
        if target.is_symlink() and target.readlink() == source:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(source)


def described_in(
    tree: Path, addresses: Sequence[RemoteInput]
) -> list[dict[str, str | None]]:
    """Return what the task learns about its addresses: digests, and the paths of fetched files."""
    described: list[dict[str, str | None]] = []
    for address in addresses:
        described.append(
            {
                "url": address.url,
                "sha256": address.sha256 or None,
                "etag": address.etag or None,
                "path": str(tree / address.path) if address.fetch else None,
            }
        )
    return described


def unused(site: Site, needed: Sequence[RunSpec]) -> Iterator[Path]:
    """Yield the files in the cache that none of these runs needs, and no run used for a while."""
    names = set()
    for spec in needed:
        names |= {_place(site, address).name for address in spec.addresses}
    for path in sorted(directory_of(site).iterdir()):
        is_old = time.time() - path.stat().st_mtime > KEPT_S
        if is_old and PurePosixPath(path.name).stem not in names:
            yield path


def _place(site: Site, address: RemoteInput) -> Path:
    digest = address.sha256
    if not digest:
        import hashlib  # noqa: PLC0415  loads OpenSSL in 4 ms, which few runs need

        known = f"{address.url} {address.etag}"
        digest = hashlib.sha256(known.encode()).hexdigest()
    return directory_of(site) / digest
