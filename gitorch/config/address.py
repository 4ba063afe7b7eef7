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
# Without a scheme, like github.com/owner/name.
_BARE = re.compile(
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)+)(?P<path>/.*)"
)


class Address(NamedTuple):
    """The address of a repository. Both parts are in lower case, since the large hosts ignore case.

    `host` is empty for a path on this machine.
    """

    host: str
    path: str

    def __str__(self) -> str:
        """Return the address for messages, without the password that the original may contain."""
        return f"{self.host}/{self.path}"


def parse_address(text: str) -> Address | None:
    """Return the parsed address, or None if `text` is not an address.

    An address is an https, ssh, scp-like, git or file address, or a path on this machine.
    """
    host, path = "", text
    for form in (_URL, _SCP, _BARE):
        if match := form.fullmatch(text):
            host, path = match["host"], match["path"] or ""
            break
    else:
        if not text.startswith(("/", "./", "../")):
            return None
    path = unquote(path).strip("/")
    path = path.removesuffix(".git").rstrip("/")
    if not path:
        return None
    return Address(host.lower(), path.lower())
