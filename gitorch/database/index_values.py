"""The values of runs as Python and SQLite have them, for the index of runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from gitorch.model.estimate.history import EarlierDuration
from gitorch.model.run.status import Status
from gitorch.model.table.references import Named
from gitorch.model.table.row import Row, TaskRow
from gitorch.model.values import flattened


def row_values(row: Row) -> dict[str, Any]:
    """Return the values of the statement that adds a run."""
    live = None
    if row.tasks:
        tasks = [task.to_json() for task in row.tasks]
        live = json.dumps([row.hold, tasks])
    return {
        "id": row.id,
        "name": encoded(row.name),
        "label": encoded(row.label),
        "status": str(row.status),
        "commit": row.commit,
        "summary": json.dumps(
            [row.params, row.swept, row.metrics, row.changed, row.task_params]
        ),
        "sorted": row.order[0],
        "created": row.created,
        "started": row.started,
        "ended": row.ended,
        "duration_s": row.duration_s,
        "clone": row.clone,
        "identity": row.identity,
        "rerun_of": row.rerun_of,
        "verified": row.verified,
        "invalid": row.invalid,
        "live": live,
    }


_decode = msgspec.json.Decoder().decode
_STATUSES = {str(status): status for status in Status}


def named_of(values: Sequence[Any]) -> Named:
    """Return the Named of a result of a statement that returns the names of runs."""
    id, name, label, identity, created = values
    return Named(id, decoded(name), decoded(label), identity, created)


def duration_of(values: Sequence[Any]) -> EarlierDuration:
    """Return the EarlierDuration of a result of the statement `durations`."""
    seconds, task, host, summary = values
    params, _, _, _, task_params = _parsed(summary)
    seen = {**params, **task_params.get(task, {})}
    return EarlierDuration(seconds, flattened(seen), host)


def row_of(values: Sequence[Any]) -> Row:
    """Return the Row of a result of a statement that returns runs."""
    (
        id,
        name,
        label,
        status,
        commit,
        summary,
        sorted_at,
        created,
        started,
        ended,
        duration_s,
        clone,
        identity,
        rerun_of,
        verified,
        invalid,
        live,
    ) = values
    params, swept, metrics, changed, task_params = _parsed(summary)
    if not (isinstance(params, dict) and isinstance(metrics, dict)):
        raise TypeError("the summary of a run is damaged")
    hold = None
    tasks: tuple[TaskRow, ...] = ()
    if live:
        hold, values_of_tasks = _parsed(live)
        tasks = tuple(map(TaskRow.from_json, values_of_tasks))
    return Row(
        id=id,
        name=decoded(name),
        label=decoded(label),
        status=_STATUSES.get(status) or Status(status),
        commit=commit,
        params=params,
        swept=tuple(swept),
        metrics=metrics,
        created=created,
        started=started,
        ended=ended,
        duration_s=duration_s,
        clone=clone,
        identity=identity,
        rerun_of=rerun_of,
        verified=verified,
        invalid=invalid,
        changed=tuple(changed),
        task_params=task_params,
        sorted_at=None if sorted_at == created else sorted_at,
        hold=hold,
        tasks=tasks,
    )


def _parsed(text: str) -> Any:
    """Return the value of a JSON text. `json` takes more than twice as long."""
    try:
        return _decode(text)
    except ValueError:
        return json.loads(text)  # it reads NaN and lone surrogates too


def encoded(text: str) -> bytes:
    """Encode a name that may contain surrogates: a file name that is not UTF-8 does (PEP 383)."""
    return text.encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
