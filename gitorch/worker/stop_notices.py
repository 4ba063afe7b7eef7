"""The notices of what becomes of the tasks when a worker stops."""

from __future__ import annotations

from gitorch.model.run.announcement import Noticed
from gitorch.model.text.phrases import counted


def continuing(count: int) -> Noticed:
    verb = "continues" if count == 1 else "continue"
    tasks = counted(count, "submitted task")
    return Noticed(message=f"{tasks} {verb}; gitorch run collects the results")


def waiting_for(count: int) -> Noticed:
    return Noticed(
        message=f"taking no more, waiting for {counted(count, 'running task')}; "
        "Ctrl-C once more, or gitorch stop --now, sends them back to the queue"
    )
