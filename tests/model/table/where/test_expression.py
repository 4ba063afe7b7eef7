"""Expressions of `--where` as a whole."""

from __future__ import annotations

from gitorch.model.table.where.expression import parse_where
from tests.model.table.sample import ROW


def test_fields_that_no_run_has_are_reported() -> None:
    found = parse_where(
        "metrics.acuracy > 1 and params.lr > 0 and params.optimizer.kind == 'x' and id == 'a'"
    )
    assert found.unknown_fields([ROW]) == [
        "no run has metrics.acuracy; did you mean metrics.accuracy?"
    ]
    assert parse_where("metrics.test.f1 > 0").unknown_fields([ROW]) == []


def test_a_very_long_expression_does_not_exhaust_the_stack() -> None:
    for expression in (
        "true and " * 50_000 + "true",
        "not " * 100_000 + "true",
        "false or " * 50_000 + "true",
    ):
        assert parse_where(expression).matches(ROW) is True
    assert parse_where(
        f"params.seed in [{','.join(map(str, range(50_000)))}]"
    ).matches(ROW)
    assert parse_where(f"params.seed < {'9' * 100_000}").matches(ROW)
