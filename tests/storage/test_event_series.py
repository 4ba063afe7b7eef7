"""The events of an attempt as series, read at once or piece by piece."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gitorch.model.workspace import AttemptDirectory
from gitorch.storage.event_series import EventSeries, LiveEvents
from gitorch.storage.events import LONGEST_EVENT


def event(name: object, value: object, **more: object) -> bytes:
    return json.dumps({"metric": name, "value": value, **more}).encode() + b"\n"


@pytest.fixture
def attempt(tmp_path: Path) -> AttemptDirectory:
    directory = AttemptDirectory(tmp_path / "run" / "log" / "t" / "1")
    directory.path.mkdir(parents=True)
    return directory


ODD = (
    event("loss", 1.0, step=5, time=10.5)
    + b'{"progress": [1, 2]}\n\n[1]\nnull\n\xff\xfe\n'
    + event(3, 1)
    + event("loss", "high")
    + event("loss", True)
    + event("loss", float("nan"), step=2)
    + b'{"metric": "loss", "value": 1e999}\n'
    + event("loss", 10**400, step="x")
    + b"[" * 100_000
    + b"\n"
    + event("acc", 1 << 62, step=-1)
    + event("loss", 3, step=2.5)
    + b'{"metric": "loss", "value": 4'
)


@pytest.mark.parametrize("piece", [1 << 20, 999, 3])
def test_odd_lines_cost_only_themselves(piece: int) -> None:
    """NaN, a string and a bool are in lines of their own, and the last line has no end."""
    read = EventSeries(None)
    for start in range(0, len(ODD), piece):
        read.add(ODD[start : start + piece])
    read.end()
    loss, acc = read.series["loss"], read.series["acc"]
    assert loss.values == (1.0, None, None, None, 3)
    assert loss.steps == (5, 2, None, None, 2.5)
    assert loss.times == (10.5, None, None, None, None)
    assert (acc.values, acc.steps) == ((1 << 62,), (-1,))
    assert set(read.series) == {"loss", "acc"}


def test_a_line_without_end_needs_little_memory() -> None:
    read = EventSeries(None)
    for _ in range(5):
        read.add(b"x" * LONGEST_EVENT)
        assert len(read._line) <= LONGEST_EVENT
    read.add(b'"}\n' + event("loss", 1))
    assert read.series["loss"].values == (1,)


def test_what_is_added_is_read_once(attempt: AttemptDirectory) -> None:
    live = LiveEvents(attempt, 100)
    assert not live.update()
    with attempt.events.open("wb", buffering=0) as file:
        file.write(event("loss", 1) + event("loss", 2)[:-9])
        assert live.update()
        assert live.read.series["loss"].values == (1,)
        assert not live.update()
        file.write(event("loss", 2)[-9:])
        assert live.update()
        assert live.read.series["loss"].values == (1, 2)
    attempt.events.write_bytes(event("other", 7))  # the file was cut
    assert live.update()
    assert set(live.read.series) == {"other"}
    attempt.events.unlink()
    attempt.events.symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="link"):
        live.update()


def test_an_impatient_reader_goes_on_where_it_stopped(
    attempt: AttemptDirectory,
) -> None:
    lines = b"".join(event("loss", number, step=number) for number in range(60_000))
    attempt.events.write_bytes(lines)
    live = LiveEvents(attempt, 100, patience=0.0)
    totals = []
    while live.update():
        totals.append(live.read.series["loss"].total)
    assert len(totals) > 1
    assert totals == sorted(totals)
    assert totals[-1] == 60_000
    assert not live.is_behind
