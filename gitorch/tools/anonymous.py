"""Files without a name. Standard library only, since the slots start without site-packages."""

from __future__ import annotations

import errno
import os

_DENIED = {errno.ENOSYS, errno.EPERM}


def anonymous_file(name: str) -> int:
    """Return the descriptor of an empty file that disappears with its last descriptor.

    The file is in memory: `name` is shown for it in /proc. Python has memfd_create(2) only if it
    was built with glibc 2.27 or later. The Pythons of conda and of uv often were not. Linux before
    3.17 and some containers do not have it either. The file is then in the temporary directory.
    Raises OSError.
    """
    try:
        return os.memfd_create(name, os.MFD_CLOEXEC)
    except AttributeError:
        pass
    except OSError as error:
        if error.errno not in _DENIED:
            raise
    import tempfile  # noqa: PLC0415  5 ms, on these systems only

    with tempfile.TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())
