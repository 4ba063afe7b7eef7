"""The queue: one of the tasks with the same cache key is computed, and the others wait for it."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from gitorch.database.run_queue import Queue
from gitorch.database.values import Running, Waiting
from gitorch.model.run.status import Status
from tests.database.test_run_queue import (
    chain,
    claimed,
    end,
    held_run,
    new_run,
    next_claimable,
    queue,
    worker,
)

__all__ = ["queue"]  # the fixture


def test_one_of_the_tasks_with_the_same_key_computes_and_the_others_wait(
    queue: Queue,
) -> None:
    queue.bring([new_run("one"), new_run("two"), new_run("three"), new_run("four")])
    assert queue.compute(claimed(queue, "1"), "key")
    second = claimed(queue, "2")
    assert queue.give_way(second, "key")
    assert not queue.is_current("two", "t", "2")
    assert not queue.compute(claimed(queue, "3"), "key"), (
        "compute() undoes the claim as well"
    )
    assert queue.next_runs(8) == ["four"]
    assert next_claimable(queue) == "four"
    assert queue.claimable() == 3, "the waiting tasks are counted"
    waiting = queue.run("two")
    assert waiting is not None
    assert waiting.worker is None
    assert (waiting.tasks[0].attempts, waiting.tasks[0].state) == (
        0,
        Waiting(key="key"),
    )
    end(queue, "one", "t", "1")
    assert next_claimable(queue) == "two", "in order of arrival"


@pytest.mark.parametrize("way", ["failed", "requeued", "killed", "gone", "lost"])
def test_the_waiting_tasks_can_be_claimed_however_the_computation_ends(
    queue: Queue, way: str
) -> None:
    queue.register(worker("other"))
    queue.bring([new_run("one"), new_run("two"), new_run("three")])
    assert queue.compute(claimed(queue, "1", "other"), "key")
    for token in ("2", "3"):
        assert queue.give_way(claimed(queue, token), "key")
    assert next_claimable(queue) is None
    match way:
        case "failed":
            end(queue, "one", "t", "1", Status.ERROR)
        case "requeued":
            end(queue, "one", "t", "1", Status.WAITING)
            queue.bring([held_run("one")])
        case "killed":
            queue.request_kill(["one"])
            assert next_claimable(queue) is None, "its processes may still run"
            queue.end_killed_task("one", "t", "1")
        case "gone":
            queue.remove(["one"])
        case "lost":
            queue.unregister("other")
    second = claimed(queue, "4")
    assert second.run == "two"
    assert queue.compute(second, "key")
    assert next_claimable(queue) is None, "again only one of them computes the key"


def test_a_task_waits_for_all_tasks_that_compute_its_key(queue: Queue) -> None:
    queue.bring([new_run("one"), new_run("two"), new_run("three")])
    assert queue.compute(claimed(queue, "1"), "key")
    assert queue.compute(claimed(queue, "2"), "key", alongside=True)
    assert queue.give_way(claimed(queue, "3"), "key")
    end(queue, "one", "t", "1")
    assert next_claimable(queue) is None
    end(queue, "two", "t", "2", Status.ERROR)
    assert next_claimable(queue) == "three"


def test_a_claim_that_gives_way_is_held_and_killed_with_its_run(
    queue: Queue,
) -> None:
    queue.bring([new_run("one"), new_run("two"), new_run("three")])
    assert queue.compute(claimed(queue, "1"), "key")
    second, third = claimed(queue, "2"), claimed(queue, "3")
    queue.bring([held_run("two")])
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


def test_a_run_that_had_begun_stays_assigned_while_it_waits(queue: Queue) -> None:
    queue.bring([new_run("one"), chain("two")])
    assert queue.compute(claimed(queue, "1"), "key")
    claimed(queue, "2")
    end(queue, "two", "a", "2")
    assert queue.give_way(claimed(queue, "3"), "key")
    begun = queue.run("two")
    assert begun is not None
    assert begun.worker == "w"


def test_a_claim_has_the_key_that_it_computes(queue: Queue) -> None:
    queue.bring([new_run("one")])
    assert queue.compute(claimed(queue, "1"), "key")
    assert [claim.key for claim in queue.running_of("w")] == ["key"]
    end(queue, "one", "t", "1", Status.WAITING)
    assert claimed(queue, "2").key is None, "the next attempt may have another key"


def _compute_all(
    path: Path, name: str, results: multiprocessing.Queue[list[str]]
) -> None:
    queue = Queue.open(path, home="here")
    queue.register(worker(name))
    computed = []
    while queue.claimable():
        claim = queue.claim(name, f"{name}{len(computed)}", now="now")
        if claim and queue.compute(claim, f"key {int(claim.run[3:]) % 5}"):
            computed.append(claim.run)
            keys = []
            for queued in queue.runs():
                match queued.tasks[0].state:
                    case Running(key=str(key)):
                        keys.append(key)
            assert len(set(keys)) == len(keys)
            end(queue, claim.run, claim.task, claim.token)
    results.put(computed)


def test_many_processes_never_compute_a_key_at_the_same_time(
    tmp_path: Path,
) -> None:
    queue = Queue.open(tmp_path / "queue.db", home="here")
    names = [f"run{number:03}" for number in range(40)]
    queue.bring([new_run(name) for name in names])
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[list[str]] = context.Queue()
    processes = [
        context.Process(
            target=_compute_all, args=(tmp_path / "queue.db", f"w{n}", results)
        )
        for n in range(3)
    ]
    for process in processes:
        process.start()
    computed = [name for _ in processes for name in results.get(timeout=60)]
    for process in processes:
        process.join()
    assert sorted(computed) == names
