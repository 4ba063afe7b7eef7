"""The fields of runs, by the names that people write, and sorting by them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gitorch.errors import UsageError
from gitorch.model.table.fields import (
    OWN,
    field,
    getter,
    known_fields,
    meant,
    render_path,
    sorted_by,
)
from gitorch.model.table.row import Row
from tests.model.table.sample import ROW


def with_params(params: dict[str, Any]) -> Row:
    return replace(ROW, params=params, metrics={})


def test_fields_are_those_of_any_run_with_the_values_in_mappings_after_them() -> (
    None
):
    rows = [
        with_params({"lr": 0.1, "model": {"depth": 1}}),
        with_params({"model": "small", "seed": 1}),
        replace(
            ROW, params={"model": {"width": {"first": 2}}}, metrics={"loss": 1}
        ),
    ]
    assert list(map(render_path, known_fields(rows))) == [
        "params.lr",
        "params.model",
        "params.model.depth",
        "params.model.width",
        "params.model.width.first",
        "params.seed",
        "metrics.loss",
    ]


def test_the_columns_of_a_run_are_the_same_in_json() -> None:
    assert [name for name in ROW.to_json() if name in OWN] == list(OWN)
    others = {"params", "swept", "metrics", "changed", "task_params"}
    assert set(ROW.to_json()) - set(OWN) == others


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
        ("betas.first", ("params", "optimizer", "betas", "first")),
        ("f1", ("metrics", "test.f1")),
    ],
)
def test_a_column_can_be_named_by_an_unambiguous_end_of_its_path(
    name: str, path: tuple[str, ...]
) -> None:
    assert field(name, [ROW]) == path


def test_an_unknown_or_ambiguous_column_is_an_error() -> None:
    with pytest.raises(UsageError) as raised:
        field("acuracy", [ROW])
    assert raised.value.hint == "did you mean metrics.accuracy?"
    with pytest.raises(UsageError) as raised:
        field("loss", [replace(ROW, params={"loss": 1}, metrics={"loss": 2})])
    assert raised.value.hint == "did you mean params.loss or metrics.loss?"
    assert field(
        "loss",
        [replace(ROW, params={"loss": 1}, metrics={"loss": 2})],
        prefer="params",
    ) == ("params", "loss")
    with pytest.raises(UsageError, match="no column 'quite else'"):
        field("quite else", [ROW])
    assert field("params.lr", []) == ("params", "lr"), (
        "if there are no runs, any parameter may exist"
    )


def test_an_exact_name_takes_precedence_over_the_end_of_another() -> None:
    params = {"optimizer": {"lr": 1, "eps": 1}, "lr": 2, "scheduler": {"eps": 1}}
    rows = [with_params(params)]
    assert field("lr", rows) == ("params", "lr")
    assert field("optimizer.lr", rows) == ("params", "optimizer", "lr")
    with pytest.raises(UsageError, match="'eps' is ambiguous") as raised:
        field("eps", rows)
    assert (
        raised.value.hint
        == "did you mean params.optimizer.eps or params.scheduler.eps?"
    )


def test_the_end_of_a_name_with_slashes_is_a_name_too() -> None:
    metrics = {
        "validation/accuracy": 1,
        "train/loss": 1,
        "test/loss": 1,
        "e/f.g": 1,
    }
    rows = [replace(ROW, params={"loss": 1}, metrics=metrics)]
    assert field("accuracy", rows) == ("metrics", "validation/accuracy")
    assert field("loss", rows) == ("params", "loss"), "a whole name"
    assert field("f.g", rows) == field("g", rows) == ("metrics", "e/f.g")
    with pytest.raises(UsageError, match="'loss' is ambiguous") as raised:
        field("loss", [replace(ROW, params={}, metrics=metrics)])
    hint = "did you mean metrics.train/loss or metrics.test/loss?"
    assert raised.value.hint == hint
    for part in ("curacy", "validation", "s", ""):
        with pytest.raises(UsageError, match="there is no column"):
            field(part, rows)


def test_a_path_is_rendered_as_an_expression_has_it() -> None:
    assert render_path(("params", "optimizer", "kind")) == "params.optimizer.kind"
    assert render_path(("params", "odd key")) == 'params["odd key"]'
    assert meant("nothing like it", [("params", "lr")]) == []


def test_numbers_are_sorted_before_texts_and_missing_values_last() -> None:
    values = ["b", None, 10, 2.5, "a", True, [1]]
    rows = [with_params({"x": value}) for value in values]
    get = getter(("params", "x"))
    assert [get(row) for row in sorted_by(rows, [(get, False)])] == [
        True,
        2.5,
        10,
        "a",
        "b",
        [1],
        None,
    ]
    assert [get(row) for row in sorted_by(rows, [(get, True)])] == [
        [1],
        "b",
        "a",
        10,
        2.5,
        True,
        None,
    ]


def test_rows_are_sorted_by_one_column_and_then_by_the_next() -> None:
    rows = [with_params({"x": x, "y": y}) for x in (1, 2) for y in (1, 2)]
    found = sorted_by(
        rows, [(getter(("params", "x")), True), (getter(("params", "y")), False)]
    )
    assert [tuple(run.params.values()) for run in found] == [
        (2, 1),
        (2, 2),
        (1, 1),
        (1, 2),
    ]
