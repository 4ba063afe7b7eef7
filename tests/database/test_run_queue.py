"""The queue: what can be claimed, by whom, and what survives."""

from __future__ import annotations

import json
import multiprocessing
import re
import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from gitorch.database import run_queue
from gitorch.database.connection import DatabaseBroken
from gitorch.database.run_queue import FORMAT, Queue
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


def run(name: str, *tasks: NewTask) -> NewRun:
    return NewRun(id=name, payload={"name": name}, tasks=tasks or (NewTask(id="t", needs=()),))


def chain(name: str) -> NewRun:
    return run(name, NewTask(id="a", needs=()), NewTask(id="b", needs=("a",)))


def held(name: str) -> NewRun:
    return replace(run(name, NewTask(id="t", needs=(), status=Status.HOLD)), held=True)


def end(
    queue: Queue, run: str, task: str, token: str, status: Status = Status.COMPLETE
) -> list[AttemptEnd]:
    outcome = DONE if status is Status.COMPLETE else FAILED
    return queue.finish(
        [AttemptEnd(run=run, task=task, token=token, status=status, outcome=outcome)]
    )


def test_first_in_first_out_and_a_task_after_what_it_needs(queue: Queue) -> None:
    queue.bring([chain("one"), chain("two")])
    claims = [queue.claim("w", f"token{n}", now="now") for n in range(3)]
    assert [(claim.run, claim.task) for claim in claims if claim] == [("one", "a"), ("two", "a")]
    assert claims[2] is None
    end(queue, "one", "a", "token0")
    claim = queue.claim("w", "token3", now="now")
    assert claim is not None
    assert (claim.run, claim.task, claim.number, claim.payload) == ("one", "b", 1, {"name": "one"})


def test_a_run_leaves_with_its_last_task(queue: Queue) -> None:
    queue.bring([run("one")])
    queue.claim("w", "token", now="now")
    end(queue, "one", "t", "token")
    assert queue.runs() == []


def test_a_failed_task_keeps_what_needs_it_waiting(queue: Queue) -> None:
    queue.bring([chain("one")])
    queue.claim("w", "token", now="now")
    end(queue, "one", "a", "token", Status.ERROR)
    assert queue.claim("w", "next", now="now") is None
    [left] = queue.runs()
    assert [(task.id, task.status) for task in left.tasks] == [
        ("a", Status.ERROR),
        ("b", Status.WAITING),
    ]
    assert left.tasks[0].state == Errored(outcome=FAILED)
    assert left.worker is None, "nothing of it can go on: it is in nobody's hands"
    queue.bring([chain("one")])
    again = queue.claim("w", "next", now="now")
    assert again is not None
    assert (again.task, again.number) == ("a", 2)


def test_who_does_not_bear_the_current_token_changes_nothing(queue: Queue) -> None:
    queue.bring([run("one")])
    queue.claim("w", "first", now="now")
    end(queue, "one", "t", "first", Status.WAITING)
    queue.claim("w", "second", now="now")
    assert end(queue, "one", "t", "first") == []
    assert queue.is_current("one", "t", "second")
    assert not queue.is_current("one", "t", "first")


def test_what_is_given_back_unbegun_was_never_claimed(queue: Queue) -> None:
    names = ("one", "two", "three")
    queue.bring([run(name) for name in names])
    claims = [queue.claim("w", f"token of {name}", now="now", only=[name]) for name in names]
    queue.bring([held("two")])
    queue.request_kill(["three"])
    for claim in filter(None, claims):
        queue.give_back(replace(claim, token="another"))
        assert claim.run == "three" or queue.is_current(claim.run, claim.task, claim.token)
        queue.give_back(claim)
    found = {run.id: [(task.state, task.attempts) for task in run.tasks] for run in queue.runs()}
    assert found == {
        "one": [(Waiting(), 0)],
        "two": [(Held(), 0)],
        "three": [],
    }
    assert [run.worker for run in queue.runs()] == [None, None, "w"]


def test_ahead_nothing_is_claimed_beside_what_runs(queue: Queue) -> None:
    queue.bring([run("one", NewTask(id="a", needs=()), NewTask(id="b", needs=())), run("two")])
    claims = [queue.claim("w", f"token{n}", now="now", ahead=n > 0) for n in range(3)]
    assert [claim and (claim.run, claim.task) for claim in claims] == [
        ("one", "a"),
        ("two", "t"),
        None,
    ]


