"""Many runs, and groups of runs, as text."""

from __future__ import annotations

import re

from msgspec.structs import replace

from gitorch.cli.commands.list_runs import EPILOG
from gitorch.cli.listing import (
    render_csv,
    render_groups,
    render_groups_csv,
    render_list,
)
from gitorch.model.run.status import Status
from gitorch.model.table.fields import OWN
from gitorch.model.table.groups import grouped
from tests.model.table.sample import ROW


def test_a_parameter_with_the_name_of_a_column_or_of_a_metric_gets_a_prefix() -> (
    None
):
    rows = [
        replace(
            ROW,
            params={"status": number, "loss": number, "seed": number},
            metrics={"loss": 1 / (3 + number)},
        )
        for number in (0, 1)
    ]
    table = render_list(rows, all_columns=False, colors=False)
    assert table.splitlines()[0].split() == [
        "id",
        "name",
        "status",
        "params.status",
        "params.loss",
        "seed",
        "metrics.loss",
        "created",
        "took",
    ]
    assert "0.333333" in table


def test_missing_values_are_blank_and_no_value_breaks_its_line() -> None:
    rows = [
        replace(
            ROW,
            params={"note": "two\nlines\x1b[31m", "off": False},
            metrics={"loss": None},
        ),
        replace(ROW, params={"off": 0}, metrics={}, status=Status.ERROR),
    ]
    table = render_list(rows, all_columns=False, colors=True)
    assert table.count("\n") == 2
    assert "two\\nlines" in table
    assert "\x1b[31mtwo" not in table
    assert "false" in table, "false and 0 differ"


def test_all_columns_includes_those_in_which_no_run_differs() -> None:
    rows = [replace(ROW, params={"lr": 0.1}), replace(ROW, params={"lr": 0.1})]
    assert "lr" not in render_list(rows, all_columns=False, colors=False)
    assert "lr" in render_list(rows, all_columns=True, colors=False)


def test_a_group_says_how_many_of_its_runs_have_a_value() -> None:
    first = replace(ROW, params={"lr": 0.1}, identity="a")
    rows = [
        replace(first, metrics={"loss": 1.0, "f1": 0.5}),
        replace(first, identity="b", metrics={"loss": 2.0}),
        replace(first, metrics={"loss": 3.0}, status=Status.ERROR),
    ]
    groups = grouped(rows, [("params", "lr")], ["mean", "count"])
    assert render_groups(groups, ["mean", "count"], colors=False).splitlines() == [
        "lr   runs    loss mean  f1 mean",
        "0.1  2 of 3  1.5        0.5 (of 1)",
    ]
    assert render_groups_csv(groups).splitlines() == [
        "params.lr,runs,count,left_out,metrics.loss.mean,metrics.loss.count,metrics.f1.mean,metrics.f1.count",
        "0.1,3,2,0,1.5,2,0.5,1",
    ]


def test_groups_say_how_many_runs_they_leave_out() -> None:
    first = replace(ROW, params={"lr": 0.1}, metrics={"loss": 1.0})
    rerun = replace(first, id="f" * 12, rerun_of=ROW.id, metrics={"loss": 9.0})
    groups = grouped([rerun, first], [("params", "lr")], ["mean", "count"])
    assert render_groups(groups, ["mean", "count"], colors=False).splitlines() == [
        "lr   runs  loss mean",
        "0.1  1     1",
        "left out: 1 run; of runs that are the same, the first that is COMPLETE counts",
    ]


def test_missing_values_are_empty_cells_of_a_csv() -> None:
    rows = [
        replace(
            ROW,
            params={"lr": 0.1},
            metrics={"loss": None},
            started=None,
            duration_s=None,
        ),
        replace(ROW, params={"seed": 1}, metrics={"loss": 0.5}),
    ]
    header, first, second = render_csv(rows).splitlines()
    assert header.split(",")[5:8] == ["params.lr", "metrics.loss", "created"]
    assert first.split(",")[5:7] == ["0.1", ""]
    assert second.split(",")[5:7] == ["", "0.5"]
    assert "None" not in first


def test_a_csv_without_rows_has_a_header() -> None:
    assert (
        render_csv([])
        == "id,name,label,status,commit,created,started,ended,duration_s,rerun_of"
    )
    assert render_groups_csv([]) == "runs,count,left_out"


def test_the_help_of_list_names_all_columns() -> None:
    for name in OWN:
        assert re.search(rf"\b{name}\b", EPILOG), (
            f"{name} is not in the help of list"
        )
