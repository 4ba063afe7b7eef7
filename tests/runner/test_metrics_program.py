"""The program that reads metrics: sound files, odd files, and files made to harm it."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gitorch.model.run import metrics
from gitorch.runner import metrics_program
from gitorch.runner.metrics_program import (
    Point,
    Unreadable,
    csv_points,
    dvclive_points,
    last_points,
    log_points,
    tensorboard_points,
)
from tests.event_file import event_file, record, scalar, tensor

Points = Callable[..., Iterator[Point]]


@pytest.fixture
def points(tmp_path: Path) -> Callable[..., list[Point]]:
    """Return a function that reads a file with this content."""

    def read(reader: Points, content: bytes, *arguments: Any) -> list[Point]:
        path = tmp_path / "file"
        path.write_bytes(content)
        with path.open("rb") as file:
            return list(reader(file, *arguments))

    return read


def last(found: list[Point]) -> dict[str, float]:
    answer: dict[str, Any] = {"points": {}, "left_out": 0}
    last_points(iter(found), answer)
    return {name: point[0] for name, point in answer["points"].items()}


def test_the_limits_are_those_of_the_record() -> None:
    assert metrics_program.MOST_NAMES == metrics.MOST_NAMES
    assert metrics_program.LONGEST_NAME == metrics.LONGEST_NAME


def test_a_table_has_a_series_for_each_column_of_numbers(points: Any) -> None:
    table = (
        b"epoch,val_loss,lr,name,when\n0,,0.1,a,2026-01-01\n1,0.5,,b,2026-01-02\n"
    )
    assert points(csv_points, table, "epoch") == [
        Point("lr", 0.1, 0),
        Point("val_loss", 0.5, 1),
    ]
    assert last(points(csv_points, table, None)) == {
        "epoch": 1,
        "lr": 0.1,
        "val_loss": 0.5,
    }


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (b"\xef\xbb\xbfa;b\r\n1;2,5\r\n3;4\r\n", {"a": 3, "b": 4}),
        (b'"","x"\n"1",0.5\n', {"x": 0.5}),  # the row names of R
        (b'a\tb\n1\t"2', {"a": 1, "b": 2}),  # an unfinished last row
        (b"a,b\n1\n2,3,4\n", {"a": 2, "b": 3}),
        (b"a\n1_000\n\0\n", {}),
        (b"a\n" + b"9" * 5000, {"a": math.inf}),
        (b"", {}),
        (b"\n\n", {}),
    ],
)
def test_odd_tables(points: Any, table: bytes, found: dict[str, float]) -> None:
    assert last(points(csv_points, table, None)) == found


@pytest.mark.parametrize(
    ("table", "step", "reason"),
    [
        (b"a,b\n1,2\n", "epoch", "it has no column epoch"),
        (b"1,2\n3,4\n", None, "its first line does not name the columns"),
        (
            b"a,b\n" + b"x" * 200_000 + b",1\n",
            None,
            "field larger than field limit",
        ),
    ],
)
def test_tables_that_cannot_be_read(
    points: Any, table: bytes, step: str | None, reason: str
) -> None:
    with pytest.raises(Unreadable, match=reason):
        points(csv_points, table, step)


def test_the_end_of_a_huge_table_counts(
    points: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(metrics_program.LONGEST_READ, "csv", 100)
    rows = b"".join(b"%d,%d\n" % (row, -row) for row in range(1000))
    found = points(csv_points, b"a,b\n" + rows, "a")
    assert found[-1] == Point("b", -999, 999)
    assert len(found) < 20


def test_a_table_of_dvclive(points: Any) -> None:
    table = b"timestamp\tstep\ttrain/loss\n1700000000500\t3\t0.25\n"
    assert points(dvclive_points, table) == [
        Point("train.loss", 0.25, 3, 1700000000.5)
    ]


def test_a_log_is_read_as_it_is_seen(points: Any) -> None:
    log = (
        b"epoch 1 loss: 0.5.\r10%\repoch 2 loss: 0.25, again\n"
        b"\x1b[32mepoch 3\x1b[0m loss: \x1b[1m1e-3\x1b[0m\nloss: none\n\xff\0 loss: nan"
    )
    expression = r"(?:epoch (?P<step>\d+) )?loss: (?P<loss>\S+)"
    *found, at_end = points(log_points, log, expression)
    assert found == [
        Point("loss", 0.5, 1),
        Point("loss", 0.25, 2),
        Point("loss", 0.001, 3),
    ]
    assert math.isnan(at_end.value)


def test_the_scalars_of_event_files(points: Any) -> None:
    in_content = b"\x08\x01\x12\x00\x22\x04" + struct.pack("<f", 0.1)
    in_packed_list = b"\x08\x01\x2a\x04" + struct.pack("<f", 0.3)
    double = b"\x08\x02\x12\x00\x22\x08" + struct.pack("<d", 0.7)
    whole = b"\x08\x09\x12\x00\x52\x01\x05"
    vector = b"\x08\x01\x12\x04\x12\x02\x08\x02\x22\x08" + struct.pack("<ff", 1, 2)
    text = b"\x08\x07\x12\x00\x42\x02hi"
    content = event_file(
        b"\x1a\x0dbrain.Event:2",
        scalar("train/loss", 1 / 3, 200, 5.0),
        bytes(2 << 20),  # too long for scalars
        scalar("nan", math.nan, 1),
        tensor("a", in_content, 1),
        tensor("b", in_packed_list, 1),
        tensor("c", double, 1),
        tensor("d", whole, 1),
        tensor("vector", vector, 1),
        tensor("text", text, 1),
    )
    found = points(tensorboard_points, content)
    assert found[0] == Point("train/loss", 0.33333334, 200, 5.0)
    values = last(found)
    assert math.isnan(values.pop("nan"))
    assert values == {
        "train/loss": 0.33333334,
        "a": 0.1,
        "b": 0.3,
        "c": 0.7,
        "d": 5,
    }


@pytest.mark.parametrize("cut", range(1, 70, 7))
def test_an_event_file_that_ends_in_the_middle(points: Any, cut: int) -> None:
    content = event_file(scalar("a", 1, 1)) + event_file(scalar("a", 2, 2))[:-cut]
    assert [point.value for point in points(tensorboard_points, content)] == [1]


@pytest.mark.parametrize(
    "damaged",
    [
        bytes(100),
        b"\xff" * 100,
        record(b"\x2a\xff\xff\xff"),
        record(b"\x2f"),
        record(b"\x28\x05"),
        record(b"\x12\x01a"),
        record(b"\x2a\x04\x0a\x02\x08\x01"),
        record(b"\xff" * 20),
    ],
)
def test_a_damaged_event_file(points: Any, damaged: bytes) -> None:
    with pytest.raises(Unreadable, match="damaged at byte"):
        points(tensorboard_points, event_file(scalar("a", 1, 1)) + damaged)


def test_names_are_bounded() -> None:
    many = (Point(f"n{number}", number) for number in range(100_000))
    answer: dict[str, Any] = {"points": {}, "left_out": 0}
    last_points(many, answer)
    assert (len(answer["points"]), answer["left_out"]) == (1000, 99_000)


def test_an_expression_that_takes_for_ever_ends(tmp_path: Path) -> None:
    for name, content in (("log", "a" * 5000), ("csv", "a\n1\n")):
        (tmp_path / name).write_text(content)
    requests = []
    descriptors = []
    for name, kind in (("csv", "csv"), ("log", "log"), ("csv", "csv")):
        descriptors.append(os.open(tmp_path / name, os.O_RDONLY))
        requests.append(
            {
                "kind": kind,
                "descriptor": descriptors[-1],
                "pattern": "(?P<x>(a+)+)b",
                "step": None,
            }
        )
    start = (
        "from gitorch.runner import metrics_program as m; m.CPU_S = 0.2; m.main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", start],
        input=json.dumps(requests),
        pass_fds=descriptors,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for descriptor in descriptors:
        os.close(descriptor)
    first, second = map(json.loads, ended.stdout.splitlines())
    assert first["points"] == {"a": [1, None, None]}
    assert second["note"] == "it takes more than 0.2 s to read"


def test_a_file_that_grows_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("x 1\n")
    with path.open("rb") as file, path.open("a") as writer:
        found = []
        for point in log_points(file, r"x (?P<x>\d)"):
            found.append(point.value)
            writer.write("x 2\n")
            writer.flush()
    assert found == [1]
    assert isinstance(file, io.BufferedReader)
