"""What an attempt left behind, gathered into values: the first half of the way from its end to the record.

Nothing here changes the results branch or the queue, so it can be repeated after a crash.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from gitorch.engines.contract import Ended
from gitorch.errors import GitorchError
from gitorch.git.store import artifacts
from gitorch.git.store.artifacts import Stored, Unkeepable
from gitorch.git.worktree.contract import UNMODIFIED, Modified
from gitorch.model.branch_layout import ATTEMPT, CHANGES, EVENTS, LOG
from gitorch.model.run import metrics, policy, record
from gitorch.model.run.metrics import Metrics
from gitorch.model.run.outcome import CouldNotStart, ExitCode, Outcome, Succeeded
from gitorch.model.run.policy import Next
from gitorch.model.run.record_changes import AttemptResult
from gitorch.model.run.status import Status
from gitorch.runs import log, outputs
from gitorch.runs.claimed_attempt import ClaimedAttempt
from gitorch.runs.events import read_events
from gitorch.runs.site import Site
from gitorch.tools.readable_json import render_json
from gitorch.worker.surroundings import Surroundings

TAIL_LINES = 20
_LONGEST_TAIL_LINE = 2000
_TAIL_BYTES = 64 << 10
_OF_THE_DISK = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
)
_CHUNK = 1 << 20
_LARGEST_JSON = 16 << 20
# The last line of a traceback entry: `  File "/…/Tasks.py", line 12, in run`.
_TRACEBACK_ENTRY = re.compile(r'^\s*File "(.+)", line (\d+)')


class AttemptFiles(Struct, frozen=True, kw_only=True):
    """An ended attempt with all that is to be committed: `files` of its own, and `outputs` that are new or changed."""

    attempt: ClaimedAttempt
    follows: Next
    collected: AttemptResult
    files: Mapping[str, bytes | Stored]
    outputs: Mapping[str, Stored]
    tail: tuple[str, ...]
    location: str | None


class _Log(NamedTuple):
    content: bytes | Stored
    tail: tuple[str, ...]
    location: str | None


def gather(
    site: Site, attempt: ClaimedAttempt, ended: Ended, surroundings: Surroundings
) -> AttemptFiles:
    """Read what the attempt wrote. Whatever of it cannot be kept is said in the attempt's notes.

    An attempt that left its place in a state that nobody foresaw is an error of its own, and no other's. Raises
    GitorchError, and OSError where the disk is at fault: then it can be gathered later.
    """
    try:
        return _gather(site, attempt, ended, surroundings)
    except GitorchError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            raise
        return _ungathered(attempt, ended, error)


def _ungathered(attempt: ClaimedAttempt, ended: Ended, error: Exception) -> AttemptFiles:
    """The end of an attempt of which nothing but its outcome is known."""
    told = f"what it left cannot be read ({type(error).__name__}: {error}); it ended with: {ended.outcome}"
    outcome = replace(ended.outcome, message=told)
    kept_attempt = _kept_attempt(attempt, ended, outcome, notes=(told,))
    return AttemptFiles(
        attempt=attempt,
        follows=Next(status=Status.ERROR, outcome=outcome),
        collected=AttemptResult(
            task=attempt.task.id,
            status=Status.ERROR,
            attempt=kept_attempt,
            result=None,
            metrics={},
            outputs=(),
            environment={},
        ),
        files={
            LOG: f"gitorch: {told}\n".encode(errors="replace"),
            ATTEMPT: render_json(kept_attempt.to_json()),
        },
        outputs={},
        tail=(),
        location=None,
    )


def _kept_attempt(
    attempt: ClaimedAttempt,
    ended: Ended,
    outcome: Outcome,
    *,
    modified: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> record.Attempt:
    return record.Attempt(
        number=attempt.claim.number,
        token=attempt.claim.token,
        started=ended.started,
        ended=ended.ended,
        duration_s=ended.duration_s,
        host=socket.gethostname(),
        outcome=outcome,
        pin=attempt.payload.pin,
        left_running=ended.left_running,
        modified=modified,
        notes=notes,
    )


def _gather(
    site: Site, attempt: ClaimedAttempt, ended: Ended, surroundings: Surroundings
) -> AttemptFiles:
    directory, task = attempt.directory, attempt.task
    kept_log = _log(site, attempt, ended.outcome, surroundings.secrets)
    modified, unknown = _modified(site, attempt, ended.outcome)
    found = outputs.find(site, attempt.run, attempt.payload.spec, task)
    events = read_events(directory.events)
    result = _read_json(directory.result) if isinstance(ended.outcome, Succeeded) else None
    follows = policy.after(
        _explained(ended.outcome, kept_log),
        task.retries,
        retries=attempt.claim.retries,
        losses=attempt.claim.losses,
        lost_limit=site.settings.lost_limit,
    )
    kept_attempt = _kept_attempt(
        attempt,
        ended,
        follows.outcome,
        modified=modified.files,
        notes=(
            *found.notes,
            *(f"{name} was changed, and is too large for a diff" for name in modified.large),
            *unknown,
        ),
    )
    collected = AttemptResult(
        task=task.id,
        status=follows.status,
        attempt=kept_attempt,
        result=metrics.finite(result),
        metrics=_metrics(attempt, events, result),
        outputs=found.outputs,
        discarded=found.discarded,
        environment=surroundings.describe(attempt.payload.interpreter),
    )
    files: dict[str, bytes | Stored] = {LOG: kept_log.content}
    if directory.events.is_file():
        files[EVENTS] = artifacts.store(
            site.repository, directory.events, large=site.settings.large_file_bytes
        )
    if modified.diff:
        files[CHANGES] = modified.diff
    files[ATTEMPT] = render_json(
        {**kept_attempt.to_json(), "result": collected.result, "metrics": collected.metrics}
    )
    return AttemptFiles(
        attempt=attempt,
        follows=follows,
        collected=collected,
        files=files,
        outputs=found.new,
        tail=kept_log.tail,
        location=kept_log.location,
    )


def _modified(
    site: Site, attempt: ClaimedAttempt, outcome: Outcome
) -> tuple[Modified, tuple[str, ...]]:
    """What was done to tracked files; where it cannot be told, as of a worktree that a run has removed, why."""
    if isinstance(outcome, CouldNotStart):
        return UNMODIFIED, ()
    try:
        return site.worktrees.modified(attempt.run.tree, attempt.payload.pin.commit), ()
    except (GitorchError, OSError) as error:
        return UNMODIFIED, (f"what was changed in the worktree is not known: {error}",)


def _log(site: Site, attempt: ClaimedAttempt, outcome: Outcome, secrets: tuple[bytes, ...]) -> _Log:
    """The log as it is kept, its last lines, and the place in the run's own code that a traceback ends in."""
    if isinstance(outcome, CouldNotStart) and not attempt.directory.log.exists():
        return _Log(f"gitorch: {outcome}\n".encode(errors="surrogateescape"), (), None)
    content: bytes | Stored
    end = b""
    aside = attempt.directory.path / "log.kept"
    try:
        with attempt.directory.log.open("rb") as live:
            blocks = log.clean(iter(lambda: live.read(_CHUNK), b""), secrets)
            if os.fstat(live.fileno()).st_size <= site.settings.large_file_bytes:
                content = b"".join(blocks)
                end = content[-_TAIL_BYTES:]
            else:
                with aside.open("wb") as kept:
                    for block in blocks:
                        kept.write(block)
                        end = (end + block)[-_TAIL_BYTES:]
                content = artifacts.store(
                    site.repository, aside, large=site.settings.large_file_bytes
                )
    except (OSError, Unkeepable) as error:
        return _Log(f"gitorch: the log could not be read: {error}\n".encode(), (), None)
    lines = [line[:_LONGEST_TAIL_LINE] for line in end.decode("utf-8", "replace").split("\n")]
    places = [
        _in_the_run(attempt, entry) for line in lines if (entry := _TRACEBACK_ENTRY.match(line))
    ]
    location = next((place for place in reversed(places) if place), None)
    return _Log(
        content,
        tuple(lines[-1 - TAIL_LINES : -1] if lines[-1] == "" else lines[-TAIL_LINES:]),
        location,
    )


def _in_the_run(attempt: ClaimedAttempt, entry: re.Match[str]) -> str | None:
    """`file:line` of a traceback entry, if the file is in the run's worktree."""
    try:
        return f"{Path(entry[1]).relative_to(attempt.run.tree)}:{entry[2]}"
    except ValueError:
        return None


def _explained(outcome: Outcome, kept_log: _Log) -> Outcome:
    """A failure with its reason in words: the last line that the program had to say."""
    if not isinstance(outcome, ExitCode) or outcome.message:
        return outcome
    said = next((line.strip() for line in reversed(kept_log.tail) if line.strip()), None)
    return ExitCode(exit_code=outcome.exit_code, message=said)


def _metrics(attempt: ClaimedAttempt, events: Iterator[Any], result: Any) -> Metrics:
    """All that the task measured: by events, in files of the output directory, by what it returned."""
    found = metrics.of_events(events)
    for name in ("metrics.json", *attempt.task.metrics):
        found |= metrics.of_file(_read_json(attempt.run.output / name))
    return found | metrics.of_result(result)


def _read_json(path: Path) -> Any:
    """The JSON at `path`; None where there is none that can be read."""
    try:
        if path.stat().st_size > _LARGEST_JSON:
            return None
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
