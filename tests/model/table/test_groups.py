"""Runs in groups, sorted, by columns that people name."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gitorch.errors import UsageError
from gitorch.model.run.status import Status
from gitorch.model.table.fields import field, getter, meant, render_path, sorted_by
from gitorch.model.table.groups import AGGREGATES, grouped
from gitorch.model.table.row import Row
from tests.model.table.where.test_expression import ROW


def row(
    params: dict[str, Any], metrics: dict[str, Any] | None = None, status: Status = Status.COMPLETE
) -> Row:
    return replace(ROW, params=params, metrics=metrics or {}, status=status)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("lr", ("params", "lr")),
        ("params.lr", ("params", "lr")),
        ("accuracy", ("metrics", "accuracy")),
        ("status", ("status",)),
        ("took", ("duration_s",)),
        ("optimizer.kind", ("params", "optimizer", "kind")),
        ("first", ("params", "optimizer", "betas", "first")),
        ("test.f1", ("metrics", "test.f1")),
        ("odd key", ("params", "odd key")),
    ],
)
def test_a_column_is_called_by_as_much_as_is_unambiguous(name: str, path: tuple[str, ...]) -> None:
    assert field(name, [ROW]) == path


def test_a_column_that_there_is_not() -> None:
    with pytest.raises(UsageError) as raised:
        field("acuracy", [ROW])
    assert raised.value.hint == "did you mean metrics.accuracy?"
    with pytest.raises(UsageError) as raised:
        field("loss", [row({"loss": 1}, {"loss": 2})])
    assert raised.value.hint == "did you mean params.loss or metrics.loss?"
    assert field("loss", [row({"loss": 1}, {"loss": 2})], prefer="params") == ("params", "loss")
    with pytest.raises(UsageError, match="no column 'quite else'"):
        field("quite else", [ROW])
    assert field("params.lr", []) == ("params", "lr"), "where there is no run, nobody can tell"


def test_a_path_is_written_as_it_is_read() -> None:
    assert render_path(("params", "optimizer", "kind")) == "params.optimizer.kind"
    assert render_path(("params", "odd key")) == 'params["odd key"]'
    assert meant("nothing like it", [("params", "lr")]) == []


def test_sorted_with_numbers_before_text_and_the_missing_last() -> None:
    values = ["b", None, 10, 2.5, "a", True, [1]]
    rows = [row({"x": value}) for value in values]
    get = getter(("params", "x"))
    assert [get(found) for found in sorted_by(rows, [(get, False)])] == [
        True,
        2.5,
        10,
        "a",
        "b",
        [1],
        None,
    ]
    assert [get(found) for found in sorted_by(rows, [(get, True)])] == [
        [1],
        "b",
        "a",
        10,
        2.5,
        True,
        None,
    ]


def test_sorted_by_one_column_and_then_by_the_next() -> None:
    rows = [row({"x": x, "y": y}) for x in (1, 2) for y in (1, 2)]
    found = sorted_by(rows, [(getter(("params", "x")), True), (getter(("params", "y")), False)])
    assert [tuple(run.params.values()) for run in found] == [(2, 1), (2, 2), (1, 1), (1, 2)]


def test_groups_of_complete_runs() -> None:
    rows = [
        row({"lr": 0.1, "seed": 1}, {"loss": 1, "f1": 0.5}),
        row({"lr": 0.1, "seed": 2}, {"loss": 4, "f1": None}),
        row({"lr": 0.1, "seed": 3}, {"loss": 100}, Status.ERROR),
        row({"lr": 0.01, "seed": 1}, {"loss": 2}),
        row({"lr": "high"}, {}, Status.WAITING),
        row({}, {"loss": 3}),
    ]
    found = grouped(rows, [("params", "lr")], ["mean", "std", "count"])
    assert [group.to_json() for group in found] == [
        {
            "by": {"params.lr": 0.01},
            "runs": 1,
            "count": 1,
            "metrics": {"loss": {"mean": 2, "std": None, "count": 1}},
        },
        {
            "by": {"params.lr": 0.1},
            "runs": 3,
            "count": 2,
            "metrics": {
                "loss": {"mean": 2.5, "std": pytest.approx(math.sqrt(4.5)), "count": 2},
                "f1": {"mean": 0.5, "std": None, "count": 1},
            },
        },
        {"by": {"params.lr": "high"}, "runs": 1, "count": 0, "metrics": {}},
        {
            "by": {"params.lr": None},
            "runs": 1,
            "count": 1,
            "metrics": {"loss": {"mean": 3, "std": None, "count": 1}},
        },
    ]


def test_one_and_true_are_two_groups() -> None:
    assert (
        len(grouped([row({"x": 1}), row({"x": True}), row({"x": 1})], [("params", "x")], ["mean"]))
        == 2
    )


def test_numbers_that_are_too_large_to_be_added_have_no_mean() -> None:
    [group] = grouped([row({}, {"m": 10**400}), row({}, {"m": 1.0})], [("name",)], list(AGGREGATES))
    assert group.metrics["m"] == {"mean": None, "std": None, "min": 1.0, "max": 10**400, "count": 2}


@given(st.lists(st.floats(-1e6, 1e6), min_size=2))
def test_the_numbers_are_those_of_the_statistics_module(values: list[float]) -> None:
    assert AGGREGATES["mean"](values) == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert AGGREGATES["std"](values) == pytest.approx(statistics.stdev(values), abs=1e-6)
