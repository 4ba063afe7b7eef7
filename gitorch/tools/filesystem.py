"""What kind of file system a path is on, as the kernel's table of mounts tells it."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

# Where memory mapped by two hosts is not the same memory, and often not by two processes.
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
    """The type of the file system that `path`, which is there, lies on; None where the system does not tell."""
    try:
        table = os.fsdecode(MOUNTS.read_bytes())
    except OSError:
        return None
    return kind_in(table, os.path.realpath(path))


def kind_in(table: str, path: str) -> str | None:
    """The same by a table of mounts (proc(5), mountinfo): the deepest that `path` lies in, the last of several."""
    found, depth = None, -1
    for line in table.splitlines():
        mount, _, source = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), mount.split(" ")[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= depth:
            found, depth = source.split(" ")[0], len(point)
    return found


def is_network(kind: str | None) -> bool:
    return kind in NETWORK
