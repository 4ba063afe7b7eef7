"""The failures of many runs: gathered by cause, with what the failed runs have in common."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from gitorch.model.run.failures import (
    Failure,
    Gathering,
    Params,
    SimilarFailures,
    common_params,
    having,
)
from gitorch.model.run.record import Record
from gitorch.model.run.status import Status
from gitorch.model.table.fields import render_path
from gitorch.model.table.row import Row
from gitorch.model.table.where.expression import parse_where
from gitorch.model.values import flattened
from gitorch.storage.catalog import Catalog
from gitorch.storage.records import read_sound_records
from gitorch.storage.site import Site

MOST_EXPLAINED = 10  # causes; nobody reads more, and each takes a look at all runs
_MOST_NAMED = 5  # runs in a command


class FailureGroup(Struct, frozen=True, kw_only=True):
    """Runs that failed for the same cause.

    `common` are the values that set them apart from the runs that did not fail, and `others` is the
    number of those that have all of these values nevertheless. If no run succeeded, the runs that
    failed for another cause take their place. `selection` is how a command selects the runs.
    """

    similar: SimilarFailures
    common: Params = {}
    others: int = 0
    selection: str

    def to_json(self) -> dict[str, Any]:
        first = self.similar.first
        return {
            "task": first.task,
            "outcome": first.outcome.to_json(),
            "location": self.similar.location,
            "runs": self.similar.run_ids,
            "common": self.common,
        }


def gather_failures(
    site: Site, ended: Mapping[str, Status]
) -> tuple[FailureGroup, ...]:
    """Return the failures of the runs that `ended` in ERROR, the most frequent cause first.

    `ended` has the status of each run that is considered, by id.
    """
    failed_ids = [id for id, status in ended.items() if status is Status.ERROR]
    if not failed_ids:
        return ()
    records = read_sound_records(site, failed_ids)
    rows = Catalog.of(site).rows()
    ended_rows = [row for row in rows if row.id in ended]
    params = {row.id: flattened(row.all_params) for row in ended_rows}
    groups = []
    causes = Gathering(_failures(records.values())).gathered()
    for similar in causes[:MOST_EXPLAINED]:
        failed = [params[run_id] for run_id in similar.run_ids]
        beside = _runs_beside(similar, ended_rows, ended)
        others = [params[run_id] for run_id in beside]
        common = common_params(failed, others)
        groups.append(
            FailureGroup(
                similar=similar,
                common=common,
                others=len(having(others, common)),
                selection=_selection(similar.run_ids, common, rows),
            )
        )
    for similar in causes[MOST_EXPLAINED:]:
        groups.append(
            FailureGroup(similar=similar, selection=" ".join(similar.run_ids))
        )
    return tuple(groups)


def recent_failures(site: Site, since: str) -> tuple[FailureGroup, ...]:
    """Return the failures of the runs that ended at `since` or later, gathered."""
    ended: dict[str, Status] = {}
    for row in Catalog.of(site).rows():
        if row.status is Status.COMPLETE and (row.ended or "") >= since:
            ended[row.id] = row.status
        elif row.status is Status.ERROR:
            ends = [task.ended for task in row.tasks if task.ended is not None]
            if max(ends, default="") >= since:
                ended[row.id] = row.status
    return gather_failures(site, ended)


def _runs_beside(
    similar: SimilarFailures, rows: Sequence[Row], ended: Mapping[str, Status]
) -> list[str]:
    """Return the runs with which these are compared, those of the same names.

    They are the complete ones, or all others if none is complete.
    """
    failed = set(similar.run_ids)
    names = {row.name for row in rows if row.id in failed}
    beside = [row.id for row in rows if row.id not in failed and row.name in names]
    complete = [run_id for run_id in beside if ended[run_id] is Status.COMPLETE]
    return complete or beside


def _failures(records: Iterable[Record]) -> Iterator[Failure]:
    for record in records:
        for task in record.tasks:
            if task.status is Status.ERROR and task.attempts:
                last = task.attempts[-1]
                yield Failure(
                    run_id=record.id,
                    label=record.label,
                    task=task.id,
                    outcome=last.outcome,
                    location=last.location,
                )


def _selection(run_ids: Sequence[str], common: Params, rows: Sequence[Row]) -> str:
    """Return the arguments with which a command selects exactly these runs.

    If they are many, and no short expression selects them alone, the arguments select all failed
    runs of their name.
    """
    if len(run_ids) == 1:
        return run_ids[0]
    chosen = set(run_ids)
    named = {row.name for row in rows if row.id in chosen}
    of_name = [f"name == {_text(name)}" for name in named]
    in_error = ['status == "ERROR"']
    values = _conditions(common)
    for conditions in (values, in_error + values, in_error + of_name + values):
        where = " and ".join(conditions)
        if where and len(of_name) <= 1 and _selected(where, rows) == chosen:
            return f"--where {shlex.quote(where)}"
    if len(run_ids) <= _MOST_NAMED or len(of_name) != 1:
        return " ".join(run_ids)
    return f"--where {shlex.quote(' and '.join(in_error + of_name))}"


def _conditions(common: Params) -> list[str]:
    """Return the conditions of `--where` for these values, without those that have none."""
    conditions = []
    for key, value in common.items():
        if value is None or isinstance(value, bool | int | float | str):
            path = render_path(("params", *key.split(".")))
            conditions.append(f"{path} == {_text(value)}")
    return conditions


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _selected(where: str, rows: Sequence[Row]) -> set[str]:
    matches = parse_where(where, rows).matches
    return {row.id for row in rows if matches(row)}
