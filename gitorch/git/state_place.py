"""Where the state directory of a repository is. With two of them it would have two queues.

If `gitorch.stateDir` moves it out of the git directory, these files tell where it is:

    <common>/gitorch/state-dir    the directory
    <common>/gitorch/state-host   the machine on which it was created, whose local disk may have it
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from gitorch.errors import Refused
from gitorch.git.clone_identity import Home, home_in
from gitorch.tools.files import read_small, write_aside

_FILE = "state-dir"
_HOST = "state-host"
_QUEUE = "queue.db"


def noted_state(store: Path) -> Path | None:
    """Return the state directory that was used last, None if it was always in the git directory."""
    try:
        return Path(os.fsdecode(read_small(store / _FILE).rstrip(b"\n")))
    except OSError:
        return None


def note_state(store: Path, state: Path) -> None:
    """Note the state directory, which is on this machine."""
    write_aside(store / _HOST, socket.gethostname().encode() + b"\n", mode=0o600)
    write_aside(store / _FILE, os.fsencode(state) + b"\n", mode=0o600)


def follow_move(before: Path, state: Path, common_dir: Path) -> None:
    """Move the state directory `before` to `state`, if only the path of the repository has changed.

    `before` may be `state` itself, which is missing. Raises Refused if `before` is in use, and the
    setting names another place, or if it is on another machine.
    """
    if before == state:
        _require_reachable(before, common_dir)
        return
    if before.parent == state.parent and _belongs_to(before, common_dir):
        before.rename(state)
        return
    require_unused(before, state, common_dir)


def require_unused(before: Path, state: Path, common_dir: Path) -> None:
    """Raise Refused if the repository has a queue in `before` instead of `state`."""
    _require_reachable(before, common_dir)
    if not (before / _QUEUE).exists() or not _belongs_to(before, common_dir):
        return
    setting = f"git config gitorch.stateDir {before.parent}"
    if before.parent == common_dir:
        setting = "git config --unset gitorch.stateDir"
    raise Refused(
        f"the queue of this repository is in {before}, but gitorch.stateDir names {state}",
        f"use the same setting everywhere: {setting}",
    )


def _require_reachable(state: Path, common_dir: Path) -> None:
    """Raise Refused if the state directory is missing because another machine has it."""
    if state.exists():
        return
    note = common_dir / "gitorch" / _HOST
    try:
        host = read_small(note).decode(errors="replace").strip()
    except OSError:
        return  # it was moved by an earlier version, or never
    if host != socket.gethostname():
        raise Refused(
            f"the queue of this repository is on the machine {host}, in {state}",
            f"run gitorch there; if that machine is gone, remove {note}",
        )


def _belongs_to(state: Path, common_dir: Path) -> bool:
    """Return True if `state` is that of this repository, or of one whose original is gone.

    A repository that was moved to another file system has another number.
    """
    home = home_in(state)
    if home is None:
        return False
    return home.number == Home.of(common_dir).number or not home.path.exists()
