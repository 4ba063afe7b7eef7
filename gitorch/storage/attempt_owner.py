"""The owner of an attempt: the worker that executes it, noted in the attempt's directory.

The queue says which worker has claimed a task. But while a worker lives, queue.db can be removed,
or replaced by an older file. The new queue does not know the worker, and lets another worker claim
the same task. Therefore a worker becomes the owner of an attempt before it uses the worktree. The
directory of an attempt has one owner: the worker that made the file first.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gitorch.database.queue_file import is_same_home
from gitorch.database.values import Claim, Worker
from gitorch.errors import GitorchError
from gitorch.model.json_struct import JsonStruct
from gitorch.model.workspace import AttemptDirectory
from gitorch.tools.clock import stamp
from gitorch.tools.files import delete, is_replaced, write_over
from gitorch.tools.random_names import random_hex
from gitorch.tools.untrusted import read_plain

if TYPE_CHECKING:
    from gitorch.storage.claimed_attempt import ClaimedAttempt

# A worker writes the file at once after it has made the file. After this time it is dead.
_EMPTY_S = 1.0
_LARGEST = 64 << 10


class Owner(JsonStruct, frozen=True, kw_only=True):
    """The worker that executes an attempt, with the attempt's token and the time of its claim.

    `home` identifies the repository. In a copy of the workspace it is that of the original.
    """

    home: str
    token: str
    started: str
    worker: Worker


class OwnedByAnother(GitorchError):
    """The attempt that was claimed is already executed by another worker."""

    kind = "owned-by-another"

    def __init__(self, owner: Owner) -> None:
        super().__init__(
            f"it is executed by {owner.worker.host}:{owner.worker.pid}"
        )
        self.owner = owner


def become_owner(attempt: ClaimedAttempt, worker: Worker, home: str) -> None:
    """Make `worker` the owner of the attempt, and create the attempt's directory.

    Raises OwnedByAnother if a worker of this repository owns the attempt already.
    """
    directory = attempt.directory
    # mkdir(parents=True) would start with the innermost directory, which fails.
    is_new = False
    for path in (attempt.run.log, directory.path.parent, directory.path):
        is_new = _make_directory(path)
    claim = attempt.claim
    owner = Owner(
        home=home, token=claim.token, started=claim.started, worker=worker
    )
    data = msgspec.json.encode(owner)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(directory.owner, flags, 0o600)
    except FileExistsError:
        _require_abandoned(directory, owner)
        write_over(directory.owner, data)
    else:
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
    if not is_new:
        _clear(directory)


def owner_of(directory: AttemptDirectory) -> Owner | None:
    """Return the owner of an attempt, or None if none is noted."""
    try:
        data = read_plain(directory.owner, _LARGEST, below=directory.path)
        return Owner.from_json(msgspec.json.decode(data))
    except (OSError, ValueError):
        return None


def note_start(attempt: ClaimedAttempt) -> None:
    """Note that the attempt starts now: as the time of the last change of the file."""
    with suppress(OSError):
        os.utime(attempt.directory.owner, follow_symlinks=False)


def start_of(directory: AttemptDirectory, *, claimed: str) -> str | None:
    """Return when an attempt started that was `claimed` then, or None if it has not started.

    The first thing that a slot does is to open the log, or to record why the attempt cannot start.
    """
    if not os.path.lexists(directory.log) and not directory.status.exists():
        return None
    try:
        started_s = directory.owner.lstat().st_mtime
    except OSError:
        # The attempt of an earlier version, which noted no owner.
        return claimed
    return stamp(datetime.fromtimestamp(started_s, UTC))


def give_up_ownership(attempt: ClaimedAttempt) -> None:
    """Forget that this attempt has its directory, because the attempt did not begin."""
    owner = owner_of(attempt.directory)
    if owner is not None and owner.token == attempt.claim.token:
        with suppress(OSError):
            attempt.directory.owner.unlink()


def claim_of(owner: Owner, claim: Claim) -> Claim:
    """Return the claim of the owner, for the same attempt as `claim`."""
    return msgspec.structs.replace(claim, token=owner.token, started=owner.started)


def _make_directory(path: Path) -> bool:
    """Make a directory. Return False if it exists.

    A link or a file that a task of the run put there is removed.
    """
    try:
        path.mkdir()
    except FileExistsError:
        if not is_replaced(path):
            return False
        path.unlink()
        path.mkdir()
    return True


def _clear(directory: AttemptDirectory) -> None:
    """Empty the directory, of which nothing may be taken for the new attempt's.

    The task was given back after it was prepared, or another task of the run made the directory, or
    the end of an attempt of this number was never recorded. The log of such an attempt is renamed.
    """
    for path in directory.path.iterdir():
        is_log = path.name.startswith(directory.log.name) and path.is_file()
        if path == directory.log and is_log:
            path.rename(path.with_name(f"{path.name}.{random_hex(4)}"))
        elif path != directory.owner and not is_log:
            delete(path)


def _require_abandoned(directory: AttemptDirectory, own: Owner) -> None:
    """Raise OwnedByAnother unless the noted owner cannot be executing the attempt."""
    deadline = time.monotonic() + _EMPTY_S
    other = owner_of(directory)
    while other is None and time.monotonic() < deadline:
        time.sleep(_EMPTY_S / 100)
        other = owner_of(directory)
    if other is not None and is_same_home(other.home, own.home):
        raise OwnedByAnother(other)
