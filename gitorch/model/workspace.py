"""The paths of the files of a live run. This module does not access the disk."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path

from msgspec import Struct

# The output directory of every run, as its tasks see it: they begin in the worktree.
OUTPUT_FROM_TREE = "../output"


class RunDirectory(Struct, frozen=True, dict=True):
    """`<workspace>/<id>`, the directory of one run.

    `log` is the directory with the logs of all attempts. It exists once an attempt has started.
    """

    path: Path
    tree: Path
    output: Path
    log: Path

    # Cached, because every thread that handles the run needs it and making paths is slow.
    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, workspace: Path, run_id: str) -> RunDirectory:
        path = workspace / run_id
        return cls(path, path / "tree", path / "output", path / "log")

    @cached_property
    def users(self) -> Path:
        """Return the path of a file with the tokens of the attempts that share the worktree.

        A program that changes this file locks its directory.
        """
        return self.path / "beside" / "tokens"

    def attempt(self, task: str, number: int) -> AttemptDirectory:
        return AttemptDirectory(self.log / task / str(number))


class AttemptDirectory(Struct, frozen=True, dict=True):
    """`<workspace>/<id>/log/<task>/<number>`, to which the attempt itself writes."""

    path: Path

    @cached_property
    def workspace(self) -> Path:
        """Return the workspace. No link that leads out of it is followed to read these files."""
        return self.path.parents[3]

    @cached_property
    def owner(self) -> Path:
        """The file that names the worker and the token of the attempt."""
        return self.path / "owner.json"

    @cached_property
    def log(self) -> Path:
        return self.path / "log.txt"

    @cached_property
    def order(self) -> Path:
        """Return the order, until the program that carries it out on another machine has it."""
        return self.path / "order.json"

    @cached_property
    def submission(self) -> Path:
        """Return the file in which an engine notes what it submitted, to find it again."""
        return self.path / "submission.json"

    @cached_property
    def began(self) -> Path:
        """Return the file that says where the order is carried out.

        It changes as long as this goes on.
        """
        return self.path / "began.json"

    @cached_property
    def cancellation(self) -> Path:
        """Return the file with the outcome with which the attempt is to be ended."""
        return self.path / "cancel.json"

    @cached_property
    def pipe(self) -> Path:
        """Return the path of a file with the number of the inode of the attempt's pipe."""
        return self.path / "pipe"

    @cached_property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @cached_property
    def used(self) -> Path:
        """Return the path of the list of files that the attempt has opened."""
        return self.path / "used"

    @cached_property
    def config(self) -> Path:
        return self.path / "config.json"

    @cached_property
    def inputs(self) -> Path:
        """Return the file that describes the addresses that the task reads."""
        return self.path / "inputs.json"

    @cached_property
    def params(self) -> Path:
        """Return the path of a file with the parameters alone, in JSON."""
        return self.path / "params.json"

    @cached_property
    def overlay(self) -> Path:
        """Return the path of a copy of the `paramsFile` with the parameters laid over it."""
        return self.path / "params-file"

    @cached_property
    def result(self) -> Path:
        return self.path / "result.json"

    @cached_property
    def error(self) -> Path:
        return self.path / "error.json"

    @cached_property
    def status(self) -> Path:
        return self.path / "status.json"
