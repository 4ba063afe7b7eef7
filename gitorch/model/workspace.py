"""Where a run's files are while it lives: paths only, nothing is looked at."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple


class RunDirectory(NamedTuple):
    """`<workspace>/<id>`, the directory of one run."""

    path: Path
    tree: Path
    output: Path
    log: Path  # of all attempts: it is there once one was begun
    users: Path  # a file of the tokens of the attempts that share the worktree, in a directory that is locked for it

    @classmethod
    @lru_cache(maxsize=256)  # asked for by each thread on the way of a run, and paths are dear
    def of(cls, workspace: Path, run: str) -> RunDirectory:
        path = workspace / run
        return cls(path, path / "tree", path / "output", path / "log", path / "beside" / "tokens")

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
