"""Download of one file over https, or from a file:// address. An interrupted one is continued."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from gitorch.errors import GitorchError

_TRIES = 4
_SILENCE_S = 60.0  # without any data
_PARTIAL = 206
_BAD_RANGE = 416


class DownloadFailed(GitorchError):
    """An address that could not be fetched, or whose content is not the expected one."""

    kind = "download"


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follow a redirection only to another https address."""

    def redirect_request(
        self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str
    ) -> Any:
        if urlsplit(newurl).scheme != "https":
            raise DownloadFailed(
                f"{req.full_url} leads to {newurl}, which is not https"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(url: str, target: Path, *, sha256: str = "", etag: str = "") -> None:
    """Fetch `url` into `target`, if it has this SHA-256 (in hex) or this ETag.

    What is received is kept beside the target, as `<target>.part`, until the file is complete.
    Raises DownloadFailed, OSError.
    """
    part = target.with_name(f"{target.name}.part")
    for number in range(_TRIES):
        was_begun = part.exists()
        try:
            _receive(url, part, etag)
        except (HTTPException, TimeoutError, ConnectionError) as error:
            if number == _TRIES - 1:
                raise DownloadFailed(
                    f"{url}: {error or type(error).__name__}"
                ) from None
            continue
        found = _sha256(part) if sha256 else ""
        if found == sha256:
            break
        part.unlink()
        # The first bytes may be those of an earlier version.
        if not was_begun:
            raise DownloadFailed(
                f"{url} has the SHA-256 {found}, not {sha256}",
                "the data has changed, or the config names other data",
            )
    else:
        raise DownloadFailed(f"{url} could not be fetched in {_TRIES} tries")
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.chmod(0o444)
    part.rename(target)


def _receive(url: str, part: Path, etag: str) -> None:
    """Append to `part` what is missing of the content."""
    begun = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "gitorch", "Accept-Encoding": "identity"}
    if begun:
        headers["Range"] = f"bytes={begun}-"
        if etag:
            headers["If-Range"] = f'"{etag}"'
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  `inputs` allows https and file
    opener = urllib.request.build_opener(_OnlyHttps)
    try:
        with opener.open(request, timeout=_SILENCE_S) as response:
            _require_etag(url, etag, response.headers.get("ETag"))
            is_rest = begun > 0 and response.status == _PARTIAL
            with part.open("ab" if is_rest else "wb") as file:
                _copy(response, file)
    except urllib.error.HTTPError as error:
        if error.code != _BAD_RANGE:
            raise DownloadFailed(
                f"{url}: HTTP {error.code} {error.reason}"
            ) from None
        # Nothing is missing, or the content has become shorter: the SHA-256 will tell.
        if etag:
            part.unlink()
            raise ConnectionError("the server has less than was received") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionError):
            raise error.reason from None
        raise DownloadFailed(f"{url}: {error.reason}") from None


def _copy(response: Any, file: IO[bytes]) -> None:
    """Copy the body of a response. Raise ConnectionError if it ends before its length."""
    expected = response.headers.get("Content-Length")
    start = file.tell()
    shutil.copyfileobj(response, file, 1 << 20)
    if expected is not None and file.tell() - start < int(expected):
        raise ConnectionError("the connection ended before the data did")


def _require_etag(url: str, expected: str, found: str | None) -> None:
    if not expected:
        return
    if found is None:
        raise DownloadFailed(
            f"{url} comes without an ETag", "give its sha256 instead"
        )
    found = found.removeprefix("W/").strip('"')
    if found != expected:
        raise DownloadFailed(
            f"{url} has the ETag {found}, not {expected}",
            "the data has changed, or the config names other data",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
