"""The queue: which tasks can be claimed, and how attempts, crashes and old files end."""

from __future__ import annotations

import json
import multiprocessing
import re
import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from gitorch.database import queue_file
from gitorch.database.connection import DatabaseBroken
from gitorch.database.queue_file import FORMAT
from gitorch.database.run_queue import Queue
from gitorch.database.statements import script, statements
from gitorch.database.values import (
    AttemptEnd,
    Claim,
    Errored,
    Held,
    NewRun,
    NewTask,
    Running,
    Waiting,
    Worker,
)
from gitorch.errors import Busy, Refused
from gitorch.model.run.outcome import ExitCode, Succeeded
from gitorch.model.run.status import QUEUED, Status

FAILED = ExitCode(exit_code=1)
DONE = Succeeded()


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    queue = Queue.open(tmp_path / "queue.db", home="here")
    queue.register(worker("w"))
    return queue


def worker(name: str) -> Worker:
    return Worker(
        id=name,
        host="host",
        pid=1,
        boot="boot",
        process_start="1",
        since="2026-01-01T00:00:00.000Z",
    )


def new_run(name: str, *tasks: NewTask) -> NewRun:
    return NewRun(
        id=name, payload={"name": name}, tasks=tasks or (NewTask(id="t", needs=()),)
    )


def chain(name: str) -> NewRun:
    """Return a run whose task `b` needs its task `a`."""
    return new_run(name, NewTask(id="a", needs=()), NewTask(id="b", needs=("a",)))


def held_run(name: str) -> NewRun:
    return replace(
        new_run(name, NewTask(id="t", needs=(), status=Status.HOLD)), held=True
    )


def end(
    queue: Queue,
    run_id: str,
    task: str,
    token: str,
    status: Status = Status.COMPLETE,
) -> list[AttemptEnd]:
    """End an attempt. Return it if it was the current one."""
    outcome = DONE if status is Status.COMPLETE else FAILED
    return queue.finish(
        [
            AttemptEnd(
                run=run_id, task=task, token=token, status=status, outcome=outcome
            )
        ]
    )


def test_tasks_are_claimed_in_order_of_arrival_after_the_tasks_that_they_need(
    queue: Queue,
) -> None:
    queue.bring([chain("one"), chain("two")])
    claims = [queue.claim("w", f"token{n}", now="now") for n in range(3)]
    assert [(claim.run, claim.task) for claim in claims if claim] == [
        ("one", "a"),
        ("two", "a"),
    ]
    assert claims[2] is None
    end(queue, "one", "a", "token0")
    claim = queue.claim("w", "token3", now="now")
    assert claim is not None
    assert (claim.run, claim.task, claim.number, claim.payload) == (
        "one",
        "b",
        1,
        {"name": "one"},
    )


def test_a_run_that_has_begun_is_claimed_first(
    queue: Queue,
) -> None:
    queue.bring([chain("one"), chain("two"), chain("three")])
    claimed(queue, "1")
    claimed(queue, "2")
    end(queue, "two", "a", "2")
    assert (claim := claimed(queue, "3")).run == "two"
    assert claim.task == "b"
    urgent = NewTask(id="t", needs=(), priority=1)
    queue.bring([new_run("urgent", urgent)])
    end(queue, "one", "a", "1")
    assert claimed(queue, "4").run == "urgent"
    assert claimed(queue, "5").run == "one"


def test_a_run_whose_claim_is_given_back_has_not_begun(queue: Queue) -> None:
    queue.bring([new_run("one"), new_run("two")])
    first = claimed(queue, "1")
    second = claimed(queue, "2")
    assert (first.is_first, second.is_first) == (True, True)
    queue.give_back(second)
    queue.give_back(first)
    assert claimed(queue, "3").run == "one"


def test_a_run_that_had_begun_goes_on_first_after_the_queue_was_made_anew(
    queue: Queue,
) -> None:
    queue.bring([new_run("one"), replace(new_run("two"), begun=True)])
    assert claimed(queue, "1").run == "two"
    assert queue.claim("w", "2", now="now", above=0) is None


