"""The errors that a user can cause or repair, as one family.

    GitorchError
    ├── UsageError        the command line asks for something that cannot be understood
    ├── NotFound          no such run, config or repository
    ├── Refused           the request would lose work or break a rule
    ├── Busy              another process holds what is needed, or it took too long
    ├── ProgramMissing    a required program is not installed
    └── UserInterrupted   the user asked to stop

The other members of the family are defined beside the code that raises them:
`gitorch.database.connection.DatabaseBroken`, `gitorch.database.connection.DatabaseDamaged`,
`gitorch.engines.dask.cluster.HostRefused`, `gitorch.engines.dask.cluster.Unreachable`,
`gitorch.git.command.GitFailed`, `gitorch.git.store.artifacts.Unkeepable`,
`gitorch.git.store.artifacts.TooLarge`, `gitorch.git.store.branch_edit.RunsChanged`,
`gitorch.model.run.record.RecordBroken`, `gitorch.storage.attempt_owner.OwnedByAnother`,
`gitorch.storage.contents.Unusable`, `gitorch.storage.input_changes.InputChanged`,
`gitorch.storage.unkept.TooDeep`, `gitorch.tools.download.DownloadFailed` and
`gitorch.worker.disk_space.DiskFull`.

A message says what happened and where. The hint says what to do next, ready to paste. Only `cli/`
prints an error or turns it into an exit code. An exception outside this family is a bug of gitorch.
"""

from __future__ import annotations

# What to do where a newer gitorch has written something. It is installed from a clone of it.
UPGRADE = "upgrade gitorch: git pull && pip install . in a clone of gitorch"


class GitorchError(Exception):
    """Something that the user can understand and act on."""

    kind = "error"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GitorchError):
    """The command line asks for something that cannot be understood."""

    kind = "usage"


class NotFound(GitorchError):
    """There is no such run, config or repository."""

    kind = "not-found"


class Refused(GitorchError):
    """The request is possible, but would lose work or break a rule."""

    kind = "refused"


class Busy(GitorchError):
    """Another process holds what is needed, or it took too long."""

    kind = "busy"


class ProgramMissing(GitorchError):
    """A required program is not installed."""

    kind = "program-missing"


class UserInterrupted(GitorchError):
    """The user asked to stop."""

    kind = "interrupted"
