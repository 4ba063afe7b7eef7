"""`gitorch ready`: validate configs, pin the code, record the runs and queue them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from gitorch.actions.configs import load_configs, readable_configs
from gitorch.actions.made_anew import MadeAnew, made_anew
from gitorch.actions.pinning import Snapshot, choose_pin
from gitorch.actions.ready_plan import (
    AlreadyThere,
    Candidate,
    Decision,
    New,
    Plan,
    SameAs,
    find_candidates,
)
from gitorch.actions.validate import Validated, validate
from gitorch.config.pipeline import LoadedConfig
from gitorch.errors import Busy
from gitorch.git import pins
from gitorch.model.branch_layout import CONFIG
from gitorch.model.problem import Problem
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Record
from gitorch.model.run.shell import default_shell
from gitorch.model.run.spec import RunSpec
from gitorch.model.run.status import Status
from gitorch.storage.catalog import Catalog
from gitorch.storage.contents import Notify, ignore_notice
from gitorch.storage.leftovers import READY_LOCK
from gitorch.storage.new_record import new_creations, new_record
from gitorch.storage.recording import catch_up, queue_records
from gitorch.storage.run_directories import clear_away, materialise_next
from gitorch.storage.site import Site
from gitorch.tools.locks import how_to_free, taken

_PATIENCE_S = 60.0


class Skipped(Struct, frozen=True, kw_only=True):
    """A run of a config that is not queued, because an equal run exists.

    If the equal run is a new one of the same call, `status` is None and `source` says where that
    run is from.
    """

    id: str  # of the equal run
    spec: RunSpec
    status: Status | None  # of the equal run
    source: str = ""

    @property
    def why(self) -> str:
        if self.status is None:
            return f"the same run as {self.source}"
        return f"already exists as {self.id}, {self.status}"

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.spec.name,
            "label": self.spec.label,
            "params": self.spec.params,
            "why": self.why,
        }


class Ready(Struct, frozen=True, kw_only=True):
    """The new records and the skipped runs, in the order of the configs."""

    points: tuple[Record | Skipped, ...]
    validated: Validated
    pin: Pin | None  # None if no config was readable
    notes: tuple[str, ...] = ()
    snapshot: Snapshot | None = None  # if the pin is a snapshot that was just taken
    made_anew: tuple[MadeAnew, ...] = ()

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
        queued = [
            {
                "id": record.id,
                "name": record.name,
                "label": record.label,
                "params": record.spec.params,
            }
            for record in self.queued
        ]
        skipped = [run.to_json() for run in self.skipped]
        problems = [problem.to_json() for problem in self.problems]
        anew = [runs.to_json() for runs in self.made_anew]
        return {
            "schema": "gitorch/ready/v1",
            "queued": queued,
            "skipped": skipped,
            "problems": problems,
            "notes": list(self.notes),
            "made_anew": anew,
            "snapshot": self.snapshot.to_json() if self.snapshot else None,
        }


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
    notify: Notify = ignore_notice,
    overrides: Sequence[str] = (),
) -> Ready:
    """Queue the runs of the configs at `paths` that do not exist yet, or all of them with `again`.

    No run of a config with an error is queued. `overrides` (`-S`) are applied to each config.
    Raises NotFound, Refused if uncommitted changes would not be in the run, and other subclasses of
    GitorchError.
    """
    site.repository.require_commit()
    site.repository.require_no_merge()
    _ = site.state  # Refused on a machine that does not have the queue
    configs = load_configs(site, paths, overrides)
    if not readable_configs(configs):
        return Ready(points=(), validated=Validated.by_text(configs), pin=None)
    chosen = choose_pin(site, configs, at=at, snapshot=snapshot)
    validated = validate(
        site,
        configs,
        chosen,
        environment=environment,
        hashes_inputs=True,
        notify=notify,
    )
    if not validated.valid:
        return Ready(points=(), validated=validated, pin=chosen.pin)
    has_bash = shutil.which("bash", path=environment.get("PATH")) is not None
    shell = default_shell(has_bash=has_bash)
    candidates = find_candidates(site, validated, chosen.pin, shell)
    with _one_at_a_time(site):
        plan = _plan(site, candidates, again=again)
        anew = () if again else made_anew(site, plan.new)
        records: dict[str, Record] = {}
        for new in plan.new:
            definition = new.candidate.definition
            records[new.creation.id] = new_record(
                definition, new.creation, hold=hold, priority=priority
            )
        if records and not dry_run:
            _queue(site, plan, records)
    points = tuple(_point(decision, records) for decision in plan.decisions)
    return Ready(
        points=points,
        validated=validated,
        pin=chosen.pin,
        notes=validated.notes,
        snapshot=chosen.snapshot,
        made_anew=anew,
    )


@contextmanager
def _one_at_a_time(site: Site) -> Iterator[None]:
    """Keep other `ready` processes from deciding what is new at the same time.

    Two of them could otherwise queue the same run twice.
    Raises Busy.
    """
    path = site.state / READY_LOCK
    awaited = "another gitorch ready to queue its runs"
    with taken(path, wait_s=_PATIENCE_S, awaited=awaited) as held:
        if not held:
            raise Busy(
                f"another gitorch ready has been queueing for {_PATIENCE_S:.0f} s",
                hint=how_to_free(path),
            )
        yield


def _plan(site: Site, candidates: Sequence[Candidate], *, again: bool) -> Plan:
    creations = new_creations(site, len(candidates))
    if again:
        return Plan.of_new_runs(candidates, creations)
    identities = {candidate.definition.identity for candidate in candidates}
    existing: dict[str, tuple[str, Status]] = {}  # FAILED runs do not count
    for identity, (run_id, status, _) in (
        Catalog.of(site).by_identity(identities).items()
    ):
        existing[identity] = (run_id, status)
    return Plan.of(candidates, creations, existing)


def _point(decision: Decision, records: Mapping[str, Record]) -> Record | Skipped:
    """Return the new record, or the reason why there is none."""
    spec = decision.candidate.definition.spec
    match decision:
        case New(creation=creation):
            return records[creation.id]
        case SameAs(run_id=run_id):
            same = records[run_id]
            source = f"{same.label}, {same.source}"
            return Skipped(id=run_id, spec=spec, status=None, source=source)
        case AlreadyThere(run_id=run_id, status=status):
            return Skipped(id=run_id, spec=spec, status=status)


def _queue(site: Site, plan: Plan, records: Mapping[str, Record]) -> None:
    catch_up(site)
    new_records = []
    files = []
    for new in plan.new:
        record = records[new.creation.id]
        new_records.append(record)
        files.append(_config_files(record, new.candidate.config))
    _materialise_first(site, new_records[0])
    queue_records(site, new_records, files, _subject(new_records))
    materialise_next(site)


def _materialise_first(site: Site, record: Record) -> None:
    """Create the worktree of the first run.

    A commit that cannot be checked out, with its submodules, large files and filters, is found
    before anything is queued. Raises GitorchError.
    """
    pins.keep(site.repository, record.pin.commit)
    tree = site.directory(record.id).tree
    try:
        site.worktrees.materialise(
            record.pin.commit,
            tree,
            link=record.spec.link,
            sparse=record.spec.sparse,
        )
    except BaseException:
        clear_away(site, record.id)
        raise


def _config_files(record: Record, config: LoadedConfig) -> dict[str, bytes]:
    """Return the config and the files that it extends, by their names beside the record."""
    files = {CONFIG: config.source}
    for name, base in zip(record.base_files.values(), config.bases, strict=True):
        files[name] = base.data
    return files


def _subject(records: Sequence[Record]) -> str:
    """Return the subject of the commit that records the runs."""
    if len(records) == 1:
        return f"{records[0].name} {records[0].id}: ready"
    names = ", ".join(dict.fromkeys(record.name for record in records))
    return f"{len(records)} runs of {names}: ready"
