"""The paths of the files of a live run. This module does not access the disk."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from msgspec import Struct

# The output directory of every run, as its tasks see it: they begin in the worktree.
OUTPUT_FROM_TREE = "../output"


class RunDirectory(Struct, frozen=True):
    """`<workspace>/<id>`, the directory of one run.

    `log` is the directory with the logs of all attempts. It exists once an attempt has started.
    `users` is a file with the tokens of the attempts that share the worktree. A program that
    changes this file locks its directory.
    """

    path: Path
    tree: Path
    output: Path
    log: Path
    users: Path

    # Cached, because every thread that handles the run needs it and making paths is slow.
    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, workspace: Path, run_id: str) -> RunDirectory:
        path = workspace / run_id
        return cls(
            path,
            path / "tree",
            path / "output",
            path / "log",
            path / "beside" / "tokens",
        )

    def attempt(self, task: str, number: int) -> AttemptDirectory:
        return AttemptDirectory(self.log / task / str(number))


class AttemptDirectory(Struct, frozen=True):
    """`<workspace>/<id>/log/<task>/<number>`, to which the attempt itself writes."""

    path: Path

    @property
    def workspace(self) -> Path:
        """Return the workspace. No link that leads out of it is followed to read these files."""
        return _workspace_of(self.path)

    @property
    def owner(self) -> Path:
        """The file that names the worker and the token of the attempt."""
        return self.path / "owner.json"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def order(self) -> Path:
        """Return the order, until the program that carries it out on another machine has it."""
        return self.path / "order.json"

    @property
    def submission(self) -> Path:
        """Return the file in which an engine notes what it submitted, to find it again."""
        return self.path / "submission.json"

    @property
    def began(self) -> Path:
        """Return the file that says where the order is carried out.

        It changes as long as this goes on.
        """
        return self.path / "began.json"

    @property
    def cancellation(self) -> Path:
        """Return the file with the outcome with which the attempt is to be ended."""
        return self.path / "cancel.json"

    @property
    def pipe(self) -> Path:
        """Return the path of a file with the number of the inode of the attempt's pipe."""
        return self.path / "pipe"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def used(self) -> Path:
        """Return the path of the list of files that the attempt has opened."""
        return self.path / "used"

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def inputs(self) -> Path:
        """Return the file that describes the addresses that the task reads."""
        return self.path / "inputs.json"

    @property
    def params(self) -> Path:
        """Return the path of a file with the parameters alone, in JSON."""
        return self.path / "params.json"

    @property
    def overlay(self) -> Path:
        """Return the path of a copy of the `paramsFile` with the parameters laid over it."""
        return self.path / "params-file"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def error(self) -> Path:
        return self.path / "error.json"

    @property
    def status(self) -> Path:
        return self.path / "status.json"


@lru_cache(maxsize=256)  # asked for each file of an attempt
def _workspace_of(path: Path) -> Path:
    return path.parents[3]
