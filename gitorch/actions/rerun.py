"""`gitorch rerun`: the same pin, config and parameters, as a new run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from gitorch.actions.compare import compare_code
from gitorch.actions.lookup import find_records
from gitorch.actions.ready import new_record, queue_records
from gitorch.errors import NotFound
from gitorch.git import pins
from gitorch.model.compare import Comparison, compare_records
from gitorch.model.ids import run_id, run_path
from gitorch.model.record import Record
from gitorch.model.spec import given
from gitorch.worker.recover import catch_up
from gitorch.worker.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    runs: tuple[Record, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/rerun/v1",
            "runs": [{"id": record.id, "rerun_of": record.rerun_of} for record in self.runs],
            **given({"notes": list(self.notes)}),
        }


def rerun(site: Site, references: Sequence[str]) -> Rerun:
    """Queue these runs once more. Raises NotFound where a run, or the commit it was pinned to, is not in this clone."""
    catch_up(site)
    originals = find_records(site, references)
    for original in originals:
        pins.require(site.repository, original.pin.commit)
    configs = site.results.read_all([f"{run_path(original.id)}/config.yaml" for original in originals])
    start = datetime.now(UTC)
    by = site.repository.signature().name
    records = [
        new_record(
            original.spec,
            id=run_id(os.urandom(6)),
            clone=site.repository.clone_id(),
            source=original.source,
            pin=original.pin,
            identity=original.identity,
            interpreter=original.interpreter,
            created=start + timedelta(microseconds=number),
            by=by,
            rerun_of=original.id,
            data=original.data,
        )
        for number, original in enumerate(originals)
    ]
    names = ", ".join(f"{record.name} {record.id} of {record.rerun_of}" for record in records)
    queue_records(site, records, [config or b"" for config in configs], f"rerun: {names}")
    notes = [
        f"{original.id} ran at several commits ({told}): {record.id} runs all of it at {record.pin.commit[:12]}"
        for original, record in zip(originals, records, strict=True)
        if (told := original.several_pins)
    ]
    return Rerun(runs=tuple(records), notes=tuple(notes))


def verify(site: Site, rerun_id: str) -> Comparison:
    """What came out otherwise than in the run that `rerun_id` repeats."""
    [again] = find_records(site, [rerun_id])
    if again.rerun_of is None:
        raise NotFound(f"{rerun_id} repeats no other run")
    [original] = find_records(site, [again.rerun_of])
    return compare_records([original, again], compare_code(site, [original, again]))
