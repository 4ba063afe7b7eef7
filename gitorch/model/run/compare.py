"""The differences between runs. Times, hosts and logs do not count as differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from gitorch.model.json_struct import JsonStruct, always
from gitorch.model.run.environment_changes import comparable
from gitorch.model.run.record import Record
from gitorch.model.run.spec import TaskSpec
from gitorch.model.text.globs import first_match
from gitorch.model.values import are_identical, flattened

# The facts of a recorded environment that are about the machine and its drivers.
_OF_MACHINE = frozenset(
    {"cpu", "cpus", "memory_bytes", "gpus", "cuda", "machine", "platform"}
)


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
    # True if one of the compared runs used the file, False if none did, None: it is not known.
    used: bool | None = None


class SnapshotChanges(JsonStruct, frozen=True, kw_only=True):
    """The changes that a snapshot took from the working tree: its difference from its parent."""

    commit: str
    parent: str  # the commit that was checked out
    files: tuple[ChangedFile, ...]


class CodeDifference(JsonStruct, frozen=True, kw_only=True):
    """The difference between the code of runs.

    `commits` are in the history of only one of two runs, newest first. `missing` are commits of
    runs that are not in this clone: if there are any, nothing else is known. `tasks` has the commit
    of each task in each run, in the order of the runs. It is empty
    unless a run has several commits. `snapshots` are the runs' commits that are snapshots, as far
    as they are in this clone.
    """

    commits: tuple[ChangedCommit, ...] = always(())
    files: tuple[ChangedFile, ...] = always(())
    missing: tuple[str, ...] = always(())
    tasks: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    snapshots: tuple[SnapshotChanges, ...] = always(())

    @property
    def same(self) -> bool:
        return not (self.files or self.missing)

    def to_json(self) -> dict[str, Any]:
        document = super().to_json()
        document["files"] = [
            {**file.to_json(), "used": file.used} for file in self.files
        ]
        return {"same": self.same, **document}


class ValueDifference(JsonStruct, frozen=True, kw_only=True):
    """The values that differ: for each dotted key, its value in each run, in the order of the runs.

    The value is None if a run does not have the key.
    """

    changed: Mapping[str, tuple[Any, ...]]

    @property
    def same(self) -> bool:
        return not self.changed

    def to_json(self) -> dict[str, Any]:
        return {"same": self.same, **super().to_json()}


class EnvironmentDifference(ValueDifference, frozen=True, kw_only=True):
    """The facts about the environments that differ, those of the machine included."""

    @property
    def software(self) -> ValueDifference:
        """Return the facts that are not of the machine: changed packages, then new, then gone."""
        keys = [key for key in self.changed if _top(key) not in _OF_MACHINE]
        kinds: dict[str, str] = {}
        for kind, names in self._packages().items():
            kinds |= dict.fromkeys(names, kind)
        order = ["", "changed", "added", "removed"]
        keys.sort(key=lambda key: order.index(kinds.get(key, "")))
        return ValueDifference(changed={key: self.changed[key] for key in keys})

    @property
    def packages(self) -> dict[str, list[str]]:
        """Return the names of the packages that other runs have `added`, and so on."""
        names = {}
        for kind, keys in self._packages().items():
            names[kind] = [key.partition(".")[2] for key in keys]
        return names

    def _packages(self) -> dict[str, list[str]]:
        kinds: dict[str, list[str]] = {"changed": [], "added": [], "removed": []}
        for key, (first, *others) in self.changed.items():
            if _top(key) != "packages":
                continue
            kind = "removed" if None in others else "changed"
            kinds["added" if first is None else kind].append(key)
        return kinds

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "packages": self.packages}


class DataDifference(ValueDifference, frozen=True, kw_only=True):
    """The inputs that differ, and the paths of `link` that no input covers.

    What the tasks read there is not recorded, so it cannot be compared. An input in a linked
    directory covers itself alone: it follows the name of the directory.
    """

    not_recorded: tuple[str, ...] = ()


class OutputDifference(JsonStruct, frozen=True, kw_only=True):
    """The paths of the outputs in which other runs differ from the first run.

    `volatile` are the outputs of any run that are not compared. If there are any, `compared` is the
    number of the others; if it is 0, "same" says nothing.
    """

    changed: tuple[str, ...]  # another run has other content or another mode
    added: tuple[str, ...]  # the first run does not have this output
    removed: tuple[str, ...]  # another run does not have this output
    volatile: tuple[str, ...] = ()
    compared: int | None = None

    @property
    def same(self) -> bool:
        return not (self.changed or self.added or self.removed)

    def to_json(self) -> dict[str, Any]:
        return {"same": self.same, **super().to_json()}


class Comparison(Struct, frozen=True, kw_only=True):
    """All differences between the runs with the ids `runs`, one field for each kind."""

    runs: tuple[str, ...]
    code: CodeDifference
    config: ValueDifference
    environment: EnvironmentDifference
    data: DataDifference
    metrics: ValueDifference
    outputs: OutputDifference
    machine: ValueDifference  # with the hosts, which do not count as a difference
    empty: frozenset[str] = frozenset()  # the kinds of which no run has anything

    @property
    def same(self) -> bool:
        differences = (
            self.code,
            self.config,
            self.environment,
            self.data,
            self.metrics,
            self.outputs,
        )
        return all(difference.same for difference in differences)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/compare/v1",
            "runs": list(self.runs),
            "same": self.same,
            "code": self.code.to_json(),
            "config": self.config.to_json(),
            "environment": self.environment.to_json(),
            "machine": self.machine.to_json(),
            "data": self.data.to_json(),
            "metrics": self.metrics.to_json(),
            "outputs": self.outputs.to_json(),
        }


def compare_records(
    records: Sequence[Record], code: CodeDifference, paths: Sequence[str] = ()
) -> Comparison:
    """Compare the first record with one or more others. `code` is the difference found by git.

    If there are `paths`, only outputs that these globs name are compared.
    """
    runs, configs, environments, data, metrics = [], [], [], [], []
    for record in records:
        runs.append(record.id)
        configs.append(_config(record))
        environments.append(record.environment)
        data.append(_data(record))
        metrics.append(record.metrics)
    compared = comparable(environments)
    return Comparison(
        runs=tuple(runs),
        code=code,
        config=differing(configs),
        environment=EnvironmentDifference(changed=differing(compared).changed),
        machine=differing([*map(_machine, records, compared)]),
        data=DataDifference(
            changed=differing(data).changed, not_recorded=_unrecorded_links(records)
        ),
        metrics=differing(metrics),
        outputs=_output_difference(records, paths),
        empty=_empty_kinds(records),
    )


def _top(key: str) -> str:
    return key.partition(".")[0]


def _machine(record: Record, environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts about the machine, and the hosts of the last attempts."""
    facts: dict[str, Any] = {}
    if record.hosts:
        facts["host"] = ", ".join(sorted(record.hosts))
    for key, value in environment.items():
        if _top(key) in _OF_MACHINE:
            facts[key] = value
    return facts


