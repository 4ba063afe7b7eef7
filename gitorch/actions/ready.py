"""`gitorch ready`: validate configs, pin the code, record the runs and queue them."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from gitorch.actions.pinning import choose_pin
from gitorch.actions.validate import Validated, validate
from gitorch.config.pipeline import LoadedConfig
from gitorch.errors import Busy
from gitorch.git import pins
from gitorch.model.branch_layout import CONFIG
from gitorch.model.problem import Problem
from gitorch.model.run.identity import run_identity
from gitorch.model.run.ids import run_id
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Change, Data, Hold, Record, TaskRecord
from gitorch.model.run.spec import RunSpec
from gitorch.model.run.status import Status
from gitorch.model.text.placeholders import fill
from gitorch.runs.catalog import Catalog
from gitorch.runs.contents import Tell, unheard
from gitorch.runs.recording import catch_up, queue_records
from gitorch.runs.run_directories import clear_away, materialise_next
from gitorch.runs.site import Site
from gitorch.tools.clock import stamp
from gitorch.tools.locks import taken

_PATIENCE_S = 60.0


class Skipped(Struct, frozen=True, kw_only=True):
    """A run that is there already, or that another of this call is the same as (`status` None)."""

    id: str
    spec: RunSpec
    status: Status | None
    source: str = ""  # of the one that it is the same as

    @property
    def why(self) -> str:
        if self.status is None:
            return f"the same run as {self.source}"
        return f"there already as {self.id}, {self.status}"

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.spec.name,
            "label": self.spec.label,
            "params": self.spec.params,
            "why": self.why,
        }


class Ready(Struct, frozen=True, kw_only=True):
    """What `ready` did: the records it made and what was there already, in the order of the configs, and its pin."""

    points: tuple[Record | Skipped, ...]
    validated: Validated
    pin: Pin | None
    notes: tuple[str, ...] = ()

    @property
    def queued(self) -> tuple[Record, ...]:
        return tuple(point for point in self.points if isinstance(point, Record))

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        return tuple(point for point in self.points if isinstance(point, Skipped))

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.validated.problems

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/ready/v1",
            "queued": [
                {
                    "id": record.id,
                    "name": record.name,
                    "label": record.label,
                    "params": record.spec.params,
                }
                for record in self.queued
            ],
            "skipped": [run.to_json() for run in self.skipped],
            "problems": [problem.to_json() for problem in self.problems],
            "notes": list(self.notes),
        }


class _Candidate(Struct, frozen=True, kw_only=True):
    """A run that may be queued: what it is, the file it comes from, and whether the like of it is there."""

    spec: RunSpec
    config: LoadedConfig
    identity: str
    data: tuple[Data, ...]


def ready(
    site: Site,
    paths: Sequence[Path],
    *,
    environment: Mapping[str, str],
    at: str | None = None,
    snapshot: bool = False,
    again: bool = False,
    hold: bool = False,
    priority: int | None = None,
    dry_run: bool = False,
    tell: Tell = unheard,
    overrides: Sequence[str] = (),
) -> Ready:
    """Queue the runs of the configs at `paths` that are not there yet. Of a config with a problem nothing is queued.
    `overrides` (`-S`) are laid over each config.

    Raises NotFound, Refused (uncommitted changes), GitorchError.
    """
    repository = site.repository
    repository.require_commit()
    repository.require_no_merge()
    validated = validate(
        site,
        paths,
        environment=environment,
        choose_pin=lambda configs: choose_pin(site, configs, at=at, snapshot=snapshot),
        hashes_inputs=True,
        tell=tell,
        overrides=overrides,
    )
    if not validated.valid or validated.pin is None:
        return Ready(points=(), validated=validated, pin=validated.pin)
    pin = validated.pin
    candidates = [
        _candidate(config, spec, code, validated.inputs[spec.link].data_of(spec))
        for config in validated.valid
        for code in [
            site.code.of(pin.tree, config.specs[0].code, frozenset(_base_paths(site, config)))
        ]
        for spec in config.specs
    ]
    with _one_at_a_time(site):  # or two that look at the same moment both queue the same run
        there = {} if again else _there_already(site, candidates)
        are_new = [again or is_new for is_new in _are_new(candidates, there)]
        new = [candidate for candidate, is_new in zip(candidates, are_new, strict=True) if is_new]
        records = _records(site, new, pin, validated.interpreters, hold=hold, priority=priority)
        if records and not dry_run:
            files = [
                _kept_files(record, candidate.config)
                for record, candidate in zip(records, new, strict=True)
            ]
            _queue(site, records, files)
    made = {record.identity: record for record in records}
    ahead = iter(records)
    points = tuple(
        next(ahead) if is_new else _skipped(candidate, there, made)
        for candidate, is_new in zip(candidates, are_new, strict=True)
    )
    return Ready(points=points, validated=validated, pin=pin, notes=validated.notes)


def _candidate(
    config: LoadedConfig, spec: RunSpec, code: str, data: tuple[Data, ...]
) -> _Candidate:
    return _Candidate(spec=spec, config=config, identity=run_identity(spec, code, data), data=data)


@contextmanager
def _one_at_a_time(site: Site) -> Iterator[None]:
    """No other `ready` looks what is there meanwhile. Raises Busy."""
    path = site.state / "ready.lock"
    with taken(path, wait_s=_PATIENCE_S) as held:
        if not held:
            raise Busy(
                f"another gitorch ready has been queueing for {_PATIENCE_S:.0f} s",
                hint=f"fuser {path} names it",
            )
        yield


def _there_already(site: Site, candidates: Sequence[_Candidate]) -> dict[str, tuple[str, Status]]:
    """Id and status by identity, of those that are there in any status but FAILED."""
    found = Catalog.of(site).by_identity({candidate.identity for candidate in candidates})
    return {identity: (run, status) for identity, (run, status, _) in found.items()}


def _are_new(candidates: Sequence[_Candidate], there: Container[str]) -> list[bool]:
    """Whether the like of each is neither there nor before it."""
    first: dict[str, int] = {}
    for number, candidate in enumerate(candidates):
        first.setdefault(candidate.identity, number)
    return [
        candidate.identity not in there and first[candidate.identity] == number
        for number, candidate in enumerate(candidates)
    ]


def _skipped(
    candidate: _Candidate, there: Mapping[str, tuple[str, Status]], made: Mapping[str, Record]
) -> Skipped:
    if found := there.get(candidate.identity):
        return Skipped(id=found[0], spec=candidate.spec, status=found[1])
    record = made[candidate.identity]
    return Skipped(
        id=record.id, spec=candidate.spec, status=None, source=f"{record.label}, {record.source}"
    )


def _records(
    site: Site,
    candidates: Sequence[_Candidate],
    pin: Pin,
    interpreters: Mapping[str | None, str],
    *,
    hold: bool,
    priority: int | None,
) -> tuple[Record, ...]:
    """A new record for each; a microsecond apart, so that `latest` has one meaning."""
    start = datetime.now(UTC)
    by = site.repository.signature().name
    clone = site.repository.clone_id()
    return tuple(
        new_record(
            candidate.spec,
            id=run_id(os.urandom(6)),
            clone=clone,
            source=_relative(candidate.config.file, site.repository.root),
            pin=pin,
            identity=candidate.identity,
            interpreter=interpreters[candidate.spec.python],
            created=start + timedelta(microseconds=number),
            by=by,
            hold=hold,
            priority=priority,
            data=candidate.data,
            overrides=candidate.config.overrides,
            bases=_base_paths(site, candidate.config),
        )
        for number, candidate in enumerate(candidates)
    )


def new_record(
    spec: RunSpec,
    *,
    id: str,
    clone: str,
    source: str,
    pin: Pin,
    identity: str,
    interpreter: str,
    created: datetime,
    by: str,
    hold: bool = False,
    priority: int | None = None,
    rerun_of: str | None = None,
    data: tuple[Data, ...] = (),
    overrides: tuple[str, ...] = (),
    bases: tuple[str, ...] = (),
) -> Record:
    """The record of a run that waits for the first time, or is held from the beginning."""
    at = stamp(created, "microseconds")
    status = Status.HOLD if hold else Status.WAITING
    return Record(
        id=id,
        spec=spec,
        status=status,
        clone=clone,
        source=source,
        pin=pin,
        identity=identity,
        interpreter=interpreter,
        output_name=_output_name(spec, id, created),
        created=at,
        rerun_of=rerun_of,
        priority=priority,
        hold=Hold(by=by, at=at) if hold else None,
        data=data,
        overrides=overrides,
        bases=bases,
        tasks=tuple(TaskRecord(id=task.id, status=status, pin=pin) for task in spec.tasks),
        history=(Change(at=at, source=None, target=status, by=by),),
    )


def _base_paths(site: Site, config: LoadedConfig) -> tuple[str, ...]:
    """What a config extends, relative to the repository's root where it lies inside."""
    root = site.repository.root
    return tuple(
        str(base.path.relative_to(root) if base.path.is_relative_to(root) else base.path)
        for base in config.bases
    )


