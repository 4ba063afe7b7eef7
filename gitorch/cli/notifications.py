"""The command of `run --notify`. It hears of each failure and of the end by its environment."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping

from gitorch.actions.run import Worked
from gitorch.cli.style import in_line, masking
from gitorch.model.run.announcement import (
    Announcement,
    AttemptEnded,
    Listener,
    Noticed,
)
from gitorch.model.run.status import Status
from gitorch.model.text.phrases import counted
from gitorch.storage.site import Site
from gitorch.tools.command_queue import CommandQueue

# The variables and their meanings, for `gitorch help from-scripts`.
VARIABLES = {
    "GITORCH_EVENT": "failed: a task has failed. finished: the worker ends.",
    "GITORCH_SUMMARY": "What has happened, in one line.",
    "GITORCH_REPOSITORY": "The directory of the repository; the command runs in it.",
    "GITORCH_RUN": "failed: the id of the run.",
    "GITORCH_LABEL": "failed: its label.",
    "GITORCH_TASK": "failed: the task.",
    "GITORCH_REASON": "failed: why. finished: done, interrupted, or the error that ended it.",
    "GITORCH_LOCATION": "failed: the file and line of the error, empty if unknown.",
    "GITORCH_RUNS": "finished: the number of runs that this worker executed.",
    "GITORCH_COMPLETE": "finished: how many of them are COMPLETE.",
    "GITORCH_ERROR": "finished: how many of them are in ERROR.",
    "GITORCH_QUEUED": "finished: how many of them wait in the queue again, or are held.",
    "GITORCH_KILLED": "finished: how many of them were killed.",
}
# Linux limits a variable to 128 KiB.
_LONGEST = 2000


class Notifier:
    """Passes failures and the end of a worker on to the command of the user."""

    def __init__(self, site: Site, command: str, listener: Listener) -> None:
        self._listener = listener
        self._repository = str(site.repository.root)
        self._has_begun = False
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GIT_")
        }

        def report(text: str) -> None:
            listener(Noticed(message=f"the command of --notify: {text}"))

        self._commands = CommandQueue(
            command, site.repository.root, environment, report
        )

    def listen(self, announcement: Announcement) -> None:
        """Hand an announcement on to the listener, and a failure to the command too."""
        self._listener(announcement)
        if (
            isinstance(announcement, AttemptEnded)
            and announcement.status is Status.ERROR
        ):
            self._commands.add(self._shown(_of_failure(announcement)))

    def begin(self) -> None:
        """Note that there is work, so that its end is told."""
        self._has_begun = True

    def accompany(self, work: Callable[[], Worked]) -> Worked:
        """Do the work, and run the command for its end, also if an error is its end."""
        try:
            worked = work()
        except BaseException as error:
            self._finish(_of_error(error))
            raise
        self._finish(_of_end(worked))
        return worked

    def _finish(self, facts: Mapping[str, str]) -> None:
        self._commands.close(self._shown(facts) if self._has_begun else None)

    def _shown(self, facts: Mapping[str, str]) -> dict[str, str]:
        """Return the variables: all of them are set, in one line each and without secrets."""
        variables = dict.fromkeys(VARIABLES, "")
        for name, value in {**facts, "REPOSITORY": self._repository}.items():
            shown = in_line(masking().text(value)).replace("\0", "")
            variables[f"GITORCH_{name}"] = shown[:_LONGEST]
        return variables


def _of_failure(ended: AttemptEnded) -> dict[str, str]:
    location = ended.attempt.location or ""
    reason = str(ended.attempt.outcome)
    at = f" at {location}" if location else ""
    return {
        "EVENT": "failed",
        "SUMMARY": f"{ended.label}: {ended.task} failed: {reason}{at}",
        "RUN": ended.run_id,
        "LABEL": ended.label,
        "TASK": ended.task,
        "REASON": reason,
        "LOCATION": location,
    }


def _of_end(worked: Worked) -> dict[str, str]:
    counts = Counter(run.status for run in worked.runs)
    queued = sum(counts[status] for status in (Status.WAITING, Status.HOLD))
    total = len(worked.runs) + len(worked.killed)
    parts = [counted(total, "run")]
    parts += [f"{counts[status]} {status}" for status in Status if counts[status]]
    if worked.killed:
        parts.append(f"{len(worked.killed)} killed")
    reason = "interrupted" if worked.interrupted else "done"
    return {
        "EVENT": "finished",
        "SUMMARY": f"{reason}: {', '.join(parts)}",
        "REASON": reason,
        "RUNS": str(total),
        "COMPLETE": str(counts[Status.COMPLETE]),
        "ERROR": str(counts[Status.ERROR]),
        "QUEUED": str(queued),
        "KILLED": str(len(worked.killed)),
    }


def _of_error(error: BaseException) -> dict[str, str]:
    reason = str(error) or type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        reason = "interrupted"
    return {
        "EVENT": "finished",
        "REASON": reason,
        "SUMMARY": f"the worker has ended: {reason}",
    }
