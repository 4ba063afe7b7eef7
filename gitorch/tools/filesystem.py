"""The type of the file system that a path is on, from the kernel's table of mounts."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

# File systems on which two hosts, and often two processes, do not share mapped memory.
NETWORK = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs",
        "gfs2",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb3",
        "smbfs",
        "vboxsf",
    }
)


def kind_of(path: Path) -> str | None:
    """Return the type of the file system that an existing path is on.

    Return None if the system has no table of mounts.
    """
    try:
        table = os.fsdecode(MOUNTS.read_bytes())
    except OSError:
        return None
    return kind_in(table, os.path.realpath(path))


def kind_in(table: str, path: str) -> str | None:
    """Return the type of a path's file system, from a table of mounts (proc(5), mountinfo).

    The file system is the one at the deepest mount point above the path. If several are mounted at
    this point, it is the last one.
    """
    kind = None
    depth = -1
    for line in table.splitlines():
        mount, _, source = line.partition(" - ")
        point = _unescaped(mount.split(" ")[4])
        prefix = point.rstrip("/") + "/"
        is_inside = path == point or path.startswith(prefix)
        if is_inside and len(point) >= depth:
            kind = source.split(" ")[0]
            depth = len(point)
    return kind


def _unescaped(point: str) -> str:
    r"""Return a mount point without octal escapes, such as \040 for a space."""

    def character(escape: re.Match[str]) -> str:
        code = int(escape[1], 8)
        return chr(code)

    return re.sub(r"\\([0-7]{3})", character, point)


def flush(path: Path) -> None:
    """Flush the file system of a directory to disk, so that all files on it survive a power cut.

    Raises OSError.
    """
    import ctypes  # noqa: PLC0415  10 ms, for the only way to call syncfs(2)

    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(descriptor):
            raise OSError(
                ctypes.get_errno(), "the disk could not be written", str(path)
            )
    finally:
        os.close(descriptor)


def is_network(kind: str | None) -> bool:
    return kind in NETWORK
