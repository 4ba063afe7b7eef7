"""The id of a clone, and whether the clone was moved or copied since the id was drawn.

    <state>/clone-id      the id
    <state>/clone-home    the device, inode and path of the git directory that the id was drawn for
    <state>/moved-from    the paths of the git directory before it was moved, one a line

The device and the inode tell a copy from the original, and the path says where the original was. A
repository whose original is gone was moved, or restored from a backup: it keeps its id. A copy
beside its original gets an id of its own, since both would execute the same runs otherwise.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from msgspec import Struct

from gitorch.errors import Refused
from gitorch.tools.faults import boundary
from gitorch.tools.files import read_small, write_aside
from gitorch.tools.locks import taken
from gitorch.tools.random_names import random_hex

_ID = "clone-id"
_HOME = "clone-home"
_FORMER = "moved-from"
_PATIENCE_S = 10.0


class Home(Struct, frozen=True):
    """A git directory: its device and inode, and its path."""

    number: str
    path: Path

    @classmethod
    def of(cls, common_dir: Path) -> Home:
        status = common_dir.stat()
        return cls(f"{status.st_dev}:{status.st_ino}", common_dir)


def stored_id(state: Path) -> str:
    """Return the id in a state directory. The first call draws it.

    Raises Refused if the file of the id is damaged.
    """
    path = state / _ID
    if not path.exists():
        drawn = _drawn(path)
        try:
            # Unlike a rename, a link does not replace an id that another process has just drawn.
            path.hardlink_to(drawn)
        except FileExistsError:
            pass
        finally:
            drawn.unlink()
        boundary()
    found = read_small(path).strip()
    if not found.isalnum():
        raise Refused(
            f"{path} does not hold the id of this clone any more",
            f"mv {path} {path}.damaged; then gitorch adopt takes over the runs that wait",
        )
    return found.decode("ascii")


def settle(state: Path, common_dir: Path) -> None:
    """Note that the id in `state` is that of the repository at `common_dir`.

    If the repository is a copy, it gets a new id. Raises Refused if two repositories use `state`.
    """
    home = Home.of(common_dir)
    if home_in(state) == home:
        return
    try:
        with taken(state / "clone.lock", wait_s=_PATIENCE_S) as is_locked:
            if is_locked:
                _settle(state, home)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise


def home_in(state: Path) -> Home | None:
    """Return the repository that a state directory belongs to, None if it is not known.

    A damaged file says nothing.
    """
    try:
        number, _, path = read_small(state / _HOME).partition(b" ")
    except OSError:
        return None
    if not path.startswith(b"/"):
        return None
    return Home(os.fsdecode(number), Path(os.fsdecode(path.rstrip(b"\n"))))


def former_homes(state: Path) -> list[Path]:
    """Return the paths that the repository was moved from, the oldest first."""
    try:
        lines = read_small(state / _FORMER).splitlines()
    except OSError:
        return []
    return [Path(os.fsdecode(line)) for line in lines]


def _settle(state: Path, home: Home) -> None:
    noted = home_in(state)
    if noted == home:
        return
    if noted is not None:
        original = noted.path / "gitorch"
        if noted.number != home.number and _is_same_clone(original, state, home):
            _drawn(state / _ID).replace(state / _ID)
        elif noted.path != home.path:
            _note_former(state, noted.path)
    line = b"%s %s\n" % (home.number.encode(), os.fsencode(home.path))
    write_aside(state / _HOME, line, mode=0o600)


def _note_former(state: Path, path: Path) -> None:
    former = [*former_homes(state), path]
    lines = b"".join(os.fsencode(path) + b"\n" for path in dict.fromkeys(former))
    write_aside(state / _FORMER, lines, mode=0o600)


def _is_same_clone(original: Path, state: Path, home: Home) -> bool:
    """Return True if the repository at `original` has the id of `state`, which is a copy then."""
    if original.parent == home.path:
        return False
    try:
        is_same = read_small(original / _ID) == read_small(state / _ID)
    except OSError:
        return False
    if is_same and original.samefile(state):
        raise Refused(
            f"{original.parent} and {home.path} use the same state directory, {state}",
            f"remove the link {home.path / 'gitorch'}, so that each has its own",
        )
    return is_same


def _drawn(path: Path) -> Path:
    """Write a new id to a file beside `path`."""
    drawn = path.with_name(f"{path.name}.{random_hex(4)}")
    data = f"{random_hex(6)}\n".encode()
    write_aside(drawn, data, durable=True, mode=0o600)
    return drawn
