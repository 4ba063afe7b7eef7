"""Addresses of repositories, compared by host and path."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

# The forms that git understands: https://git-scm.com/docs/git-clone#_git_urls
_URL = re.compile(
    r"(?i)[a-z][a-z0-9+.-]*://(?:[^/@]*@)?(?P<host>\[[^\]/]*\]|[^/:]*)(?::\d*)?(?P<path>/.*)?"
)
_SCP = re.compile(r"(?:[^/@:]+@)?(?P<host>\[[^\]/]*\]|[^/:\s]+):(?P<path>[^\s].*)")
_BARE = re.compile(
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)+)(?P<path>/.*)"
)  # github.com/owner/name


class Address(NamedTuple):
    """Where a repository is. Case is ignored: the large hosts do so too. `host` is empty for a path on this machine."""

    host: str
    path: str

    def __str__(self) -> str:
        """For people, and without the password that an address may hold."""
        return f"{self.host}/{self.path}" if self.host else f"/{self.path}"


def parse_address(text: str) -> Address | None:
    """The host and path of an https, ssh, scp-like, git or file address, or of a path; None where it is none."""
    for form in (_URL, _SCP, _BARE):
        if match := form.fullmatch(text):
            host, path = match["host"], match["path"] or ""
            break
    else:
        host, path = "", text
        if not text.startswith(("/", "./", "../")):
            return None
    path = unquote(path).strip("/").removesuffix(".git").rstrip("/")
    return Address(host.lower(), path.lower()) if path else None
