"""`gitorch retry`: a failed run continues at the task that failed; finished tasks keep their results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gitorch.actions.lookup import find_records
from gitorch.errors import Refused
from gitorch.model.record import Record, after_retry
from gitorch.model.status import Status, sources, verbs
from gitorch.tools.clock import now
from gitorch.worker.commit import read_record, trailers
from gitorch.worker.recover import catch_up
from gitorch.worker.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Runs whose status was changed: id, from, to."""

    runs: tuple[tuple[str, Status, Status | None], ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/change/v1",
            "changed": [
                {"id": run, "from": str(source), "to": target and str(target)} for run, source, target in self.runs
            ],
            "refused": [],
        }


def retry(site: Site, references: Sequence[str], *, why: str | None = None) -> Changed:
    """Let these runs continue: all of them or none. Raises NotFound, Refused."""
    catch_up(site)
    records = find_records(site, references)
    for record in records:
        _require_possible(site, record)
    by = site.repository.signature().name
    with site.results.changing() as change:
        before = change.tip
        retried = []
        for record in records:
            recorded = read_record(change, record.id)
            if recorded is None:
                raise Refused(f"{record.label} ({record.id}) was removed meanwhile")
            retried.append(after_retry(recorded, at=now(), by=by, why=why))
            change.put_record(retried[-1].to_json())
        after = change.commit(_subject(retried), trailers(retried))
    site.queue.retry([record.id for record in retried], tip=(before, after))
    return Changed(runs=tuple((record.id, record.status, Status.WAITING) for record in records))


def _require_possible(site: Site, record: Record) -> None:
    if record.clone != site.repository.clone_id():
        raise Refused(
            f"{record.label} ({record.id}) belongs to another clone of this repository",
            hint=f"gitorch rerun {record.id} makes a run of your own of it",
        )
    if record.status not in sources("retry"):
        possible = ", ".join(verbs(record.status)) or "nothing but looking at it, and rerun"
        raise Refused(
            f"{record.label} ({record.id}) is {record.status}: only a run in ERROR can be retried",
            hint=f"from {record.status} possible is: {possible}",
        )


def _subject(records: Sequence[Record]) -> str:
    if len(records) == 1:
        return f"{records[0].name} {records[0].id}: retry"
    return f"{len(records)} runs: retry"
