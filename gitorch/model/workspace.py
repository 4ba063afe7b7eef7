"""Where a run's files are while it lives: paths only, nothing is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class RunDirectory(NamedTuple):
    """`<workspace>/<id>`, the directory of one run."""

    path: Path

    @classmethod
    def of(cls, workspace: Path, run: str) -> RunDirectory:
        return cls(workspace / run)

    @property
    def tree(self) -> Path:
        return self.path / "tree"

    @property
    def output(self) -> Path:
        return self.path / "output"

    @property
    def log(self) -> Path:
        """Of all attempts: it is there once one was begun."""
        return self.path / "log"

    @property
    def users(self) -> Path:
        """A file of the tokens of the attempts that share the worktree, in a directory that is locked for it."""
        return self.path / "beside" / "tokens"

    def attempt(self, task: str, number: int) -> AttemptDirectory:
        return AttemptDirectory(self.log / task / str(number))


class AttemptDirectory(NamedTuple):
    """`<workspace>/<id>/log/<task>/<number>`, written by the attempt itself."""

    path: Path

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def status(self) -> Path:
        return self.path / "status.json"