def test_tasks_of_engines_without_a_free_slot_are_not_claimed(queue: Queue) -> None:
    def run(name: str, engine: str | None) -> NewRun:
        payload = {"spec": {"tasks": [{"id": "t", "engine": engine}]}}
        return replace(new_run(name), payload=payload)

    queue.bring([run("one", None), run("two", "slurm"), new_run("three")])
    assert queue.engines() == ["slurm"]
    assert queue.engines(["one", "three"]) == []
    claim = queue.claim("w", "1", now="now", full=["local", ""])
    assert claim is not None
    assert claim.run == "two"
    assert queue.claim("w", "2", now="now", full=["local", ""]) is None
    assert claimed(queue, "3").run == "one"


def test_a_run_leaves_the_queue_with_its_last_task(queue: Queue) -> None:
    queue.bring([new_run("one")])
    queue.claim("w", "token", now="now")
    end(queue, "one", "t", "token")
    assert queue.runs() == []


def test_the_tasks_that_need_a_failed_task_wait(queue: Queue) -> None:
    queue.bring([chain("one")])
    queue.claim("w", "token", now="now")
    end(queue, "one", "a", "token", Status.ERROR)
    assert queue.claim("w", "next", now="now") is None
    [queued] = queue.runs()
    assert [(task.id, task.status) for task in queued.tasks] == [
        ("a", Status.ERROR),
        ("b", Status.WAITING),
    ]
    assert queued.tasks[0].state == Errored(outcome=FAILED)
    assert queued.worker is None, "none of its tasks can be claimed"
    queue.bring([chain("one")])
    again = queue.claim("w", "next", now="now")
    assert again is not None
    assert (again.task, again.number) == ("a", 2)


def test_an_attempt_with_an_old_token_changes_nothing(queue: Queue) -> None:
    queue.bring([new_run("one")])
    queue.claim("w", "first", now="now")
    end(queue, "one", "t", "first", Status.WAITING)
    queue.claim("w", "second", now="now")
    assert end(queue, "one", "t", "first") == []
    assert queue.is_current("one", "t", "second")
    assert not queue.is_current("one", "t", "first")


def test_a_claim_that_is_given_back_leaves_no_trace(queue: Queue) -> None:
    names = ("one", "two", "three")
    queue.bring([new_run(name) for name in names])
    claims = [
        queue.claim("w", f"token of {name}", now="now", only=[name])
        for name in names
    ]
    queue.bring([held_run("two")])
    queue.request_kill(["three"])
    for claim in filter(None, claims):
        queue.give_back(replace(claim, token="another"))
        assert claim.run == "three" or queue.is_current(
            claim.run, claim.task, claim.token
        )
        queue.give_back(claim)
    tasks = {
        run.id: [(task.state, task.attempts) for task in run.tasks]
        for run in queue.runs()
    }
    assert tasks == {
        "one": [(Waiting(), 0)],
        "two": [(Held(), 0)],
        "three": [],
    }
    assert [run.worker for run in queue.runs()] == [None, None, "w"]


def test_a_claim_ahead_skips_runs_with_a_running_task(queue: Queue) -> None:
    queue.bring(
        [
            new_run("one", NewTask(id="a", needs=()), NewTask(id="b", needs=())),
            new_run("two"),
        ]
    )
    claims = [
        queue.claim("w", f"token{n}", now="now", ahead=n > 0) for n in range(3)
    ]
    assert [claim and (claim.run, claim.task) for claim in claims] == [
        ("one", "a"),
        ("two", "t"),
        None,
    ]


def test_claims_can_be_restricted_to_some_runs(queue: Queue) -> None:
    queue.bring([new_run("one"), new_run("two")])
    claim = queue.claim("w", "token", now="now", only=["two"])
    assert claim is not None
    assert claim.run == "two"
    assert queue.claim("w", "token2", now="now", only=["two"]) is None
    assert (queue.claimable(), queue.claimable(["two"])) == (1, 0)


