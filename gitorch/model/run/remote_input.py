"""Data that a task reads at an address on the network."""

from __future__ import annotations

import posixpath

from gitorch.model.json_struct import JsonStruct

FETCHED = ("https", "file")  # the schemes that gitorch itself reads


class RemoteInput(JsonStruct, frozen=True, kw_only=True):
    """An address with the SHA-256, in hex, or the ETag that its content is expected to have.

    gitorch fetches it only with `fetch`, and links it into worktrees as `to`, a path relative to
    the root. Otherwise the tools of the task fetch it, and check what they get.
    """

    url: str
    sha256: str = ""
    etag: str = ""  # without quotes
    fetch: bool = False
    to: str = ""

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]

    @property
    def path(self) -> str:
        """Return the path in the worktree at which a fetched address is."""
        if self.to:
            return self.to
        _, _, rest = self.url.partition("://")
        place, _, _ = rest.partition("?")
        _, _, path = place.partition("/")
        return posixpath.basename(path)

    @property
    def identity(self) -> str:
        """Return the digest by which two contents are compared."""
        return self.sha256 or f"etag:{self.etag}"
