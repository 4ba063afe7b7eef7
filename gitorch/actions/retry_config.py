"""`gitorch retry --config`: the config of a failed run as it is now, where its parameters agree."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.configs import load_configs
from gitorch.actions.pinning import ChosenPin
from gitorch.actions.ready_plan import Candidate, find_candidates
from gitorch.actions.validate import Validated, validate
from gitorch.errors import Refused
from gitorch.model.branch_layout import CONFIG
from gitorch.model.problem import Severity
from gitorch.model.run.continuation import OtherCode, OtherConfig
from gitorch.model.run.identity import run_identity
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Data, Record
from gitorch.model.run.shell import default_shell
from gitorch.model.run.spec import RunSpec
from gitorch.model.run.status import Status
from gitorch.storage.site import Site

_SAME_RUN = "gitorch ready makes a run of the config as it is now"


class NewConfig(Struct, frozen=True, kw_only=True):
    """The parts of the present config that a run takes over. `files`: the config and its bases."""

    config: OtherConfig
    code: OtherCode
    files: Mapping[str, bytes]


def configs_now(
    site: Site,
    records: Sequence[Record],
    pin: Pin | None,
    start: str | None,
    environment: Mapping[str, str],
) -> dict[str, NewConfig]:
    """Return what each run takes from its config, by run id.

    The runs continue at `pin`, or each at its own. Finished tasks stay as they were executed,
    except for `start` and the tasks that need it.
    Raises Refused if a config has an error, or has no run with the same parameters and task ids any
    more. Raises NotFound if a config is gone.
    """
    groups: defaultdict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        used = pin or record.pin
        groups[record.source, record.overrides, used.commit].append(record)
    found: dict[str, NewConfig] = {}
    for members in groups.values():
        used = pin or members[0].pin
        candidates = _candidates(site, members[0], used, environment)
        for record in members:
            candidate = _candidate_of(record, candidates)
            found[record.id] = _taken(site, record, candidate, start)
    return found


def _candidates(
    site: Site, record: Record, pin: Pin, environment: Mapping[str, str]
) -> list[Candidate]:
    """Return the runs of the config of `record` as it is now."""
    path = Path(os.path.relpath(site.repository.root / record.source))
    configs = load_configs(site, [path], record.overrides)
    _require_sound(Validated.by_text(configs))
    validated = validate(
        site,
        configs,
        ChosenPin(pin),
        environment=environment,
        hashes_inputs=True,
    )
    _require_sound(validated)
    has_bash = shutil.which("bash", path=environment.get("PATH")) is not None
    return find_candidates(site, validated, pin, default_shell(has_bash=has_bash))


def _require_sound(validated: Validated) -> None:
    """Raise Refused with all errors, if there are any."""
    lines = []
    for problem in validated.problems:
        if problem.severity is Severity.ERROR:
            hint = f" ({problem.hint})" if problem.hint else ""
            lines.append(
                f"  {problem.file}:{problem.line}: {problem.message}{hint}"
            )
    if lines:
        raise Refused(
            "the config has errors; nothing was changed:\n" + "\n".join(lines),
            "correct them, and retry again",
        )


def _candidate_of(record: Record, candidates: Sequence[Candidate]) -> Candidate:
    """Return the run of a config that has the parameters and tasks of `record`. Raises Refused."""
    wanted = _compared(record.spec)
    for candidate in candidates:
        if _compared(candidate.definition.spec) == wanted:
            return candidate
    message = f"{record.source} has no run with the parameters and tasks of {record.label}"
    if len(candidates) == 1:
        others = _compared(candidates[0].definition.spec)
        differing = sorted(
            key for key in {*wanted, *others} if wanted.get(key) != others.get(key)
        )
        message += f" ({record.id}) any more: {', '.join(differing)} differ"
    raise Refused(f"{message}; nothing was changed", _SAME_RUN)


def _compared(spec: RunSpec) -> dict[str, Any]:
    """Return what must be the same: all parameters, and how the tasks depend on each other."""
    compared: dict[str, Any] = dict(spec.params)
    for task in spec.tasks:
        compared[f"needs of task {task.id}"] = task.needs
        for key, value in task.params.items():
            compared[f"tasks.{task.id}.{key}"] = value
    compared["the order of the tasks"] = [task.id for task in spec.tasks]
    compared["pathToTasks"] = spec.path_to_tasks
    return compared


def _taken(
    site: Site, record: Record, candidate: Candidate, start: str | None
) -> NewConfig:
    definition = candidate.definition
    spec = _with_finished_tasks(record, definition.spec, start)
    data = _with_recorded_data(record, definition.data)
    aside = frozenset(definition.bases)
    code = site.code.of(definition.pin.tree, spec.code, aside)
    changes = list(_changes(record.spec, spec))
    if definition.interpreter != record.interpreter:
        changes.append(f"Python is {definition.interpreter}")
    files = {CONFIG: candidate.config.source}
    after = replace(record, bases=definition.bases)
    for name, base in zip(
        after.base_files.values(), candidate.config.bases, strict=True
    ):
        files[name] = base.data
    return NewConfig(
        config=OtherConfig(
            spec=spec,
            interpreter=definition.interpreter,
            bases=definition.bases,
            changes=tuple(changes),
        ),
        code=OtherCode(
            pin=definition.pin, identity=run_identity(spec, code, data), data=data
        ),
        files=files,
    )


def _with_finished_tasks(
    record: Record, spec: RunSpec, start: str | None
) -> RunSpec:
    """Return the new spec with the name of the run, and with its finished tasks as they ran."""
    repeated = record.spec.with_dependents(start) if start else frozenset()
    tasks = []
    texts = list(spec.document["tasks"])
    for index, task in enumerate(spec.tasks):
        is_finished = record.task(task.id).status is Status.COMPLETE
        if is_finished and task.id not in repeated:
            task = record.spec.task(task.id)
            texts[index] = record.spec.document["tasks"][index]
        tasks.append(task)
    return replace(
        spec,
        name=record.spec.name,
        swept=record.spec.swept,
        changed=record.spec.changed,
        output_dir=record.spec.output_dir,
        document={**spec.document, "tasks": texts},
        tasks=tuple(tasks),
    )


def _with_recorded_data(record: Record, data: Sequence[Data]) -> tuple[Data, ...]:
    """Return the data of the run, in which files that it had before are as they were recorded.

    A task does not start if one of these files has changed.
    """
    before = {entry.path: entry for entry in record.data}
    return tuple(before.get(entry.path, entry) for entry in data)


def _changes(before: RunSpec, after: RunSpec) -> Iterator[str]:
    """Yield the names of the settings that differ."""
    old, new = before.to_json(), after.to_json()
    for key in sorted({*old, *new} - {"document", "tasks"}):
        if old.get(key) != new.get(key):
            yield key
    for task in after.tasks:
        old, new = before.task(task.id).to_json(), task.to_json()
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                yield f"{task.id}.{key.removesuffix('_s')}"