def test_bring_adds_tasks_that_had_left_the_queue(queue: Queue) -> None:
    queue.bring([chain("one"), new_run("two")])
    queue.claim("w", "first", now="now", only=["one"])
    end(queue, "one", "a", "first")
    queue.claim("w", "second", now="now", only=["one"])
    end(queue, "one", "b", "second", Status.ERROR)
    again = new_run(
        "one", NewTask(id="a", needs=(), attempts=1), NewTask(id="b", needs=("a",))
    )
    queue.bring([replace(again, payload={"name": "other"})])
    assert [
        (task.id, task.status, task.attempts) for task in queue.runs()[0].tasks
    ] == [
        ("a", Status.WAITING, 1),
        ("b", Status.WAITING, 1),
    ]
    claim = queue.claim("w", "third", now="now")
    assert claim is not None
    assert (claim.run, claim.task, claim.number, claim.payload) == (
        "one",
        "a",
        2,
        {"name": "other"},
    ), "the run keeps its place in the order"
    assert queue.claim("w", "fourth", now="now", only=["one"]) is None, (
        "b needs a again"
    )


def test_bring_does_not_change_running_tasks(queue: Queue) -> None:
    queue.bring(
        [new_run("one", NewTask(id="a", needs=()), NewTask(id="b", needs=()))]
    )
    queue.claim("w", "token", now="now")
    on_hold = NewTask(id="b", needs=(), status=Status.HOLD)
    queue.bring(
        [replace(new_run("one", on_hold), payload={"name": "other"}, held=True)]
    )
    [queued] = queue.runs()
    assert [(task.id, task.status) for task in queued.tasks] == [
        ("a", Status.RUNNING),
        ("b", Status.HOLD),
    ]
    assert queued.held
    assert queue.payload("one") == {"name": "one"}, (
        "the payload of the running attempt"
    )
    assert len(end(queue, "one", "a", "token")) == 1
    queue.bring([NewRun(id="one", payload={}, tasks=())])
    assert queue.runs() == []


def test_a_held_run_keeps_the_backoff_and_retries_of_its_tasks(
    queue: Queue,
) -> None:
    queue.bring([new_run("one")])
    queue.claim("w", "token", now="now")
    backoff = AttemptEnd(
        run="one",
        task="t",
        token="token",
        status=Status.WAITING,
        outcome=FAILED,
        retries=2,
        not_before="later",
        ended="before",
    )
    queue.finish([backoff])
    queue.bring([held_run("one")])
    assert queue.claim("w", "early", now="latest") is None, "the run is held"
    assert queue.runs()[0].worker is None, "a held run is unassigned"
    queue.bring([new_run("one")])
    assert queue.claim("w", "early", now="early") is None, "the backoff is not over"
    claim = queue.claim("w", "again", now="latest")
    assert claim is not None
    assert claim.retries == 2


def test_bring_can_be_repeated(queue: Queue) -> None:
    queue.bring([chain("one")])
    queue.claim("w", "token", now="now")
    before = queue.runs()
    queue.bring([chain("one")])
    assert queue.runs() == before


def test_the_next_runs_are_returned_in_order_each_once(queue: Queue) -> None:
    queue.bring(
        [
            new_run("one", NewTask(id="a", needs=()), NewTask(id="b", needs=())),
            new_run("two"),
            new_run("three"),
        ]
    )
    assert queue.next_runs(2) == ["one", "two"]
    queue.claim("w", "token", now="now")
    assert queue.next_runs(8) == ["two", "three"]


def test_the_runs_of_an_unregistered_worker_are_unassigned(queue: Queue) -> None:
    queue.bring([chain("one")])
    queue.claim("w", "token", now="now")
    assert [claim.task for claim in queue.running_of("w")] == ["a"]
    queue.unregister("w")
    assert queue.runs()[0].worker is None


def test_the_latest_time_is_kept_as_soon_as_it_is_known(queue: Queue) -> None:
    queue.bring([], latest="2026-01-02")
    assert queue.meta("latest") is None
    queue.begin_latest("2026-01-03")
    for time in ("2026-01-04", "2026-01-01", None):
        queue.bring([], latest=time)
    assert queue.meta("latest") == "2026-01-04"


def test_the_tip_advances_only_without_a_gap(queue: Queue) -> None:
    queue.bring([], tip=(None, "c0"))
    queue.bring([], tip=("c0", "c1"))
    queue.bring([], tip=("c2", "c3"))
    assert queue.meta("tip") == "c1"


