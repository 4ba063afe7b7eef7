"""The dependencies of a cached task's results, and the key under which the results can be reused.

Two tasks with the same key compute the same results, in any two runs. The key includes neither the
names of run and task nor the time and the resources with which the task runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from gitorch.model.json_struct import without_empty
from gitorch.model.run.command_line import names_words, params_named
from gitorch.model.run.compare import differing
from gitorch.model.run.identity import digest
from gitorch.model.run.inputs import entries_of
from gitorch.model.run.record import Output, Record
from gitorch.model.run.spec import (
    RunSpec,
    TaskSpec,
    render_value,
    seen_params,
)
from gitorch.model.text.placeholders import is_known, placeholders, value_of
from gitorch.model.values import flattened

_LONGEST_VALUE = 40


class Dependencies(Struct, frozen=True, kw_only=True):
    """Everything that the results of one task depend on.

    `code`, `before` (the outputs of earlier tasks) and the values of `inputs` are SHA-256 digests.
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
    """Return a SHA-256 of the paths, modes and contents of the outputs."""
    facts = [(output.path, output.mode, output.sha256) for output in outputs]
    return digest(sorted(facts))


def what_differs(record: Record, other: Record, task: str) -> dict[str, list[str]]:
    """Explain why a task, complete in both runs, has another key in `record` than in `other`.

    The result has the names of the differences, by kind. The names of changed code files are left
    to the caller, since only git knows them.
    """
    spec = record.spec.task(task)
    other_spec = other.spec.task(task)
    work = _work(record.spec, spec)
    other_work = _work(other.spec, other_spec)
    params = params_counted(record.spec, spec)
    other_params = params_counted(other.spec, other_spec)
    inputs = _inputs(record, spec) or {}
    other_inputs = _inputs(other, other_spec) or {}
    differences = without_empty(
        {
            "task": _changed_keys(other_work, work),
            "params": _changed_values(other_params, params),
            "inputs": _changed_keys(other_inputs, inputs),
        }
    )
    entry = record.task(task).cache
    other_entry = other.task(task).cache
    if entry is None or other_entry is None:
        return differences
    if entry.code != other_entry.code:
        differences["code"] = []
    if entry.before != other_entry.before:
        differences["before"] = _changed_tasks_before(record, other, spec)
    return differences


def params_counted(spec: RunSpec, task: TaskSpec) -> dict[str, Any]:
    """Return the parameters on which the results depend.

    These are the parameters that `cache` names (by default all) and those that the command uses.
    """
    seen = seen_params(spec, task)
    if task.cache is None or task.cache.params is None:
        return seen
    values = {"id": task.id, **seen}
    holes = placeholders(task.command or "", double_braces=task.double_braces)
    counted: dict[str, Any] = {}
    for hole in holes:
        if names_words(hole) and task.flags is not None:
            counted |= params_named(hole, seen)
    used = [hole.name for hole in holes if hole.selection is None]
    for name in (*task.cache.params, *used):
        if is_known(name, values):
            counted[name] = value_of(name, values)
    return counted


def _changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return list(differing([before, after]).changed)


def _changed_values(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[str]:
    """Return `seed 1 -> 2` for each value that differs."""
    changed = differing([flattened(before), flattened(after)]).changed
    return [
        f"{name} {_short(old)} -> {_short(new)}"
        for name, (old, new) in changed.items()
    ]


def _changed_tasks_before(
    record: Record, other: Record, task: TaskSpec
) -> list[str]:
    """Return the earlier tasks whose outputs differ.

    If no outputs differ now, a task has changed them since then. In this case all earlier tasks are
    returned.
    """
    needed = record.spec.needed_by(task) - {task.id}
    before = [earlier.id for earlier in record.spec.tasks if earlier.id in needed]
    changed = []
    for earlier in before:
        outputs_digest = digest_of(outputs_of(record, earlier))
        if outputs_digest != digest_of(outputs_of(other, earlier)):
            changed.append(earlier)
    return changed or before


def _work(spec: RunSpec, task: TaskSpec) -> dict[str, Any]:
    """Return the parts of a key that describe the work of the task, apart from its parameters."""
    # A result that another shell has computed may be that of a command that failed.
    sources = [source.to_json() for source in task.metric_sources]
    added = {
        "shell": task.shell,
        "metric_sources": sources,
        "flags": task.flags.to_json() if task.flags else None,
        "params_file": spec.params_file,
    }
    return {
        **without_empty(added),
        "method": task.method,
        "command": task.command,
        "path_to_tasks": spec.path_to_tasks,
        "env": dict(spec.env),
        "outputs": task.outputs,
        "discard": task.discard,
        "metrics": task.metrics,
    }


def _inputs(record: Record, task: TaskSpec) -> dict[str, str] | None:
    """Return the digest of each input by path, or None if the digest of an input is unknown."""
    inputs = {}
    for pattern in task.reads:
        entries = entries_of(pattern, record.data)
        if not entries:
            return None
        for entry in entries:
            inputs[entry.path] = entry.identity
    for address in task.addresses:
        inputs[address.url] = address.identity
    return inputs


def _short(value: Any) -> str:
    text = render_value(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
