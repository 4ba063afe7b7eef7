"""The errors that a user can cause or mend, as one family.

    GitorchError
    ├── UsageError        the command line asks for something that cannot be understood
    ├── NotFound          no such run, config or repository
    ├── Refused           possible, but it would lose work or break a rule
    ├── Busy              somebody else holds what is needed, or it took too long
    ├── ProgramMissing    a program that is needed is not installed
    └── Interrupted       the user asked to stop

and, beside what raises them, `git.command.GitFailed`, `git.artifacts.Unkeepable`, `queue.queue.QueueBroken`,
`interpreter.choose.InterpreterMissing`, `worker.contents.Unusable` and `worker.inputs.Changed`.

A message says what happened and where; the hint says what to do next, ready to paste. Only `cli/` prints an error or
turns it into an exit code. Anything that is not of this family is a bug of gitorch.
"""

from __future__ import annotations


class GitorchError(Exception):
    """Something the user can understand and act on."""

    kind = "error"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GitorchError):
    kind = "usage"


class NotFound(GitorchError):
    kind = "not-found"


class Refused(GitorchError):
    kind = "refused"


class Busy(GitorchError):
    kind = "busy"


class ProgramMissing(GitorchError):
    kind = "program-missing"


class Interrupted(GitorchError):
    kind = "interrupted"
