"""What differs between runs, and nothing else. Times, hosts and logs are no difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from gitorch.model.json_struct import without_empty
from gitorch.model.run.record import Record
from gitorch.model.run.spec import TaskSpec
from gitorch.model.values import are_identical, flattened


class ChangedCommit(Struct, frozen=True, kw_only=True):
    """A commit that is in the history of only one of two runs."""

    oid: str
    subject: str


class ChangedFile(Struct, frozen=True, kw_only=True):
    """A changed file of the code. A renamed file is one deleted and one added file."""

    path: str
    status: str  # git's letter: A, D, M or T
    added: int | None  # lines; None for a binary file
    deleted: int | None


class CodeDifference(Struct, frozen=True, kw_only=True):
    """`commits` are those that only one of the two has behind it, newest first.

    Where a run's commit is not in this clone it is among the `missing`, and nothing but that is known. `tasks` are the
    commits of each task in the runs, in their order, where one of these has several: then all of that is compared.
    """

    commits: tuple[ChangedCommit, ...] = ()
    files: tuple[ChangedFile, ...] = ()
    missing: tuple[str, ...] = ()
    tasks: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        return not (self.files or self.missing)

    def to_json(self) -> dict[str, Any]:
        return {
            "same": self.same,
            "commits": [
                {"commit": commit.oid, "subject": commit.subject} for commit in self.commits
            ],
            "files": [
                {
                    "path": file.path,
                    "status": file.status,
                    "added": file.added,
                    "deleted": file.deleted,
                }
                for file in self.files
            ],
            "missing": list(self.missing),
            **without_empty(
                {"tasks": {task: list(commits) for task, commits in self.tasks.items()}}
            ),
        }


class ValueDifference(Struct, frozen=True, kw_only=True):
    """Dotted keys and each run's value, in the order of the runs; None where a run has no such key."""

    changed: Mapping[str, tuple[Any, ...]]

    @property
    def same(self) -> bool:
        return not self.changed

    def to_json(self) -> dict[str, Any]:
        return {
            "same": self.same,
            "changed": {key: list(values) for key, values in self.changed.items()},
        }


class OutputDifference(Struct, frozen=True, kw_only=True):
    """Paths: with other content, that the first run has not, that only the first has."""

    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def same(self) -> bool:
        return not (self.changed or self.added or self.removed)

    def to_json(self) -> dict[str, Any]:
        return {
            "same": self.same,
            "changed": list(self.changed),
            "added": list(self.added),
            "removed": list(self.removed),
        }


class Comparison(Struct, frozen=True, kw_only=True):
    runs: tuple[str, ...]
    code: CodeDifference
    config: ValueDifference
    environment: ValueDifference
    data: ValueDifference
    metrics: ValueDifference
    outputs: OutputDifference

    @property
    def same(self) -> bool:
        parts = (self.code, self.config, self.environment, self.data, self.metrics, self.outputs)
        return all(part.same for part in parts)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/compare/v1",
            "runs": list(self.runs),
            "same": self.same,
            "code": self.code.to_json(),
            "config": self.config.to_json(),
            "environment": self.environment.to_json(),
            "data": self.data.to_json(),
            "metrics": self.metrics.to_json(),
            "outputs": self.outputs.to_json(),
        }


def compare_records(records: Sequence[Record], code: CodeDifference) -> Comparison:
    """Two records or more, the first being what the others are compared with; `code` is found by git."""
    return Comparison(
        runs=tuple(record.id for record in records),
        code=code,
        config=differing([_config(record) for record in records]),
        environment=differing([flattened(record.environment) for record in records]),
        data=differing([{entry.path: entry.sha256 for entry in record.data} for record in records]),
        metrics=differing([record.metrics for record in records]),
        outputs=_outputs(records),
    )


def commits_of_tasks(records: Sequence[Record]) -> dict[str, tuple[str | None, ...]]:
    """For each task its commit in each run, None where a run has no such task; nothing where each run has but one."""
    if all(len(record.pins) == 1 for record in records):
        return {}
    sides = [{task.id: task.pin.commit for task in record.tasks} for record in records]
    return {
        task: tuple(side.get(task) for side in sides)
        for task in dict.fromkeys(task for side in sides for task in side)
    }


def differing(sides: Sequence[Mapping[str, Any]]) -> ValueDifference:
    """The keys that not all sides have with the same value; 1, 1.0 and true are three values."""
    keys = dict.fromkeys(key for side in sides for key in side)
    rows = {key: tuple(side.get(key) for side in sides) for key in keys}
    missing = {key for key in keys if any(key not in side for side in sides)}
    return ValueDifference(
        changed={key: row for key, row in rows.items() if key in missing or not are_identical(row)}
    )


def _config(record: Record) -> dict[str, Any]:
    spec = record.spec
    document = {key: value for key, value in spec.document.items() if key != "tasks"}
    own = {"env": spec.env, "link": list(spec.link), "python": spec.python}
    tasks = {task.id: _task_config(task) for task in spec.tasks}
    config = {}
    for key, value in flattened({**document, "gitorch": own, "tasks": tasks}).items():
        if value not in (None, (), [], {}):
            config[key] = list(value) if isinstance(value, tuple) else value
    return config


def _task_config(task: TaskSpec) -> dict[str, Any]:
    """As it is written: what is gitorch's own apart from the parameters, which may have the same names."""
    written = task.to_json()
    own = {key: written[key] for key in ("method", "command", "needs")}
    settings = {key: value for key, value in written.items() if key not in (*own, "id", "params")}
    return {**task.params, **own, "gitorch": settings}


def _outputs(records: Sequence[Record]) -> OutputDifference:
    first, *others = [
        {output.path: (output.sha256, output.mode) for output in record.outputs}
        for record in records
    ]
    return OutputDifference(
        changed=tuple(
            path
            for path, content in first.items()
            if any(other.get(path, content) != content for other in others)
        ),
        added=tuple(dict.fromkeys(path for other in others for path in other if path not in first)),
        removed=tuple(path for path in first if any(path not in other for other in others)),
    )
