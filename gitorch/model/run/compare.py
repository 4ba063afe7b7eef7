"""The differences between runs. Times, hosts and logs do not count as differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from gitorch.model.json_struct import JsonStruct, always
from gitorch.model.run.record import Record
from gitorch.model.run.spec import TaskSpec
from gitorch.model.values import are_identical, flattened


class ChangedCommit(JsonStruct, frozen=True, kw_only=True):
    """A commit that is in the history of only one of two runs."""

    oid: str = field(name="commit")
    subject: str


class ChangedFile(JsonStruct, frozen=True, kw_only=True):
    """A changed file of the code. A renamed file is one deleted and one added file."""

    path: str
    status: str  # git's letter: A, D, M or T
    added: int | None  # lines; None for a binary file
    deleted: int | None


class CodeDifference(JsonStruct, frozen=True, kw_only=True):
    """The difference between the code of runs.

    `commits` are in the history of only one of two runs, newest first. `missing` are commits of
    runs that are not in this clone; then nothing else is known. `tasks` has the commit of each
    task in each run, in the order of the runs. It is empty unless a run has several commits.
    """

    commits: tuple[ChangedCommit, ...] = always(())
    files: tuple[ChangedFile, ...] = always(())
    missing: tuple[str, ...] = always(())
    tasks: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        return not (self.files or self.missing)

    def to_json(self) -> dict[str, Any]:
        return {"same": self.same, **super().to_json()}


class ValueDifference(JsonStruct, frozen=True, kw_only=True):
    """Dotted keys with the value in each run, in their order; None if a run has no such key."""

    changed: Mapping[str, tuple[Any, ...]]

    @property
    def same(self) -> bool:
        return not self.changed

    def to_json(self) -> dict[str, Any]:
        return {"same": self.same, **super().to_json()}


class OutputDifference(JsonStruct, frozen=True, kw_only=True):
    """Paths of outputs: with other content, missing in the first run, and only in the first run."""

    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def same(self) -> bool:
        return not (self.changed or self.added or self.removed)

    def to_json(self) -> dict[str, Any]:
        return {"same": self.same, **super().to_json()}


class Comparison(Struct, frozen=True, kw_only=True):
    """All differences between runs, by what differs. `runs` are their ids."""

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
    """Compare the first record with one or more others. `code` is what git says of their code."""
    return Comparison(
        runs=tuple(record.id for record in records),
        code=code,
        config=differing([_config(record) for record in records]),
        environment=differing([flattened(record.environment) for record in records]),
        data=differing([_data(record) for record in records]),
        metrics=differing([record.metrics for record in records]),
        outputs=_output_difference(records),
    )


def commits_of_tasks(records: Sequence[Record]) -> dict[str, tuple[str | None, ...]]:
    """Return the commit of each task in each run, None if a run does not have the task.

    The result is empty if each run has only one commit.
    """
    if all(len(record.pins) == 1 for record in records):
        return {}
    sides = []
    for record in records:
        sides.append({task.id: task.pin.commit for task in record.tasks})
    return {task: tuple(side.get(task) for side in sides) for task in _all_keys(sides)}


def differing(sides: Sequence[Mapping[str, Any]]) -> ValueDifference:
    """Return the keys whose values differ between the sides. 1, 1.0 and true are different."""
    changed = {}
    for key in _all_keys(sides):
        values = tuple(side.get(key) for side in sides)
        is_in_all = all(key in side for side in sides)
        if not is_in_all or not are_identical(values):
            changed[key] = values
    return ValueDifference(changed=changed)


def _all_keys(sides: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return each key of any side once."""
    keys: dict[str, None] = {}
    for side in sides:
        keys |= dict.fromkeys(side)
    return list(keys)


def _config(record: Record) -> dict[str, Any]:
    """Return the config with dotted keys, without values that are empty."""
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
    """Return the task as its config has it.

    gitorch's own settings are apart from the parameters, which may have the same names.
    """
    written = task.to_json()
    own = {key: written[key] for key in ("method", "command", "needs")}
    settings = {key: value for key, value in written.items() if key not in (*own, "id", "params")}
    return {**task.params, **own, "gitorch": settings}


def _data(record: Record) -> dict[str, str]:
    return {entry.path: entry.sha256 for entry in record.data}


def _output_difference(records: Sequence[Record]) -> OutputDifference:
    """Compare the outputs of the first record with those of the others, by content and mode."""
    sides = []
    for record in records:
        sides.append({output.path: (output.sha256, output.mode) for output in record.outputs})
    first, *others = sides
    changed, removed = [], []
    for path, content in first.items():
        if any(other.get(path, content) != content for other in others):
            changed.append(path)
        if any(path not in other for other in others):
            removed.append(path)
    added = [path for path in _all_keys(others) if path not in first]
    return OutputDifference(changed=tuple(changed), added=tuple(added), removed=tuple(removed))