def test_in_a_copy_of_the_repository_no_task_is_running(
    queue: Queue, tmp_path: Path
) -> None:
    queue.bring([new_run("one")])
    queue.claim("w", "token", now="now")
    queue.close()
    copy = Queue.open(tmp_path / "queue.db", home="elsewhere")
    assert copy.is_copy()
    assert copy.running_of("w") != [], "to open the file changes nothing"
    copy.void_copied(alive=[])
    assert copy.workers() == []
    assert copy.runs()[0].tasks[0].status is Status.WAITING
    assert not copy.is_copy()


def test_a_copy_keeps_the_tasks_of_living_workers(queue: Queue) -> None:
    queue.register(worker("v"))
    queue.bring([new_run("one"), new_run("two")])
    queue.claim("v", "token", now="now")
    queue.claim("w", "other", now="now")
    queue.void_copied(alive=["v"])
    assert [claim.run for claim in queue.running_of("v")] == ["one"]
    assert [found.id for found in queue.workers()] == ["v"]


@pytest.mark.parametrize(
    ("home", "is_copy"),
    [
        ("other.example.org:64:1234", False),
        ("host:64:1235", True),
        ("host:65:1234", True),
    ],
)
def test_another_name_of_the_host_is_not_a_copy(
    tmp_path: Path, home: str, is_copy: bool
) -> None:
    Queue.open(tmp_path / "queue.db", home="host:64:1234").close()
    assert Queue.open(tmp_path / "queue.db", home=home).is_copy() is is_copy


def test_the_wal_of_a_removed_file_is_not_that_of_the_new_one(
    queue: Queue, tmp_path: Path
) -> None:
    """A program that still has the removed file open must not write into the new one."""
    queue.bring([new_run("one")])
    (tmp_path / "queue.db").unlink()
    assert queue.is_replaced()
    new = Queue.open(tmp_path / "queue.db", home="here")
    new.bring([new_run("two")])
    queue.bring([new_run("three")])
    assert [run.id for run in new.runs()] == ["two"]
    queue.reopen()
    assert not queue.is_replaced()
    assert [run.id for run in queue.runs()] == ["two"]


def test_an_attempt_of_a_lost_file_is_entered_with_its_worker(queue: Queue) -> None:
    queue.bring([chain("one")])
    claim = queue.claim("w", "lost", now="now")
    assert claim is not None
    queue.give_back(claim)
    queue.entrust(worker("v"), claim)
    assert queue.is_current("one", "a", "lost")
    assert queue.claim("w", "other", now="now") is None
    assert [found.attempts for found in queue.runs()[0].tasks] == [1, 0]
    assert end(queue, "one", "a", "lost") != []


def test_the_number_of_attempts_never_falls_behind_the_record(queue: Queue) -> None:
    """An older queue.db must not number an attempt like one that the record has."""
    queue.bring([new_run("one")])
    queue.bring([new_run("one", NewTask(id="t", needs=(), attempts=2))])
    queue.bring([new_run("one", NewTask(id="t", needs=(), attempts=1))])
    claim = queue.claim("w", "token", now="now")
    assert claim is not None
    assert claim.number == 3


def test_a_file_of_a_newer_format_is_refused(queue: Queue, tmp_path: Path) -> None:
    queue.close()
    with sqlite3.connect(tmp_path / "queue.db") as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(Refused, match="newer gitorch"):
        Queue.open(tmp_path / "queue.db", home="here")


def test_the_error_about_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(DatabaseBroken, match="damaged") as caught:
        Queue.open(tmp_path / "queue.db", home="here")
    assert "results are safe" in (caught.value.hint or "")


