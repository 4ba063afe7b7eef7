"""Many runs, and groups of runs, as text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec.structs import replace

from gitorch.actions.listing import Listing
from gitorch.actions.listing_csv import render_csv, render_groups_csv
from gitorch.cli.commands.list_runs import EPILOG
from gitorch.cli.group_table import render_groups
from gitorch.cli.listing import render_list
from gitorch.model.run.status import Status
from gitorch.model.table.fields import OWN
from gitorch.model.table.groups import Group, grouped
from gitorch.model.table.row import Row
from tests.model.table.sample import ROW


def table_of(
    rows: Sequence[Row], *, all_columns: bool = False, colors: bool = False
) -> str:
    listed = Listing(runs=tuple(rows), peers=tuple(rows))
    return render_list(listed, width=None, all_columns=all_columns, colors=colors)


def table_of_groups(groups: Sequence[Group]) -> str:
    listed = Listing(runs=(), groups=tuple(groups), aggregates=("mean", "count"))
    return render_groups(listed, width=None, all_columns=False, colors=False)


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
    table = table_of(rows)
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
    table = table_of(rows, colors=True)
    assert table.count("\n") == 2, "a header and two runs"
    assert "two\\nlines" in table
    assert "\x1b[31mtwo" not in table
    assert "false" in table, "false and 0 differ"


def test_all_columns_includes_those_in_which_no_run_differs() -> None:
    row = replace(ROW, params={"lr": 0.1}, swept=())
    rows = [row, row]
    header, *_, last = table_of(rows).splitlines()
    assert "lr" not in header
    assert (
        last
        == "the same in all: lr=0.1 accuracy=0.95 test.f1=0.5 bad=null commit=cccccccccc"
    )
    assert "lr" in table_of(rows, all_columns=True).splitlines()[0]


def test_a_group_says_how_many_of_its_runs_have_a_value() -> None:
    first = replace(ROW, params={"lr": 0.1}, identity="a")
    rows = [
        replace(first, metrics={"loss": 1.0, "f1": 0.5}),
        replace(first, identity="b", metrics={"loss": 2.0}),
        replace(first, metrics={"loss": 3.0}, status=Status.ERROR),
    ]
    groups = grouped(rows, [("params", "lr")], ["mean", "count"])
    assert table_of_groups(groups).splitlines() == [
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
    assert table_of_groups(groups).splitlines() == [
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
    header, first, second = render_csv(Listing(runs=tuple(rows))).splitlines()
    assert header.split(",")[5:8] == ["params.lr", "metrics.loss", "created"]
    assert first.split(",")[5:7] == ["0.1", ""]
    assert second.split(",")[5:7] == ["", "0.5"]
    assert "None" not in first


def test_a_csv_without_rows_has_a_header() -> None:
    assert (
        render_csv(Listing(runs=()))
        == "id,name,label,status,commit,created,started,ended,duration_s,rerun_of,verified,invalid"
    )
    assert render_groups_csv([]) == "runs,count,left_out"


def test_the_help_of_list_names_all_columns() -> None:
    for name in OWN:
        assert re.search(rf"\b{name}\b", EPILOG), (
            f"{name} is not in the help of list"
        )
