"""What the results of a cached task depend on, and the key under which they can be reused.

Two tasks with the same key compute the same, in any two runs. The key does not include their
names, when they run, and with which resources.
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
    """Everything that the results of one task depend on.

    `code`, the values of `inputs`, and `before` (the outputs of earlier tasks) are SHA-256.
    """

    work: Mapping[str, Any]
    params: Mapping[str, Any]
    code: str
    inputs: Mapping[str, str]
    before: str

    @property
    def key(self) -> str:
        return digest([self.work, self.params, self.code, self.inputs, self.before])


def dependencies(record: Record, task: TaskSpec, code: str) -> Dependencies | None:
    """Return the dependencies of a cached task that starts now.

    `code` is the digest of the code that the task's `cache` names. Return None if the digest of an
    input is unknown.
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
    """Return the outputs of the tasks that must be complete before `task`."""
    before = record.spec.needed_by(task) - {task.id}
    return tuple(output for output in record.outputs if output.task in before)


def digest_of(outputs: Iterable[Output]) -> str:
    """Return a SHA-256 of the paths, modes and contents."""
    return digest(sorted((output.path, output.mode, output.sha256) for output in outputs))


def seen_params(spec: RunSpec, task: TaskSpec) -> dict[str, Any]:
    """Return all parameters as the task sees them."""
    return {**spec.params, **task.params}


def what_differs(record: Record, other: Record, task: str) -> dict[str, list[str]]:
    """Explain why a task, complete in both runs, has another key in `record` than in `other`.

    The result has the names of what differs, by kind. Changed code files are not listed here, since
    that needs git: the caller adds them.
    """
    spec, other_spec = record.spec.task(task), other.spec.task(task)
    differences = {
        "task": _changed_keys(_work(other.spec, other_spec), _work(record.spec, spec)),
        "params": _changed_values(
            params_counted(other.spec, other_spec), params_counted(record.spec, spec)
        ),
        "inputs": _changed_keys(_inputs(other, other_spec) or {}, _inputs(record, spec) or {}),
    }
    differences = {kind: names for kind, names in differences.items() if names}
    entry, other_entry = record.task(task).cache, other.task(task).cache
    if entry and other_entry and entry.code != other_entry.code:
        differences["code"] = []
    if entry and other_entry and entry.before != other_entry.before:
        differences["before"] = _changed_tasks_before(record, other, spec)
    return differences


def params_counted(spec: RunSpec, task: TaskSpec) -> dict[str, Any]:
    """Return the parameters on which the results depend.

    They are those that `cache` names, by default all, and always those that the command uses.
    """
    seen = seen_params(spec, task)
    cached = task.cache.params if task.cache else None
    if cached is None:
        return seen
    values = {"id": task.id, **seen}
    used = [hole.name for hole in placeholders(task.command or "")]
    return {name: value_of(name, values) for name in (*cached, *used) if is_known(name, values)}


def _changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return list(differing([before, after]).changed)


def _changed_values(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return `seed 1 -> 2` for each value that differs."""
    changed = differing([flattened(before), flattened(after)]).changed
    return [f"{name} {_short(old)} -> {_short(new)}" for name, (old, new) in changed.items()]


def _changed_tasks_before(record: Record, other: Record, task: TaskSpec) -> list[str]:
    """Return the earlier tasks whose outputs differ.

    If the outputs of no single task differ now, a task has changed them since: then all are named.
    """
    needed = record.spec.needed_by(task) - {task.id}
    before = [earlier.id for earlier in record.spec.tasks if earlier.id in needed]
    changed = []
    for earlier in before:
        if digest_of(outputs_of(record, earlier)) != digest_of(outputs_of(other, earlier)):
            changed.append(earlier)
    return changed or before


def _work(spec: RunSpec, task: TaskSpec) -> dict[str, Any]:
    """Return what the task does, apart from its parameters."""
    return {
        "method": task.method,
        "command": task.command,
        "path_to_tasks": spec.path_to_tasks,
        "env": dict(spec.env),
        "outputs": task.outputs,
        "discard": task.discard,
        "metrics": task.metrics,
    }


def _inputs(record: Record, task: TaskSpec) -> dict[str, str] | None:
    """Return the SHA-256 of each input by path, None if an input is unknown."""
    inputs = {}
    for pattern in task.reads:
        entries = entries_of(pattern, record.data)
        if not entries:
            return None
        for entry in entries:
            inputs[entry.path] = entry.sha256
    return inputs


def _short(value: Any) -> str:
    text = render_value(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