def test_a_lock_that_is_held_too_long_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_file, "FORMAT", FORMAT._replace(timeout_s=0.1))
    queue = Queue.open(tmp_path / "queue.db", home="here")
    with sqlite3.connect(tmp_path / "queue.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy, match="locked"):
            queue.bring([new_run("one")])
        assert queue.runs() == [], "the queue can still be read"


def _claim_all(
    path: Path, name: str, results: multiprocessing.Queue[list[str]]
) -> None:
    queue = Queue.open(path, home="here")
    queue.register(worker(name))
    claimed = []
    while claim := queue.claim(name, f"{name}{len(claimed)}", now="now"):
        claimed.append(claim.run)
        end(queue, claim.run, claim.task, claim.token)
    results.put(claimed)


def test_many_processes_claim_each_task_once(tmp_path: Path) -> None:
    queue = Queue.open(tmp_path / "queue.db", home="here")
    names = [f"run{number:03}" for number in range(100)]
    queue.bring([new_run(name) for name in names])
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[list[str]] = context.Queue()
    processes = [
        context.Process(
            target=_claim_all, args=(tmp_path / "queue.db", f"w{n}", results)
        )
        for n in range(4)
    ]
    for process in processes:
        process.start()
    claimed = [name for _ in processes for name in results.get(timeout=60)]
    for process in processes:
        process.join()
    assert sorted(claimed) == names


def test_the_schema_and_the_model_have_the_same_statuses() -> None:
    check = re.search(r"status IN \(([^)]*)\)", script("queue_schema.sql"))
    assert check is not None
    assert set(json.loads(f"[{check[1]}]".replace("'", '"'))) == {
        str(status) for status in QUEUED
    }


def test_every_statement_is_explained_and_used() -> None:
    database = Path(__file__).parents[2] / "gitorch/database"
    source = ""
    for name in ("run_queue.py", "queued_tasks.py"):
        source += (database / name).read_text()
    named = statements(FORMAT.statements)
    assert [name for name in named if f'"{name}"' not in source] == [], "unused"
    assert [
        name for name, sql in named.items() if not sql.startswith("-- ")
    ] == [], "unexplained"


@pytest.mark.parametrize("version", range(1, FORMAT.version))
def test_a_file_of_an_earlier_format_is_upgraded(
    tmp_path: Path, version: int
) -> None:
    with sqlite3.connect(tmp_path / "old.db") as database:
        database.executescript(
            Path(__file__).with_name(f"format-{version}.sql").read_text()
        )
    old = Queue.open(tmp_path / "old.db", home="here")
    Queue.open(tmp_path / "new.db", home="here")
    assert _structure(tmp_path / "old.db") == _structure(tmp_path / "new.db")
    [one] = old.runs()
    running = Running(token="token", worker="w", started="then")
    assert [(task.id, task.priority, task.state) for task in one.tasks] == [
        ("a", 5, running),
        ("b", 5, Waiting()),
    ]
    end(old, "one", "a", "token")
    claim = old.claim("w", "next", now="now")
    assert claim is not None
    assert (claim.task, claim.payload) == ("b", {"spec": "one"})


def _structure(path: Path) -> tuple[set[tuple[str, ...]], set[tuple[str, str]]]:
    with sqlite3.connect(path) as database:
        tables = [
            name
            for (name,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            )
        ]
        columns = {
            (name, *map(str, row))
            for name in tables
            for _, *row in database.execute(f"PRAGMA table_info({name})")
        }
        others = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type != 'table' AND sql IS NOT NULL"
        )
        return columns, set(others)


def test_setting_the_clock_back_does_not_make_a_backoff_longer(
    queue: Queue,
) -> None:
    queue.bring([new_run("one")])
    claim = queue.claim("w", "token", now="2026-01-01T12:00:00.000Z")
    assert claim is not None
    waiting = AttemptEnd(
        run="one",
        task=claim.task,
        token="token",
        status=Status.WAITING,
        outcome=ExitCode(exit_code=1),
        ended="2026-01-01T12:00:01.000Z",
        not_before="2026-01-01T12:00:31.000Z",
    )
    queue.finish([waiting])
    assert queue.claim("w", "early", now="2026-01-01T12:00:30.000Z") is None
    assert queue.claim("w", "set back", now="2026-01-01T09:00:02.000Z") is not None


def claimed(queue: Queue, token: str, worker: str = "w") -> Claim:
    claim = queue.claim(worker, token, now="now")
    assert claim is not None
    return claim


def next_claimable(queue: Queue) -> str | None:
    """Return the run that would be claimed next."""
    claim = queue.claim("w", "next", now="now")
    if claim:
        queue.give_back(claim)
    return claim and claim.run
