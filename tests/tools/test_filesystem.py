"""The type of a path's file system is read from the table of mounts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gitorch.tools.filesystem import is_network, kind_in, kind_of

TABLE = """\
24 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 24 0:40 / /home rw,relatime shared:2 master:1 - nfs4 server:/home rw,vers=4.2
31 30 0:41 / /home/a\\040user rw - fuse.sshfs user@host: rw
32 24 0:42 / /data rw - cifs //server/share rw
33 24 0:43 / /data rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/x", "ext4"),
        ("/", "ext4"),
        ("/home", "nfs4"),
        ("/home/b/project", "nfs4"),
        ("/homely", "ext4"),
        ("/home/a user/project", "fuse.sshfs"),
        ("/data/x", "tmpfs"),  # mounted over the previous one
    ],
)
def test_the_deepest_mount_is_a_paths_file_system(path: str, kind: str) -> None:
    assert kind_in(TABLE, path) == kind


def test_this_machine_agrees_with_stat(tmp_path: Path) -> None:
    said = subprocess.run(
        ["findmnt", "-no", "FSTYPE", "-T", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert kind_of(tmp_path) == said.stdout.split()[-1]


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "lustre", "gpfs"]
)
def test_network_file_systems(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", None]
)
def test_local_file_systems(kind: str | None) -> None:
    assert not is_network(kind)
