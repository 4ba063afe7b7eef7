"""The file of the queue: its format, its creation and upgrade, and the repository it belongs to."""

from __future__ import annotations

import os
from pathlib import Path

from gitorch.database.connection import Database, DatabaseFormat
from gitorch.database.statements import script
from gitorch.errors import UPGRADE, Refused
from gitorch.tools.locks import taken

FORMAT = DatabaseFormat(
    name="queue",
    version=4,
    statements="queue.sql",
    pragmas=("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"),
    timeout_s=10.0,
    repair="results are safe on the results branch; move queue.db* out of the way and run again: "
    "the queue is made anew from the records",
    rows_have_names=True,
)

FileId = tuple[int, int]


def opened(path: Path, home: str) -> Database:
    """Open the queue at `path`. Create the file if it is missing, upgrade it if it is older.

    On a read-only file system the queue can be read, and SQLite refuses every change.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
        has_wal = path.with_name(f"{path.name}-wal").exists()
        return Database.open_read_only(path, FORMAT, is_immutable=not has_wal)
    if not path.exists():
        _remove_rest(path)
    database = Database.open(path, FORMAT)
    _prepare(database, path, home)
    return database


def file_id(path: Path) -> FileId | None:
    """Return the identity of the file at `path`, or None if there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def is_same_home(one: str, other: str) -> bool:
    """Return True if both are the same directory, whatever the name of the host is.

    The name of a host changes with DHCP, and it is another one in a container. Two directories of
    one machine differ in device or inode.
    """
    return one.rsplit(":", 2)[-2:] == other.rsplit(":", 2)[-2:]


def _remove_rest(path: Path) -> None:
    """Remove the -wal and -shm of a queue.db that was removed.

    A program that still has the old database open shares them with the new one otherwise, and its
    changes would then damage the new one.
    """
    with taken(path.with_suffix(".lock"), wait_s=FORMAT.timeout_s) as is_locked:
        if is_locked and not path.exists():
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            path.touch()


def _prepare(database: Database, path: Path, home: str) -> None:
    """Create or upgrade the tables. Note `home` as the repository of a new file."""
    version = database.version()
    if version > FORMAT.version:
        raise Refused(
            f"{path} was made by a newer gitorch "
            f"(format {version}, this one knows {FORMAT.version})",
            hint=UPGRADE,
        )
    if version == FORMAT.version:
        return
    with database.transaction() as execute:
        # Another process may have upgraded the file before the transaction began.
        version = database.version()
        if version == 0:
            execute.script(script("queue_schema.sql"))
        else:
            for earlier in range(version, FORMAT.version):
                execute.script(script(f"queue_upgrade_{earlier}.sql"))
        execute.set_version()
        if execute("get_meta", key="home").fetchone() is None:
            execute("set_meta", key="home", value=home)