def _kept_files(record: Record, config: LoadedConfig) -> dict[str, bytes]:
    """The config and what it extends, by the paths at which they are kept beside the record."""
    bases = zip(record.base_files.values(), config.bases, strict=True)
    return {CONFIG: config.source, **{path: base.data for path, base in bases}}


def _queue(site: Site, records: Sequence[Record], files: Sequence[Mapping[str, bytes]]) -> None:
    catch_up(site)
    names = ", ".join(dict.fromkeys(record.name for record in records))
    many = f"{len(records)} runs of {names}" if len(records) > 1 else f"{names} {records[0].id}"
    _materialise(site, records[0])
    queue_records(site, records, files, f"{many}: ready")
    materialise_next(site)


def _materialise(site: Site, record: Record) -> None:
    """The first run's worktree. That the commit can be checked out, with submodules, large files and filters, is known
    before anything is queued. Raises GitorchError.
    """
    pins.keep(site.repository, record.pin.commit)
    try:
        site.worktrees.materialise(
            record.pin.commit,
            site.directory(record.id).tree,
            link=record.spec.link,
        )
    except BaseException:
        clear_away(site, record.id)
        raise


def _output_name(spec: RunSpec, run: str, created: datetime) -> str | None:
    if spec.output_dir is None:
        return None
    local = created.astimezone()
    values = {
        **spec.params,
        "id": run,
        "name": spec.name,
        "date": f"{local:%Y-%m-%d}",
        "time": f"{local:%H-%M-%S}",
    }
    return fill([spec.output_dir], values)[0]


def _relative(file: str, root: Path) -> str:
    path = (
        Path(file).parent.resolve() / Path(file).name
    )  # called from a subdirectory, the path begins with `..`
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
