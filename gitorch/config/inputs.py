"""The setting `inputs`: paths and globs, and mappings that name addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gitorch.config.document import KeyPath
from gitorch.config.paths import input_path, relative_path
from gitorch.config.reader import Reader
from gitorch.model.run.remote_input import FETCHED, RemoteInput

_PATH = "write it relative to the repository's root, or as an absolute path"
_TO = "name a file in the repository, relative to its root"
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://.")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_input(reader: Reader, position: KeyPath, written: str) -> str | None:
    """Return a path or glob in normal form, or None after a complaint."""
    if _ADDRESS.match(written):
        message = "an address needs the digest that its content must have"
        hint = f"write it like {{url: '{written}', sha256: '…'}}, or with its etag"
        reader.complain(position, message, hint)
        return None
    return reader.path(position, written, input_path, _PATH)


def read_addresses(reader: Reader, position: KeyPath) -> tuple[RemoteInput, ...]:
    """Return the addresses that are written as mappings at a position."""
    addresses = []
    for index, written in reader.children(position).items():
        if isinstance(written, Mapping):
            address = _read_address(reader, (*position, index), written)
            if address is not None:
                addresses.append(address)
    return tuple(addresses)


def _read_address(
    reader: Reader, position: KeyPath, written: Mapping[str, Any]
) -> RemoteInput | None:
    url = written.get("url", "")
    if not _ADDRESS.match(url):
        hint = "write it like https://example.org/x.csv or s3://bucket/key"
        reader.complain((*position, "url"), f"'{url}' is not an address", hint)
        return None
    sha256 = written.get("sha256", "").lower()
    if sha256 and not _SHA256.fullmatch(sha256):
        message = "'sha256' has 64 hexadecimal digits"
        reader.complain((*position, "sha256"), message, "sha256sum prints it")
        return None
    etag = written.get("etag", "").removeprefix("W/").strip('"')
    if not (sha256 or etag):
        message = "an address needs the digest that its content must have"
        reader.complain(position, message, "add its sha256, or its etag")
        return None
    address = RemoteInput(
        url=url,
        sha256=sha256,
        etag=etag,
        fetch=written.get("fetch", False),
        to=_read_to(reader, (*position, "to"), written.get("to")),
    )
    _check_fetch(reader, position, address)
    return address


def _read_to(reader: Reader, position: KeyPath, written: str | None) -> str:
    if written is None:
        return ""
    return reader.path(position, written, relative_path, _TO) or ""


def _check_fetch(reader: Reader, position: KeyPath, address: RemoteInput) -> None:
    """Complain if gitorch cannot fetch the address, or is not to fetch it and is told where to."""
    if not address.fetch:
        if address.to:
            message = "'to' says where gitorch puts what it fetches"
            hint = "add 'fetch: true', or leave 'to' out"
            reader.complain((*position, "to"), message, hint, key=True)
        return
    if address.scheme not in FETCHED:
        message = f"gitorch fetches https and file addresses, not {address.scheme}"
        hint = "leave 'fetch' out, and let the task fetch it"
        reader.complain((*position, "fetch"), message, hint)
    elif address.scheme == "file" and not address.sha256:
        message = "a file has no ETag"
        reader.complain((*position, "url"), message, "give its sha256")
    elif not address.path:
        message = "the address does not end with the name of a file"
        reader.complain((*position, "url"), message, "add 'to: data/name.csv'")
