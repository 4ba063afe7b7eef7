"""When a failed run is overdue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from gitorch.model.run.record import Change, Record
from gitorch.model.run.retention import Retention, in_error_since, is_overdue
from gitorch.model.run.status import Status
from tests.model.run.test_record_changes import record as new_record

FAILED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(status: Status = Status.ERROR) -> Record:
    change = Change(
        at=FAILED_AT.isoformat(), source=Status.RUNNING, target=status, by="worker"
    )
    return replace(new_record(), status=status, history=(change,))


@pytest.mark.parametrize(
    ("days", "overdue"), [(29, False), (30, False), (31, True)]
)
def test_a_failed_run_is_overdue_after_its_time(days: int, overdue: bool) -> None:
    assert (
        is_overdue(
            record(), Retention.parse("30d"), FAILED_AT + timedelta(days=days)
        )
        is overdue
    )


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.ERROR}))
def test_a_run_in_another_status_is_never_overdue(status: Status) -> None:
    assert in_error_since(record(status)) is None
    assert not is_overdue(
        record(status), Retention.parse("0s"), FAILED_AT + timedelta(days=1000)
    )


def test_a_run_that_was_retried_since_is_not_in_error() -> None:
    """The queue may have the run in ERROR before its record says since when."""
    again = Change(
        at=FAILED_AT.isoformat(),
        source=Status.WAITING,
        target=Status.RUNNING,
        by="worker",
    )
    assert (
        in_error_since(replace(record(), history=(*record().history, again)))
        is None
    )
