"""Why an attempt failed: the message of its outcome."""

from __future__ import annotations

import json
from collections.abc import Sequence

from msgspec.structs import replace

from gitorch.model.run.failure_reason import failure_reason
from gitorch.model.run.outcome import ExitCode, Outcome, Succeeded
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.tools.untrusted import read_plain

_LARGEST_REASON = 64 << 10
# The exit code of a shell for a program that SIGPIPE has ended. Such a program prints nothing.
_BROKEN_PIPE = 141


def explained(
    attempt: ClaimedAttempt, outcome: Outcome, lines: Sequence[str]
) -> Outcome:
    """Return the outcome with the reason of a failure; `lines` are the last of the log.

    The program of a class task knows the reason. A class task that ended with exit code 0 without
    a result has not returned from `run`.
    """
    is_class = attempt.task.method is not None
    if isinstance(outcome, Succeeded):
        if is_class and not attempt.directory.result.is_file():
            message = "the program ended before run() returned"
            return ExitCode(exit_code=0, message=message)
        return outcome
    if not isinstance(outcome, ExitCode) or outcome.message:
        return outcome
    reason = _stated_reason(attempt) if is_class else None
    if isinstance(attempt.task.command, str) and outcome.exit_code == _BROKEN_PIPE:
        reason = (
            "a program wrote to a pipe whose reader had ended, as in yes | head -1"
        )
    if reason is None:
        reason = failure_reason(lines)
    return replace(outcome, message=reason)


def _stated_reason(attempt: ClaimedAttempt) -> str | None:
    """Return the reason that the program of a class task has written, if there is one."""
    directory = attempt.directory
    try:
        stated = json.loads(
            read_plain(directory.error, _LARGEST_REASON, below=directory.workspace)
        )
    except (OSError, ValueError, RecursionError):
        return None
    match stated:
        case {"reason": str(reason)}:
            return reason
    return None