def test_only_the_runs_asked_for(queue: Queue) -> None:
    queue.bring([run("one"), run("two")])
    claim = queue.claim("w", "token", now="now", only=["two"])
    assert claim is not None
    assert claim.run == "two"
    assert queue.claim("w", "token2", now="now", only=["two"]) is None
    assert (queue.claimable(), queue.claimable(["two"])) == (1, 0)


def test_a_run_is_brought_to_its_record_tasks_that_had_left_included(queue: Queue) -> None:
    queue.bring([chain("one"), run("two")])
    queue.claim("w", "first", now="now", only=["one"])
    end(queue, "one", "a", "first")
    queue.claim("w", "second", now="now", only=["one"])
    end(queue, "one", "b", "second", Status.ERROR)
    again = run("one", NewTask(id="a", needs=(), attempts=1), NewTask(id="b", needs=("a",)))
    queue.bring([replace(again, payload={"name": "other"})])
    assert [(task.id, task.status, task.attempts) for task in queue.runs()[0].tasks] == [
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
    ), "in its old place"
    assert queue.claim("w", "fourth", now="now", only=["one"]) is None, "b needs a again"


def test_what_runs_is_not_touched_when_its_run_is_brought_to_its_record(queue: Queue) -> None:
    queue.bring([run("one", NewTask(id="a", needs=()), NewTask(id="b", needs=()))])
    queue.claim("w", "token", now="now")
    on_hold = NewTask(id="b", needs=(), status=Status.HOLD)
    queue.bring([replace(run("one", on_hold), payload={"name": "other"}, held=True)])
    [left] = queue.runs()
    assert [(task.id, task.status) for task in left.tasks] == [
        ("a", Status.RUNNING),
        ("b", Status.HOLD),
    ]
    assert left.held
    assert queue.payload("one") == {"name": "one"}, "what it was begun with"
    assert len(end(queue, "one", "a", "token")) == 1
    queue.bring([NewRun(id="one", payload={}, tasks=())])
    assert queue.runs() == []


def test_a_held_run_keeps_the_backoff_and_retries_of_its_tasks(queue: Queue) -> None:
    queue.bring([run("one")])
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
    queue.bring([held("one")])
    assert queue.claim("w", "early", now="latest") is None, "the run is held"
    assert queue.runs()[0].worker is None, "no worker has a held run in hand"
    queue.bring([run("one")])
    assert queue.claim("w", "early", now="early") is None, "its backoff is not over"
    claim = queue.claim("w", "again", now="latest")
    assert claim is not None
    assert claim.retries == 2


def test_bringing_twice_changes_nothing(queue: Queue) -> None:
    queue.bring([chain("one")])
    queue.claim("w", "token", now="now")
    before = queue.runs()
    queue.bring([chain("one")])
    assert queue.runs() == before


def test_the_runs_to_come_are_told_in_order_each_once(queue: Queue) -> None:
    queue.bring(
        [run("one", NewTask(id="a", needs=()), NewTask(id="b", needs=())), run("two"), run("three")]
    )
    assert queue.next_runs(2) == ["one", "two"]
    queue.claim("w", "token", now="now")
    assert queue.next_runs(8) == ["two", "three"]


def test_an_unregistered_worker_has_nothing_in_hand(queue: Queue) -> None:
    queue.bring([chain("one")])
    queue.claim("w", "token", now="now")
    assert [claim.task for claim in queue.running_of("w")] == ["a"]
    queue.unregister("w")
    assert queue.runs()[0].worker is None


def test_what_the_queue_was_told_advances_only_without_a_gap(queue: Queue) -> None:
    queue.bring([], tip=(None, "c0"))
    queue.bring([], tip=("c0", "c1"))
    queue.bring([], tip=("c2", "c3"))
    assert queue.meta("tip") == "c1"


def test_in_a_copy_of_the_repository_nothing_runs(queue: Queue, tmp_path: Path) -> None:
    queue.bring([run("one")])
    queue.claim("w", "token", now="now")
    queue.close()
    copy = Queue.open(tmp_path / "queue.db", home="elsewhere")
    assert copy.workers() == []
    assert copy.runs()[0].tasks[0].status is Status.WAITING


