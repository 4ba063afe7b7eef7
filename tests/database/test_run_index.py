"""The index: its answers, and that its file is made anew whenever it cannot be used."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from gitorch.database.connection import DatabaseBroken
from gitorch.database.run_index import FORMAT, RunIndex
from gitorch.database.statements import statements
from gitorch.errors import Busy
from gitorch.model.run.spec import Resources
from gitorch.model.run.status import Status
from gitorch.model.table.row import Complete, Row, TaskRow

FIRST = Row(
    id="abcd11111111",
    name="penguins",
    label="penguins lr=0.1",
    status=Status.COMPLETE,
    commit="c" * 40,
    params={"lr": 0.1, "nested": {"a": [1, None, "x"]}},
    swept=("lr",),
    metrics={"accuracy": 0.9, "bad": None},
    created="2026-01-01T00:00:00.000000Z",
    started="2026-01-01T00:00:01.000Z",
    ended="2026-01-01T00:00:02.000Z",
    duration_s=1.5,
    clone="0123456789ab",
    identity="i1",
)
HELD = replace(
    FIRST,
    id="abcd22222222",
    status=Status.HOLD,
    label="penguins lr=0.2",
    created="2026-01-02T00:00:00.000000Z",
    started=None,
    ended=None,
    duration_s=None,
    identity="i2",
    changed=("tasks.a.b",),
    task_params={"a": {"b": [1]}},
    hold="held by A: why not",
    tasks=(
        TaskRow(id="a", status=Status.COMPLETE),
        TaskRow(
            id="b",
            status=Status.ERROR,
            needs=("a",),
            resources=Resources(gpus=1),
            failure="exit code 1",
        ),
    ),
)
ODD = replace(
    FIRST,
    id="ef0033333333",
    name="caf\udce9\0",
    label="é",
    status=Status.FAILED,
    created="2026-01-03",
    params={
        "file": "caf\udce9",
        "huge": 10**400,
        "infinite": float("inf"),
        "zero": -0.0,
        "integer": 2**64,
    },
)


@pytest.fixture
def index(tmp_path: Path) -> RunIndex:
    return filled(tmp_path / "index.db")


def filled(path: Path | None, *rows: Row) -> RunIndex:
    index = RunIndex(path, home="here")
    with index.updating() as update:
        for row in rows or (HELD, ODD, FIRST):
            update.add(
                row,
                [Complete("a", 2.0, row.created, "key", "here", "train")]
                if row is not ODD
                else [],
            )
        update.set_tip("t" * 40)
    return index


def test_runs_are_returned_newest_first(index: RunIndex) -> None:
    assert index.rows() == [ODD, HELD, FIRST]
    assert index.rows([FIRST.id, HELD.id, "not there"]) == [HELD, FIRST]
    assert index.live_rows() == [HELD]
    assert index.counts() == {Status.COMPLETE: 1, Status.HOLD: 1, Status.FAILED: 1}
    assert index.names() == [ODD.name, "penguins"]
    assert index.tip() == "t" * 40


def test_runs_are_found_by_id_label_and_name(index: RunIndex) -> None:
    assert [index.newest(back) for back in (0, 1, 2, 3, 1 << 80)] == [
        ODD.id,
        HELD.id,
        FIRST.id,
        None,
        None,
    ]
    for name, run in (
        (FIRST.id, FIRST),
        ("penguins", HELD),
        (ODD.name, ODD),
    ):
        assert index.called(name) == run.id
    assert index.called("whales") is None
    assert index.called(FIRST.label) is None
    for run in (FIRST, ODD):
        [labelled] = index.all_labelled(run.label)
        assert (labelled.id, labelled.identity) == (run.id, run.identity)
    assert [run.id for run in index.beginning("abcd")] == [HELD.id, FIRST.id]
    assert index.beginning("abcde") == []


def test_runs_are_found_by_identity_and_tasks_by_key(index: RunIndex) -> None:
    assert index.by_identity() == {
        "i1": (FIRST.id, Status.COMPLETE, FIRST.label),
        "i2": (HELD.id, Status.HOLD, HELD.label),
    }
    assert index.by_identity(["i2", "i3"]) == {
        "i2": (HELD.id, Status.HOLD, HELD.label)
    }
    earlier = index.durations("train", 9)
    assert [(each.seconds, each.host) for each in earlier] == [(2.0, "here")] * 2
    assert earlier[0].params["lr"] == HELD.params["lr"]
    assert len(index.durations("train", 1)) == 1
    assert index.durations("other", 9) == []
    assert index.computed("key") == [(HELD.id, "a"), (FIRST.id, "a")]
    assert index.computed("other") == []
    assert index.computed_like("penguins", "a") == (HELD.id, FIRST.id)


def test_the_newest_run_of_an_identity_is_returned(tmp_path: Path) -> None:
    again = replace(HELD, identity=FIRST.identity)
    index = filled(tmp_path / "index.db", again, FIRST)
    assert index.by_identity() == {"i1": (again.id, Status.HOLD, again.label)}


def test_a_run_can_be_replaced_and_is_forgotten_with_its_tasks(
    index: RunIndex,
) -> None:
    with index.updating() as update:
        assert update.tip == "t" * 40
        update.forget(FIRST.id)
        update.add(replace(FIRST, metrics={}), [])
        update.forget(HELD.id)
        update.set_tip(None)
    assert index.rows() == [ODD, replace(FIRST, metrics={})]
    assert index.computed("key") == []
    assert index.tip() is None
    with index.updating() as update:
        update.forget_all()
    assert index.rows() == []


def test_an_update_takes_effect_as_a_whole(index: RunIndex) -> None:
    with pytest.raises(ZeroDivisionError), index.updating() as update:  # noqa: PT012
        update.forget_all()
        update.set_tip(str(1 / 0))
    assert len(index.rows()) == 3
    assert index.tip() == "t" * 40


def test_questions_about_few_runs_do_not_scan_the_tables(
    index: RunIndex, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "index.db") as connection:
        for name in (
            "rows_of",
            "newest",
            "called",
            "all_labelled",
            "beginning",
            "computed",
            "computed_like",
            "durations",
            "counts_since",
        ):
            values = dict.fromkeys(
                (
                    "ids",
                    "back",
                    "id",
                    "name",
                    "label",
                    "prefix",
                    "key",
                    "task",
                    "kind",
                    "most",
                    "since",
                ),
                "[]",
            )
            plan = connection.execute(
                f"EXPLAIN QUERY PLAN {statements(FORMAT.statements)[name]}", values
            ).fetchall()
            scans = [
                step[-1]
                for step in plan
                if step[-1].startswith(("SCAN runs", "SCAN complete_tasks"))
            ]
            assert all("USING" in scan for scan in scans), (name, scans)
    connection.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"not a database at all" * 1000),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: sql(path, f"PRAGMA user_version = {FORMAT.version + 1}"),
        lambda path: sql(path, "DROP TABLE meta"),
        lambda path: sql(
            path, "UPDATE meta SET value = 'elsewhere' WHERE key = 'home'"
        ),
    ],
)
def test_a_file_that_is_not_a_current_index_is_made_anew(
    tmp_path: Path, spoil: object
) -> None:
    path = tmp_path / "index.db"
    filled(path).close()
    assert callable(spoil)
    spoil(path)
    assert RunIndex(path, home="here").tip() is None
    assert filled(path).rows() == [ODD, HELD, FIRST], (
        "the new file can be written to"
    )
    assert RunIndex(path, home="here").tip() == "t" * 40


def sql(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


def test_damage_that_is_found_later_is_an_error_that_renew_repairs(
    tmp_path: Path,
) -> None:
    path = tmp_path / "index.db"
    filled(
        path, *(replace(FIRST, id=f"{number:012x}") for number in range(500))
    ).close()
    data = bytearray(path.read_bytes())
    data[3 * 4096 :] = os.urandom(len(data) - 3 * 4096)
    path.write_bytes(data)
    index = RunIndex(path, home="here")
    with pytest.raises(DatabaseBroken):
        index.rows(), index.called("penguins")
    index.renew()
    assert index.rows() == []
    assert RunIndex(path, home="here").rows() == []


def test_an_index_that_cannot_be_written_is_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "index.db").mkdir()
    for path in (None, tmp_path / "file" / "index.db", tmp_path / "index.db"):
        assert filled(path).rows() == [ODD, HELD, FIRST]


def test_moving_to_memory_leaves_the_file_alone(tmp_path: Path) -> None:
    index = filled(tmp_path / "index.db")
    index.move_to_memory()
    assert index.rows() == []
    assert len(RunIndex(tmp_path / "index.db", home="here").rows()) == 3


def test_a_connection_to_a_deleted_file_still_answers(tmp_path: Path) -> None:
    one = filled(tmp_path / "index.db")
    other = RunIndex(tmp_path / "index.db", home="here")
    other.renew()
    assert len(one.rows()) == 3
    assert other.rows() == []


def test_threads_share_a_connection(index: RunIndex) -> None:
    answers = []

    def ask() -> None:
        for _ in range(50):
            with index.snapshot():
                answers.append((len(index.rows()), index.counts()[Status.HOLD]))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(3, 1)] * 200


def add_one(path: Path, number: int) -> None:
    index = RunIndex(path, home="here")
    with index.updating() as update:
        count = int(update.tip or 0)
        update.add(replace(FIRST, id=f"{number:012x}"), [])
        update.set_tip(str(count + 1))


def test_processes_update_the_file_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.starmap(add_one, [(path, number) for number in range(20)])
    index = RunIndex(path, home="here")
    assert (len(index.rows()), index.tip()) == (20, "20")


def test_a_lock_is_reported_as_busy(index: RunIndex, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "index.db", timeout=0, isolation_level=None)
    with index.updating(), pytest.raises(Busy), FORMAT.translated(None):
        other.execute("BEGIN IMMEDIATE")
    other.close()
