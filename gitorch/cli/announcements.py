"""The lines that `run` prints on stderr about its runs."""

from __future__ import annotations

from gitorch.cli.style import duration, in_line, paint, paint_status
from gitorch.model.run.announcement import (
    Announcement,
    AttemptEnded,
    AttemptRefused,
    AttemptStarted,
    Noticed,
    TaskReused,
)
from gitorch.model.run.status import Status


def render_announcement(announcement: Announcement, *, colors: bool) -> str:
    match announcement:
        case AttemptStarted():
            number = announcement.number
            attempt = f" (attempt {number})" if number > 1 else ""
            return f"{_task(announcement)} started{attempt}"
        case AttemptEnded():
            return "\n".join(_ended(announcement, colors))
        case TaskReused():
            status = paint_status(Status.COMPLETE, on=colors)
            return f"{_task(announcement)} {status} from run {announcement.source}"
        case AttemptRefused():
            return _refused(announcement)
        case Noticed():
            return in_line(announcement.message)


def _refused(refused: AttemptRefused) -> str:
    kept = ""
    if refused.files is not None:
        kept = f"; its log is in {in_line(str(refused.files))}"
    return (
        f"{_task(refused)}: the end of attempt {refused.number} was not accepted: "
        f"{in_line(refused.why)}{kept}"
    )


def _task(
    announcement: AttemptStarted | AttemptEnded | TaskReused | AttemptRefused,
) -> str:
    return (
        f"{announcement.run_id}  {in_line(announcement.label)}: {announcement.task}"
    )


def _ended(ended: AttemptEnded, colors: bool) -> list[str]:
    """Return one line for the end of an attempt, its notes, and more lines for a failure.

    The lines of a failure say why and where the task failed, what it printed last, and which
    commands try it again.
    """
    if ended.status is Status.WAITING:
        return [
            f"{_task(ended)} returned to the queue ({in_line(str(ended.attempt.outcome))})"
        ]
    status = paint_status(ended.status, on=colors)
    lines = [f"{_task(ended)} {status} in {duration(ended.attempt.duration_s)}"]
    lines += [f"  note: {in_line(note)}" for note in ended.attempt.notes]
    if ended.status is not Status.ERROR:
        return lines
    location = f" at {in_line(ended.location)}" if ended.location else ""
    bar = paint("|", "dim", on=colors)
    lines.append(
        f"  {paint(in_line(str(ended.attempt.outcome)), 'red', on=colors)}{location}"
    )
    lines += [f"  {bar} {in_line(line)}" for line in ended.tail]
    lines += [
        f"  whole log:  gitorch logs {ended.run_id} --task {ended.task}",
        f"  try again:  gitorch retry {ended.run_id} && gitorch run",
        f"  with a fix: gitorch retry {ended.run_id} --at HEAD && gitorch run",
    ]
    return lines