def test_a_newer_format_is_refused_and_not_touched(queue: Queue, tmp_path: Path) -> None:
    queue.close()
    with sqlite3.connect(tmp_path / "queue.db") as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(Refused, match="newer gitorch"):
        Queue.open(tmp_path / "queue.db", home="here")


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(DatabaseBroken, match="damaged") as caught:
        Queue.open(tmp_path / "queue.db", home="here")
    assert "results are safe" in (caught.value.hint or "")


def test_a_writer_that_does_not_end_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_queue, "FORMAT", FORMAT._replace(timeout_s=0.1))
    queue = Queue.open(tmp_path / "queue.db", home="here")
    with sqlite3.connect(tmp_path / "queue.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy, match="locked"):
            queue.bring([run("one")])
        assert queue.runs() == [], "reading goes on"


def _claim_all(path: Path, name: str, found: multiprocessing.Queue[list[str]]) -> None:
    queue = Queue.open(path, home="here")
    queue.register(worker(name))
    claimed = []
    while claim := queue.claim(name, f"{name}{len(claimed)}", now="now"):
        claimed.append(claim.run)
        end(queue, claim.run, claim.task, claim.token)
    found.put(claimed)


def test_many_processes_claim_each_task_once(tmp_path: Path) -> None:
    queue = Queue.open(tmp_path / "queue.db", home="here")
    names = [f"run{number:03}" for number in range(100)]
    queue.bring([run(name) for name in names])
    context = multiprocessing.get_context("spawn")
    found: multiprocessing.Queue[list[str]] = context.Queue()
    others = [
        context.Process(target=_claim_all, args=(tmp_path / "queue.db", f"w{n}", found))
        for n in range(4)
    ]
    for other in others:
        other.start()
    claimed = [name for _ in others for name in found.get(timeout=60)]
    for other in others:
        other.join()
    assert sorted(claimed) == names


def test_the_schema_knows_the_statuses_of_the_model() -> None:
    check = re.search(r"status IN \(([^)]*)\)", script("queue_schema.sql"))
    assert check is not None
    assert set(json.loads(f"[{check[1]}]".replace("'", '"'))) == {str(status) for status in QUEUED}


def test_every_statement_is_explained_and_used() -> None:
    source = (Path(__file__).parents[2] / "gitorch/database/run_queue.py").read_text()
    unused = [name for name in statements(FORMAT.statements) if f'"{name}"' not in source]
    assert unused == []


@pytest.mark.parametrize("version", range(1, FORMAT.version))
def test_a_queue_of_an_earlier_format_goes_on(tmp_path: Path, version: int) -> None:
    with sqlite3.connect(tmp_path / "old.db") as database:
        database.executescript(Path(__file__).with_name(f"format-{version}.sql").read_text())
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
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
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


def test_a_clock_that_is_set_back_does_not_make_a_backoff_longer(queue: Queue) -> None:
    queue.bring([run("one")])
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


def in_turn(queue: Queue) -> str | None:
    """The run that would be claimed next."""
    claim = queue.claim("w", "in turn", now="now")
    if claim:
        end(queue, claim.run, claim.task, "in turn", Status.WAITING)
    return claim and claim.run


def test_of_those_that_compute_the_same_one_does_and_the_others_wait_for_it(queue: Queue) -> None:
    queue.bring([run("one"), run("two"), run("three"), run("four")])
    assert queue.compute(claimed(queue, "1"), "key")
    second = claimed(queue, "2")
    assert queue.give_way(second, "key")
    assert not queue.is_current("two", "t", "2")
    assert not queue.compute(claimed(queue, "3"), "key"), (
        "the other way to find out: given back as well"
    )
    assert queue.next_runs(8) == ["four"]
    assert in_turn(queue) == "four"
    assert queue.claimable() == 3, "those that wait are not forgotten"
    waiting = queue.run("two")
    assert waiting is not None
    assert waiting.worker is None
    assert (waiting.tasks[0].attempts, waiting.tasks[0].state) == (0, Waiting(key="key"))
    end(queue, "one", "t", "1")
    assert in_turn(queue) == "two", "in the order of their arrival"


@pytest.mark.parametrize("way", ["failed", "requeued", "killed", "gone", "lost"])
def test_those_that_wait_go_on_whatever_becomes_of_the_one_that_computes(
    queue: Queue, way: str
) -> None:
    queue.register(worker("other"))
    queue.bring([run("one"), run("two"), run("three")])
    assert queue.compute(claimed(queue, "1", "other"), "key")
    for token in ("2", "3"):
        assert queue.give_way(claimed(queue, token), "key")
    assert in_turn(queue) is None
    match way:
        case "failed":
            end(queue, "one", "t", "1", Status.ERROR)
        case "requeued":
            end(queue, "one", "t", "1", Status.WAITING)
            queue.bring([held("one")])
        case "killed":
            queue.request_kill(["one"])
            assert in_turn(queue) is None, "it may still run"
            queue.end_killed_task("one", "t", "1")
        case "gone":
            queue.remove(["one"])
        case "lost":
            queue.unregister("other")
    second = claimed(queue, "4")
    assert second.run == "two"
    assert queue.compute(second, "key")
    assert in_turn(queue) is None, "and again only one of them computes it"


def test_what_is_computed_in_spite_of_another_is_waited_for_too(queue: Queue) -> None:
    queue.bring([run("one"), run("two"), run("three")])
    assert queue.compute(claimed(queue, "1"), "key")
    assert queue.compute(claimed(queue, "2"), "key", alongside=True)
    assert queue.give_way(claimed(queue, "3"), "key")
    end(queue, "one", "t", "1")
    assert in_turn(queue) is None
    end(queue, "two", "t", "2", Status.ERROR)
    assert in_turn(queue) == "three"


def test_who_gives_way_is_held_with_its_run_and_killed_with_it(queue: Queue) -> None:
    queue.bring([run("one"), run("two"), run("three")])
    assert queue.compute(claimed(queue, "1"), "key")
    second, third = claimed(queue, "2"), claimed(queue, "3")
    queue.bring([held("two")])
    queue.request_kill(["three"])
    assert queue.give_way(second, "key")
    assert not queue.give_way(third, "key")
    assert not queue.compute(third, "key")
    queue.end_killed_task("three", "t", "3")
    assert [[task.status for task in one.tasks] for one in queue.runs()] == [
        [Status.RUNNING],
        [Status.HOLD],
        [],
    ]


def test_a_run_that_had_begun_stays_in_hand_while_it_waits(queue: Queue) -> None:
    queue.bring([run("one"), chain("two")])
    assert queue.compute(claimed(queue, "1"), "key")
    claimed(queue, "2")
    end(queue, "two", "a", "2")
    assert queue.give_way(claimed(queue, "3"), "key")
    begun = queue.run("two")
    assert begun is not None
    assert begun.worker == "w"


def test_a_claim_tells_what_it_is_known_to_compute(queue: Queue) -> None:
    queue.bring([run("one")])
    assert queue.compute(claimed(queue, "1"), "key")
    assert [claim.key for claim in queue.running_of("w")] == ["key"]
    end(queue, "one", "t", "1", Status.WAITING)
    assert claimed(queue, "2").key is None, "another time it may be another key"


def _compute_all(path: Path, name: str, found: multiprocessing.Queue[list[str]]) -> None:
    queue = Queue.open(path, home="here")
    queue.register(worker(name))
    computed = []
    while queue.claimable():
        claim = queue.claim(name, f"{name}{len(computed)}", now="now")
        if claim and queue.compute(claim, f"key {int(claim.run[3:]) % 5}"):
            computed.append(claim.run)
            keys = []
            for known in queue.runs():
                match known.tasks[0].state:
                    case Running(key=str(key)):
                        keys.append(key)
            assert len(set(keys)) == len(keys)
            end(queue, claim.run, claim.task, claim.token)
    found.put(computed)


def test_many_processes_compute_no_key_at_the_same_time(tmp_path: Path) -> None:
    queue = Queue.open(tmp_path / "queue.db", home="here")
    names = [f"run{number:03}" for number in range(40)]
    queue.bring([run(name) for name in names])
    context = multiprocessing.get_context("spawn")
    found: multiprocessing.Queue[list[str]] = context.Queue()
    others = [
        context.Process(target=_compute_all, args=(tmp_path / "queue.db", f"w{n}", found))
        for n in range(3)
    ]
    for other in others:
        other.start()
    computed = [name for _ in others for name in found.get(timeout=60)]
    for other in others:
        other.join()
    assert sorted(computed) == names
