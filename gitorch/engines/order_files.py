"""The files through which a worker and the program that carries out an order talk (see `keeper`).

The worker writes the order, and may withdraw it as long as no program has taken it. Of the two, one
succeeds, so an order that was withdrawn is never carried out.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec.structs import replace

import gitorch
from gitorch.engines.contract import LARGEST_STATUS, Order, submission_of
from gitorch.model.json_struct import JsonStruct, always
from gitorch.model.run.outcome import Outcome
from gitorch.model.workspace import AttemptDirectory
from gitorch.tools.untrusted import read_plain

_KEEPER = """
import sys
sys.path.insert(0, sys.argv[1])
from gitorch.engines.keeper import main
sys.exit(main(sys.argv[2], sys.argv[3]))
"""


class MachineFacts(JsonStruct, frozen=True, kw_only=True):
    """The facts about a machine that a record has, see `gitorch.tools.machine`."""

    platform: str | None = None
    machine: str | None = None
    cpu: str | None = None
    cpus: int | None = None
    memory_bytes: int | None = None
    gpus: tuple[str, ...] = always(())
    cuda: str | None = None
    umask: str | None = None
    locale: str | None = None
    timezone: str | None = None


class Began(JsonStruct, frozen=True, kw_only=True):
    """The place where an order is carried out, as the program that does it says."""

    token: str
    host: str
    pid: int
    job: str
    engine: str | None = None  # None: an engine of an earlier version
    machine: MachineFacts | None = None  # None: the program has not said it
    commands: Mapping[str, str] = {}  # the output of the commands of `environment:`


class ExecutionPlace(JsonStruct, frozen=True, kw_only=True):
    """The place where an attempt is executed, or waits to be."""

    engine: str
    job: str | None
    host: str | None = None  # None: it has not begun
    note: str | None = None  # why it has not

    def __str__(self) -> str:
        job = f"{self.engine} job {self.job}" if self.job else self.engine
        if self.host is not None:
            return f"{job} on {self.host}"
        return f"{job} waits: {self.note}" if self.note else f"{job} waits"


def keeper_command(python: str = sys.executable) -> tuple[str, ...]:
    """Return the command that carries out an order.

    Its last two arguments are still missing: the attempt's directory, and a name of the execution.
    """
    package = Path(gitorch.__file__).parents[1]
    return (python, "-I", "-S", "-c", _KEEPER, str(package))


def write_order(
    order: Order, base: Mapping[str, str], *, beat_s: float, checkpoint_s: float
) -> None:
    """Write the order. `base` is the environment in which the program will start."""
    files = AttemptDirectory(order.directory)
    aside = files.path / ".order.json"
    document = order_document(order, base, beat_s=beat_s, checkpoint_s=checkpoint_s)
    _write(aside, document)
    aside.rename(files.order)


def order_document(
    order: Order, base: Mapping[str, str], *, beat_s: float, checkpoint_s: float
) -> dict[str, Any]:
    """Return the JSON of an order, see `write_order`."""
    return {
        "token": order.token,
        "engine": order.engine,
        "directory": str(order.directory.absolute()),
        "argv": list(order.argv),
        "cwd": str(order.cwd.absolute()),
        "env": _changes(order.env, base),
        "reports": list(order.reports),
        "timeout_s": order.timeout_s,
        "grace_s": order.grace_s,
        "beat_s": beat_s,
        "checkpoint_s": checkpoint_s,
        "is_durable": True,
    }


def withdraw_order(directory: Path) -> bool:
    """Withdraw the order. Return False if a program has taken it, or if it was withdrawn before."""
    try:
        AttemptDirectory(directory).order.rename(directory / "withdrawn.json")
    except FileNotFoundError:
        return False
    return True


def is_taken(directory: Path) -> bool:
    """Return True if a program carries out the order, or has done so."""
    return os.path.lexists(AttemptDirectory(directory).began)


def request_end(directory: Path, token: str, outcome: Outcome) -> None:
    """Ask the program that carries out the order to end the attempt with this outcome."""
    request = {"token": token, "outcome": outcome.to_json()}
    path = AttemptDirectory(directory).cancellation
    aside = directory / ".cancel.json"
    _write(aside, request)
    aside.rename(path)


def give_up(directory: Path, token: str, outcome: Outcome) -> None:
    """Withdraw the order, or have its program end the attempt as soon as it can read its files.

    The program may be on a machine that hangs, for example, and continue later.
    """
    if not withdraw_order(directory):
        with suppress(OSError):
            request_end(directory, token, outcome)


def began(directory: Path, token: str) -> Began | None:
    """Return where the attempt with this token runs or ran, or None if it has not begun."""
    try:
        path = AttemptDirectory(directory).began
        record = read_plain(path, LARGEST_STATUS, below=directory)
        found = Began.from_json(json.loads(record))
    except (OSError, ValueError, RecursionError):
        return None
    return found if found.token == token else None


def host_of(place: Began | None) -> str:
    """Return the name of the host on which an attempt ran, by default this one."""
    return socket.gethostname() if place is None else place.host


def place_of(directory: Path, token: str) -> ExecutionPlace | None:
    """Return where the attempt with this token is executed, None if on the worker's machine."""
    submission = submission_of(directory, token)
    found = began(directory, token)
    if submission is None:
        if found is None or found.engine is None:
            return None
        return ExecutionPlace(engine=found.engine, job=None, host=found.host)
    place = ExecutionPlace(engine=submission.engine, job=submission.job)
    if found is None:
        return replace(place, note=submission.note)
    return replace(place, host=found.host)


def last_beat(directory: Path) -> int | None:
    """Return a number that changes as long as the attempt is executed, None before it has begun."""
    with suppress(OSError):
        return AttemptDirectory(directory).began.stat().st_mtime_ns
    return None


def _changes(wanted: Mapping[str, str], base: Mapping[str, str]) -> dict[str, Any]:
    """Return how the environment `base` has to be changed.

    A secret that stands in both is therefore not written to the disk.
    """
    values: dict[str, str] = {}
    around: dict[str, tuple[str, str]] = {}
    for name, value in wanted.items():
        before = base.get(name)
        if before == value:
            continue
        if before and os.pathsep in value and before in value:
            first, _, last = value.partition(before)
            around[name] = first, last
        else:
            values[name] = value
    unset = [name for name in base if name not in wanted]
    return {"set": values, "around": around, "unset": unset}


def _write(path: Path, document: Mapping[str, Any]) -> None:
    """Write a new file that only this user can read."""
    with suppress(FileNotFoundError):
        path.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(document, file)
