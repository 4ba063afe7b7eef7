"""The contract of an engine, which executes orders and reports how they ended.

An order is a command, never a function, so that it can travel to another machine. The end of an
attempt is recorded in `status.json` in its directory, and this record is authoritative: another
process reads it later with `recorded_end`. The engine's report is only a hint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from gitorch.model.json_struct import JsonStruct, always
from gitorch.model.run.outcome import Outcome
from gitorch.model.run.spec import Resources
from gitorch.model.workspace import AttemptDirectory
from gitorch.tools import clock
from gitorch.tools.untrusted import read_plain

# In bytes. The longest part of a status is the message of its outcome.
LARGEST_STATUS = 1 << 20


class Order(NamedTuple):
    """One attempt to execute.

    The directory exists; the attempt's log and status are written into it.
    """

    token: str  # names this attempt and never another one
    directory: Path
    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    timeout_s: float | None = None
    # The time between SIGTERM and SIGKILL when the attempt is ended.
    grace_s: float = 3.0
    # The request to an engine of several machines. The local engine does not count them: the
    # worker has taken them already.
    resources: Resources = Resources()
    engine: str = "local"
    options: Mapping[
        str, Any
    ] = {}  # the engine's own, from the config and settings
    # The commands whose output the record gets, from the machine that executes the attempt.
    reports: Sequence[str] = ()
    title: str = ""  # for people who look at the engine's list of jobs


class Ended(JsonStruct, frozen=True, kw_only=True):
    """The end of an attempt. All processes of the attempt have ended.

    `status.json` holds this struct as JSON. Slots write the same JSON without this class.
    """

    token: str
    outcome: Outcome
    started: str  # RFC 3339, UTC, milliseconds
    ended: str
    duration_s: float  # by the monotonic clock
    left_running: int = always(
        0
    )  # processes that outlived the program, and were ended
    log_error: str | None = None  # why the end of the output is not in the log

    @classmethod
    def unrecorded(
        cls,
        token: str,
        outcome: Outcome,
        *,
        started: str | None = None,
        duration_s: float = 0.0,
    ) -> Ended:
        """Return the end, as of now, of an attempt that recorded no end itself.

        `started` is None if the attempt never started.
        """
        now = clock.now()
        return cls(
            token=token,
            outcome=outcome,
            started=started or now,
            ended=now,
            duration_s=duration_s,
        )


def recorded_end(directory: Path, token: str) -> Ended | None:
    """Return the end that the attempt itself recorded in its directory.

    Return None if there is no readable record with this `token`.
    """
    try:
        status = AttemptDirectory(directory).status
        record = read_plain(status, LARGEST_STATUS, below=directory)
        ended = Ended.from_json(json.loads(record))
    except (OSError, ValueError, RecursionError):
        return None
    if ended.token != token:
        return None
    return ended


class Submission(JsonStruct, frozen=True, kw_only=True):
    """A note, in an attempt's directory, of what an engine has submitted for it.

    The engine finds it again by `name`, which no other submission ever has. `job` is what the
    engine's own commands call it, and is for people: such numbers are used again.
    """

    token: str
    engine: str
    name: str
    index: int | None = None  # in an array
    job: str | None = None
    note: str | None = None  # why it does not begin
    heartbeat_s: float = 5.0  # how often it shows that it is alive


def submission_of(directory: Path, token: str) -> Submission | None:
    """Return the submission of the attempt with this token, or None if there is none."""
    try:
        path = AttemptDirectory(directory).submission
        record = read_plain(path, LARGEST_STATUS, below=directory)
        submission = Submission.from_json(json.loads(record))
    except (OSError, ValueError, RecursionError):
        return None
    if submission.token != token:
        return None
    return submission


class Engine(Protocol):
    """An engine, which executes several orders at a time.

    An engine is a context manager, and leaving the context ends the attempts that still run, unless
    the engine `outlives` its worker. Only one thread may use an engine.
    """

    @property
    def outlives(self) -> bool:
        """Return True if attempts continue when the context is left, or the worker is killed.

        The engine notes a `Submission` of each attempt before it submits it.
        """

    @property
    def slots(self) -> int:
        """Return the number of orders that the engine can execute at the same time."""

    @property
    def poll_interval_s(self) -> float | None:
        """Return the interval at which to poll even if no descriptor is readable.

        Return None if this is never necessary.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def submit(self, order: Order) -> None:
        """Start an attempt, at the next `poll` or before.

        There must be a free slot. An order whose token was submitted before is ignored.
        """

    def poll(self) -> list[Ended]:
        """Return the attempts that have ended since the last call, without waiting."""

    def descriptors(self) -> list[int]:
        """Return file descriptors to wait for.

        At least one descriptor is readable when `poll` has something to return. Every call of
        `poll` may change the descriptors.
        """

    def cancel(self, token: str, outcome: Outcome) -> None:
        """End an attempt.

        `poll` later returns its end with this outcome. If the attempt ended by itself just before,
        the outcome is the attempt's own. If no attempt with this token runs, the call is ignored.
        """

    def take_over(self, token: str, directory: Path) -> bool:
        """Continue with an attempt that an engine of an earlier worker has submitted.

        `poll` later returns its end. Return False if the engine cannot find such attempts.
        """

    def notices(self) -> list[str]:
        """Return what the user should know about the attempts, each sentence once."""

    def free(self) -> int:
        """Return the number of orders that the engine can accept now."""
