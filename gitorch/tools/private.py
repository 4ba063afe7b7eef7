"""Directories that other users of the machine can neither read nor replace."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from gitorch.errors import Refused

_MODE = 0o700


def private_directory(path: Path) -> None:
    """Create a directory that only its owner can access, or make an existing one such a directory.

    Raises Refused if a link, a file or another user's directory is at `path`, or if no directory
    can be there.
    """
    with suppress(FileExistsError):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=_MODE)
        except (
            FileNotFoundError
        ) as error:  # /proc, and directories that were removed
            raise Refused(
                f"no directory can be made at {path}",
                "choose another place: git config gitorch.workspace DIRECTORY",
            ) from error
    require_private(path)


def require_private(path: Path) -> None:
    """Make an existing directory one that only its owner can access.

    Raises Refused if it is a link, a file, or a directory of another user. Such a directory could
    make this user delete, change or execute the files of somebody else's choice.
    """
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise Refused(
            f"{path} is a link to {path.readlink()}, and gitorch does not write through a link",
            f"remove the link, or name a directory: git config gitorch.workspace {path.parent}",
        )
    if not stat.S_ISDIR(found.st_mode):
        raise Refused(f"{path} is not a directory", "move it away")
    if found.st_uid != os.geteuid():
        raise Refused(
            f"{path} belongs to another user",
            "choose a directory of your own: git config gitorch.workspace DIRECTORY",
        )
    if found.st_mode & 0o077:
        # EROFS, EPERM: some file systems cannot change modes.
        with suppress(OSError):
            change_mode(path, _MODE)


def require_fixed(parent: Path) -> None:
    """Raise Refused if any user can replace what lies in the directory `parent`."""
    try:
        mode = parent.stat().st_mode
    except FileNotFoundError:
        return
    is_open = mode & stat.S_IWOTH and not mode & stat.S_ISVTX
    if stat.S_ISDIR(mode) and is_open:
        raise Refused(
            f"any user can rename and replace what is in {parent}",
            f"chmod +t {parent}",
        )


def change_mode(path: Path | str, mode: int, *, dir_fd: int | None = None) -> None:
    """Change the mode of a directory, but not that of the target of a link.

    Raises NotADirectoryError for a link. O_PATH opens a directory without read permission too.
    """
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, dir_fd=dir_fd)
    try:
        Path(f"/proc/self/fd/{descriptor}").chmod(mode)
    finally:
        os.close(descriptor)


def private_file(path: Path) -> None:
    """Create an empty file that only its owner can access, unless the file exists.

    An existing file of this user is made one that only its owner can access.
    """
    flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            with suppress(OSError):
                os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
