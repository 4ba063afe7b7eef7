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
from gitorch.model.run.failures import Failure, Gathering
from gitorch.model.run.fixes import Fix, fitting_fixes
from gitorch.model.run.status import Status


class Announcements:
    """The lines for each announcement. Of similar failures, only the first has the whole block.

    With `once`, the others have no reason: the display counts them.
    """

    def __init__(self, *, colors: bool, once: bool = False) -> None:
        self._colors = colors
        self._once = once
        self._failures = Gathering()

    def render(self, announcement: Announcement) -> str:
        match announcement:
            case AttemptStarted():
                number = announcement.number
                attempt = f" (attempt {number})" if number > 1 else ""
                return f"{_task(announcement)} started{attempt}"
            case AttemptEnded():
                return "\n".join(self._ended(announcement))
            case TaskReused():
                status = paint_status(Status.COMPLETE, on=self._colors)
                return (
                    f"{_task(announcement)} {status} from run {announcement.source}"
                )
            case AttemptRefused():
                return _refused(announcement)
            case Noticed():
                return in_line(announcement.message)

    def _ended(self, ended: AttemptEnded) -> list[str]:
        """Return one line for the end of an attempt, its notes, and more lines for a failure."""
        if ended.status is Status.WAITING:
            why = in_line(str(ended.attempt.outcome))
            return [f"{_task(ended)} returned to the queue ({why})"]
        status = paint_status(ended.status, on=self._colors)
        lines = [f"{_task(ended)} {status} in {duration(ended.attempt.duration_s)}"]
        lines += [f"  note: {in_line(note)}" for note in ended.attempt.notes]
        if ended.status is Status.ERROR:
            lines += self._failed(ended)
        return lines

    def _failed(self, ended: AttemptEnded) -> list[str]:
        """Return why and where a task failed.

        For the first of similar failures, return also what it printed last, and which commands show
        more and try it again.
        """
        failure = Failure(
            run_id=ended.run_id,
            label=ended.label,
            task=ended.task,
            outcome=ended.attempt.outcome,
            location=ended.attempt.location,
        )
        first = self._failures.add(failure).first
        reason = render_reason(failure, colors=self._colors)
        if first is not failure and self._once:
            return []
        if first is not failure:
            return [f"  {reason}, as {first.run_id}"]
        bar = paint("|", "dim", on=self._colors)
        lines = [f"  {reason}"]
        lines += [f"  {bar} {in_line(line)}" for line in ended.tail]
        if ended.hint:
            lines.append(f"  hint: {in_line(ended.hint)}")
        return [*lines, *next_commands(failure, ended.run_id)]


def render_reason(failure: Failure, *, colors: bool) -> str:
    """Return why a task failed, and where if this is known."""
    location = f" at {in_line(failure.location)}" if failure.location else ""
    reason = in_line(str(failure.outcome))
    return f"{paint(reason, 'red', on=colors)}{location}"


def next_commands(failure: Failure, selection: str) -> list[str]:
    """Return the commands that show the log, and that retry the runs of the selection.

    Of the ways to retry with a fix, those are shown that fit the failure.
    """
    lines = [
        f"  whole log:  gitorch logs {failure.run_id} --task {failure.task}",
        f"  try again:  gitorch retry {selection} && gitorch run",
    ]
    for fix in fitting_fixes(failure.outcome):
        match fix:
            case Fix.CODE:
                lines.append(
                    f"  with a fix: gitorch retry {selection} --at HEAD && gitorch run"
                )
            case Fix.CONFIG:
                lines.append(
                    f"  new config: gitorch retry {selection} --config && gitorch run"
                )
            case Fix.OUTSIDE:  # `try again` is the way
                pass
    return lines


def _refused(refused: AttemptRefused) -> str:
    kept = ""
    if refused.files is not None:
        what = "log and outputs are" if refused.has_outputs else "log is"
        kept = f"; its {what} in {in_line(str(refused.files))}"
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
