"""Groups of runs, and the statistics of their metrics."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gitorch.model.run.status import Status
from gitorch.model.table.groups import AGGREGATES, grouped
from gitorch.model.table.row import Row
from tests.model.table.sample import ROW


def row(
    params: dict[str, Any],
    metrics: dict[str, Any] | None = None,
    status: Status = Status.COMPLETE,
    **changed: Any,
) -> Row:
    """Return a row whose run is the same as another if their params and metrics are."""
    values = {"identity": str((params, metrics)), **changed}
    return replace(
        ROW, params=params, metrics=metrics or {}, status=status, **values
    )


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
            "left_out": 0,
            "invalid": 0,
            "metrics": {"loss": {"mean": 2, "std": None, "count": 1}},
        },
        {
            "by": {"params.lr": 0.1},
            "runs": 3,
            "count": 2,
            "left_out": 0,
            "invalid": 0,
            "metrics": {
                "loss": {
                    "mean": 2.5,
                    "std": pytest.approx(math.sqrt(4.5)),
                    "count": 2,
                },
                "f1": {"mean": 0.5, "std": None, "count": 1},
            },
        },
        {
            "by": {"params.lr": "high"},
            "runs": 1,
            "count": 0,
            "left_out": 0,
            "invalid": 0,
            "metrics": {},
        },
        {
            "by": {"params.lr": None},
            "runs": 1,
            "count": 1,
            "left_out": 0,
            "invalid": 0,
            "metrics": {"loss": {"mean": 3, "std": None, "count": 1}},
        },
    ]


@pytest.mark.parametrize("is_reversed", [False, True])
def test_of_runs_that_are_the_same_the_first_complete_one_counts(
    is_reversed: bool,
) -> None:
    same = {"identity": "same"}
    rows = [
        row({}, {"m": 4}, created="4", **same),
        row({}, {"m": 3}, created="3", sorted_at="5", **same),
        row({}, {"m": 2}, created="2", **same),
        row({}, {"m": 1}, Status.ERROR, created="1", **same),
        row({}, {"m": 10}, created="9", identity="other"),
    ]
    if is_reversed:
        rows.reverse()
    [group] = grouped(rows, [("name",)], ["mean", "count"])
    assert (group.runs, group.count, group.left_out) == (5, 2, 2)
    assert group.metrics == {"m": {"mean": 6, "count": 2}}


def test_values_that_are_equal_but_not_identical_are_two_groups() -> None:
    assert (
        len(
            grouped(
                [row({"x": 1}), row({"x": True}), row({"x": 1})],
                [("params", "x")],
                ["mean"],
            )
        )
        == 2
    )


def test_numbers_that_are_too_large_to_be_added_have_no_mean() -> None:
    [group] = grouped(
        [row({}, {"m": 10**400}), row({}, {"m": 1.0})],
        [("name",)],
        list(AGGREGATES),
    )
    assert group.metrics["m"] == {
        "mean": None,
        "std": None,
        "min": 1.0,
        "max": 10**400,
        "count": 2,
    }


@given(st.lists(st.floats(-1e6, 1e6), min_size=2))
def test_mean_and_deviation_agree_with_the_statistics_module(
    values: list[float],
) -> None:
    assert AGGREGATES["mean"](values) == pytest.approx(
        statistics.fmean(values), abs=1e-6
    )
    assert AGGREGATES["std"](values) == pytest.approx(
        statistics.stdev(values), abs=1e-6
    )


def test_the_order_of_the_keys_of_a_mapping_makes_no_other_group() -> None:
    """`ready` takes two configs that differ only in this order as the same run, too."""
    rows = [row({"x": {"a": 1, "b": 2}}), row({"x": {"b": 2, "a": 1}})]
    [group] = grouped(rows, [("params", "x")], ["count"])
    assert group.runs == 2