def commits_of_tasks(
    records: Sequence[Record],
) -> dict[str, tuple[str | None, ...]]:
    """Return the commit of each task in each run, or None if a run does not have the task.

    The result is empty if each run has only one commit.
    """
    if all(len(record.pins) == 1 for record in records):
        return {}
    commits_by_run = []
    for record in records:
        commits_by_run.append({task.id: task.pin.commit for task in record.tasks})
    by_task = {}
    for task_id in _all_keys(commits_by_run):
        by_task[task_id] = tuple(commits.get(task_id) for commits in commits_by_run)
    return by_task


def differing(mappings: Sequence[Mapping[str, Any]]) -> ValueDifference:
    """Return the keys whose values differ between the mappings. 1, 1.0 and true are different."""
    changed = {}
    for key in _all_keys(mappings):
        values = tuple(mapping.get(key) for mapping in mappings)
        is_in_all = all(key in mapping for mapping in mappings)
        if not is_in_all or not are_identical(values):
            changed[key] = values
    return ValueDifference(changed=changed)


def _all_keys(mappings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys that at least one mapping has, each once, in the order of the mappings."""
    keys: dict[str, None] = {}
    for mapping in mappings:
        keys |= dict.fromkeys(mapping)
    return list(keys)


def _config(record: Record) -> dict[str, Any]:
    """Return the config with dotted keys, without empty values."""
    spec = record.spec
    document = {
        key: value for key, value in spec.document.items() if key != "tasks"
    }
    document["gitorch"] = {
        "env": spec.env,
        "link": list(spec.link),
        "sparse": list(spec.sparse),
        "python": spec.python,
        "paramsFile": spec.params_file,
    }
    document["tasks"] = {task.id: _task_config(task) for task in spec.tasks}
    config = {}
    for key, value in flattened(document).items():
        if isinstance(value, tuple):
            value = list(value)
        if value not in (None, [], {}):
            config[key] = value
    return config


def _task_config(task: TaskSpec) -> dict[str, Any]:
    """Return the task as a mapping of its parameters and its own keys.

    gitorch's settings of the task are under `gitorch`, since parameters may have the same names.
    """
    settings = task.to_json()
    del settings["id"], settings["params"]
    own = {key: settings.pop(key) for key in ("method", "command", "needs")}
    return {**task.params, **own, "gitorch": settings}


def _data(record: Record) -> dict[str, str]:
    return {entry.path: entry.identity for entry in record.data}


def _empty_kinds(records: Sequence[Record]) -> frozenset[str]:
    """Return the kinds of which no run has anything, so that nothing was compared."""
    empty = []
    for kind in ("environment", "data", "metrics", "outputs"):
        if not any(getattr(record, kind) for record in records):
            empty.append(kind)
    return frozenset(empty)


def _unrecorded_links(records: Sequence[Record]) -> tuple[str, ...]:
    """Return the linked paths that are not inputs, each once."""
    unrecorded: dict[str, None] = {}
    for record in records:
        unrecorded |= dict.fromkeys(record.spec.unrecorded_links)
    return tuple(unrecorded)


def _output_difference(
    records: Sequence[Record], paths: Sequence[str]
) -> OutputDifference:
    """Compare the outputs of the first record with those of the others, by content and mode."""
    volatile = _volatile_paths(records)
    first, *others = (_contents(record, volatile, paths) for record in records)
    changed, removed = [], []
    for path, content in first.items():
        if any(other.get(path, content) != content for other in others):
            changed.append(path)
        if any(path not in other for other in others):
            removed.append(path)
    added = [path for path in _all_keys(others) if path not in first]
    return OutputDifference(
        changed=tuple(changed),
        added=tuple(added),
        removed=tuple(removed),
        volatile=tuple(volatile),
        compared=len(first) + len(added) if volatile else None,
    )


def _contents(
    record: Record, volatile: Mapping[str, None], paths: Sequence[str]
) -> dict[str, tuple[str, int]]:
    """Return digest and mode of each output that is compared."""
    contents = {}
    for output in record.outputs:
        is_named = not paths or first_match(output.path, paths)
        if is_named and output.path not in volatile:
            contents[output.path] = output.sha256, output.mode
    return contents


def _volatile_paths(records: Sequence[Record]) -> dict[str, None]:
    """Return, as keys, the paths of the outputs that are volatile in any of the records."""
    paths: dict[str, None] = {}
    for record in records:
        for output in record.outputs:
            if output.volatile:
                paths[output.path] = None
    return paths
