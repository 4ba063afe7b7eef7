"""The first record of a run: what the run is, and its creation."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from gitorch.model.run.ids import run_id
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Change, Data, Hold, Record, TaskRecord
from gitorch.model.run.spec import RunSpec
from gitorch.model.run.status import Status
from gitorch.model.text.placeholders import fill_text
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site
from gitorch.tools.clock import parse, stamp


class RunDefinition(Struct, frozen=True, kw_only=True):
    """Everything that determines what a run does. A rerun has the definition of its original."""

    spec: RunSpec
    source: str  # the config file
    pin: Pin
    identity: str
    interpreter: str
    data: tuple[Data, ...] = ()
    overrides: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()

    @classmethod
    def of(cls, record: Record) -> RunDefinition:
        return cls(
            spec=record.spec,
            source=record.source,
            pin=record.pin,
            identity=record.identity,
            interpreter=record.interpreter,
            data=record.data,
            overrides=record.overrides,
            bases=record.bases,
        )


class Creation(Struct, frozen=True, kw_only=True):
    """The id of a new run, and who created it, where and when."""

    id: str
    clone: str
    by: str
    at: datetime
    # The time by which the run is sorted, if it is not `at`.
    sorted_at: str | None = None


def new_creations(site: Site, count: int) -> list[Creation]:
    """Return the creations of `count` new runs.

    Their times differ by a microsecond, so that the latest of several runs is always defined. They
    are sorted behind all runs on the branch, even if one of these has a time in the future. All
    clones agree on this order, since it is in the records.
    """
    start = datetime.now(UTC)
    latest = _parsed(_latest_time(site))
    first = start
    if latest is not None and latest >= start:
        first = latest + timedelta(microseconds=1)
    by = site.repository.signature().name
    clone = site.repository.clone_id()
    creations = []
    for number in range(count):
        step = timedelta(microseconds=number)
        sorted_at = None
        if first != start:
            sorted_at = stamp(first + step, "microseconds")
        creations.append(
            Creation(
                id=run_id(os.urandom(6)),
                clone=clone,
                by=by,
                at=start + step,
                sorted_at=sorted_at,
            )
        )
    return creations


def _latest_time(site: Site) -> str | None:
    """Return the time of the run that is sorted as the newest, None if there is no run.

    The queue nearly always knows it, and the index need not be brought to the tip for it.
    """
    if site.queue_path.exists() and site.queue.meta("tip") == site.results.tip():
        latest = site.queue.meta("latest")
        if latest is not None:
            return latest
    return Catalog.of(site).latest_time()


def _parsed(text: str | None) -> datetime | None:
    """Return a time of a record, or None if it is not a time to which something can be added."""
    if text is None:
        return None
    try:
        moment = parse(text)
        moment + timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else None


def new_record(
    definition: RunDefinition,
    creation: Creation,
    *,
    hold: bool = False,
    priority: int | None = None,
    rerun_of: str | None = None,
    why: str | None = None,
) -> Record:
    """Return the record of a run that waits for the first time, or is held from the beginning."""
    created = stamp(creation.at, "microseconds")
    status = Status.HOLD if hold else Status.WAITING
    spec, pin = definition.spec, definition.pin
    tasks = [TaskRecord(id=task.id, status=status, pin=pin) for task in spec.tasks]
    return Record(
        id=creation.id,
        spec=spec,
        status=status,
        clone=creation.clone,
        source=definition.source,
        pin=pin,
        identity=definition.identity,
        interpreter=definition.interpreter,
        output_name=_output_name(spec, creation),
        created=created,
        sorted_at=creation.sorted_at,
        rerun_of=rerun_of,
        priority=priority,
        hold=Hold(by=creation.by, at=created) if hold else None,
        data=definition.data,
        overrides=definition.overrides,
        bases=definition.bases,
        tasks=tuple(tasks),
        history=(
            Change(at=created, source=None, target=status, by=creation.by, why=why),
        ),
    )


def _output_name(spec: RunSpec, creation: Creation) -> str | None:
    """Return the run's `outputDir` with its placeholders replaced. Dates and times are local."""
    if spec.output_dir is None:
        return None
    local = creation.at.astimezone()
    values = {
        **spec.params,
        "id": creation.id,
        "name": spec.name,
        "date": f"{local:%Y-%m-%d}",
        "time": f"{local:%H-%M-%S}",
    }
    return fill_text(spec.output_dir, values)
