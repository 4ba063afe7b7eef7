"""What the results of a task that may be reused depend on, and the key under which they are found again.

Two tasks with the same key compute the same, in whatever run: their names, and when and with what means they run, are
no part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from gitorch.model.run.compare import differing
from gitorch.model.run.identity import digest
from gitorch.model.run.inputs import entries_of
from gitorch.model.run.record import Output, Record
from gitorch.model.run.spec import RunSpec, TaskSpec, render_value
from gitorch.model.text.placeholders import is_known, placeholders, value_of
from gitorch.model.values import flattened

_LONGEST_VALUE = 40


class Dependencies(Struct, frozen=True, kw_only=True):
    """All that the results of one task depend on; `code`, `inputs` and `before` are told by SHA-256."""

    work: Mapping[str, Any]
    params: Mapping[str, Any]
    code: str
    inputs: Mapping[str, str]
    before: str

    @property
    def key(self) -> str:
        return digest([self.work, self.params, self.code, self.inputs, self.before])


def dependencies(record: Record, task: TaskSpec, code: str) -> Dependencies | None:
    """Those of a task that may be reused and begins now; `code` is the digest of the code that its `cache` names.

    None where the digest of an input is not known.
    """
    inputs = _inputs(record, task)
    if inputs is None:
        return None
    return Dependencies(
        work=_work(record.spec, task),
        params=params_counted(record.spec, task),
        code=code,
        inputs=inputs,
        before=digest_of(outputs_before(record, task)),
    )


def outputs_of(record: Record, task: str) -> tuple[Output, ...]:
    return tuple(output for output in record.outputs if output.task == task)


def outputs_before(record: Record, task: TaskSpec) -> tuple[Output, ...]:
    """What the tasks that must be complete before it have left."""
    before = record.spec.needed_by(task) - {task.id}
    return tuple(output for output in record.outputs if output.task in before)


def digest_of(outputs: Iterable[Output]) -> str:
    """A SHA-256 over paths, modes and contents."""
    return digest(sorted((output.path, output.mode, output.sha256) for output in outputs))


def seen_params(spec: RunSpec, task: TaskSpec) -> dict[str, Any]:
    """All parameters, as the task sees them."""
    return {**spec.params, **task.params}


def what_differs(record: Record, other: Record, task: str) -> dict[str, list[str]]:
    """Why `task`, complete in both runs, has another key in `record` than it had in `other`: names by kind.

    Of the code, which git has to be asked of, no file is named.
    """
    mine, its = record.task(task), other.task(task)
    spec, its_spec = record.spec.task(task), other.spec.task(task)
    found = {
        "task": list(differing([_work(other.spec, its_spec), _work(record.spec, spec)]).changed),
        "params": _changes(params_counted(other.spec, its_spec), params_counted(record.spec, spec)),
        "inputs": list(
            differing([_inputs(other, its_spec) or {}, _inputs(record, spec) or {}]).changed
        ),
    }
    differs = {kind: names for kind, names in found.items() if names}
    if mine.cache and its.cache and mine.cache.code != its.cache.code:
        differs["code"] = []
    if mine.cache and its.cache and mine.cache.before != its.cache.before:
        before = [
            known.id
            for known in record.spec.tasks
            if known.id in record.spec.needed_by(spec) - {task}
        ]
        changed = [name for name in before if _left(record, name) != _left(other, name)]
        differs["before"] = changed or before  # what one task left another has changed since
    return differs


def _left(record: Record, task: str) -> str:
    return digest_of(outputs_of(record, task))


def _work(spec: RunSpec, task: TaskSpec) -> dict[str, Any]:
    return {
        "method": task.method,
        "command": list(task.command) if isinstance(task.command, tuple) else task.command,
        "path_to_tasks": spec.path_to_tasks,
        "env": dict(spec.env),
        "outputs": list(task.outputs),
        "discard": list(task.discard),
        "metrics": list(task.metrics),
    }


def params_counted(spec: RunSpec, task: TaskSpec) -> dict[str, Any]:
    """Those that `cache` names, by default all, and always those that the command does."""
    seen = seen_params(spec, task)
    named = task.cache.params if task.cache else None
    if named is None:
        return seen
    known = {"id": task.id, **seen}
    in_command = [hole.name for hole in placeholders(task.command or "")]
    return {name: value_of(name, known) for name in (*named, *in_command) if is_known(name, known)}


def _inputs(record: Record, task: TaskSpec) -> dict[str, str] | None:
    found = [entries_of(pattern, record.data) for pattern in task.reads]
    return (
        {entry.path: entry.sha256 for entries in found for entry in entries} if all(found) else None
    )


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """`seed 1 -> 2`, for each that differs."""
    changed = differing([flattened(before), flattened(after)]).changed
    return [f"{name} {_short(old)} -> {_short(new)}" for name, (old, new) in changed.items()]


def _short(value: Any) -> str:
    text = render_value(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
