"""The library pygit2, loaded without a second reading of all certificates of TLS.

libgit2 reads the file with all certificates of the system at its start, and pygit2 makes it read
the file again, which is an eighth of the time of the import. gitorch has no use for them, since it
speaks to other repositories through the git program alone. A directory of certificates is read only
as far as it is needed, so pygit2 gets that. The import takes 40 ms. This module is therefore
imported where it is needed.
"""

from __future__ import annotations

import ssl

_find = ssl.get_default_verify_paths


def _find_directory() -> ssl.DefaultVerifyPaths:
    found = _find()
    if found.capath is None:
        return found
    return found._replace(cafile=None)  # type: ignore[arg-type]


ssl.get_default_verify_paths = _find_directory
try:
    import pygit2
finally:
    ssl.get_default_verify_paths = _find

__all__ = ["pygit2"]
