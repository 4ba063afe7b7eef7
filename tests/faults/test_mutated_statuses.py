"""Records of runs in every status, and attempts, that anybody has changed with git.

The runs that wait, run, are held or failed are in the queue and in the ledger of the clone when
their records are changed. `test_mutated_records.py` has the records of complete runs.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitorch.model.run.record import Record
from gitorch.storage.recording import recording
from gitorch.storage.site import Site
from tests.conftest import git, gitorch, gitorch_json, write
from tests.faults.test_mutated_records import (
    CONSTANTS,
    MARK,
    NOT_RECORDS,
    WRONG,
    branch,
    changed,
    exit_codes,
    findings,
    paths_in,
    put_record,
    records_of,
    rendered,
    runs_path,
)

STATUSES = ("WAITING", "RUNNING", "HOLD", "ERROR", "FAILED", "COMPLETE")


def documents(root: Path) -> dict[str, dict[str, Any]]:
    """Return a record in each status. A finished run was WAITING and RUNNING in former commits."""
    by_status = {}
    for record in records_of(root).values():
        by_status[record["status"]] = record
    path = f"{runs_path(by_status['COMPLETE']['id'])}/record.json"
    for commit in git(
        root, "log", "--format=%h", "gitorch/results", "--", path
    ).split():
        record = json.loads(git(root, "show", f"{commit}:{path}"))
        by_status.setdefault(record["status"], record)
    assert sorted(by_status) == sorted(STATUSES)
    return by_status


@pytest.fixture
def root(project: Path) -> Path:
    """Return a project with a run in each status that lasts, and one with two attempts."""
    task = '{id: a, command: "echo 1 > {outputDir}/kept", gitorch: {timeout: 5m}}'
    write(
        project,
        "experiments/whole.yaml",
        f"lr: 0.5\ntasks: [{task}, {{id: b, command: 'true'}}]\n",
    )
    failing = "{id: t, command: 'false', gitorch: {retries: 1}}"
    write(project, "experiments/broken.yaml", f"tasks: [{failing}]\n")
    write(project, "experiments/given-up.yaml", f"x: 1\ntasks: [{failing}]\n")
    gitorch(project, "run", "experiments", code=1)
    gitorch(project, "fail", "given-up")
    write(
        project,
        "experiments/held.yaml",
        "h: 1\ntasks: [{id: t, command: 'true'}]\n",
    )
    gitorch(project, "ready", "--hold", "experiments/held.yaml")
    return project


def mutants(document: dict[str, Any], offset: int) -> Iterator[bytes]:
    """Yield a record for each field, which lacks the field or has a wrong value in it.

    `offset` chooses between them, so that the records of each status get others.
    """
    yield NOT_RECORDS[offset % len(NOT_RECORDS)]
    for number, path in enumerate(paths_in(document), offset):
        if path == ("id",):
            continue
        match number % 4:
            case 0 | 2:
                yield rendered(changed(document, path))
            case 1:
                marked = rendered(changed(document, path, MARK))
                constant = CONSTANTS[number % len(CONSTANTS)]
                yield marked.replace(f'"{MARK}"'.encode(), constant)
        if number % 4 != 2:
            value = WRONG[5 * number % len(WRONG)]
            yield rendered(changed(document, path, value))


def queue_and_damage(root: Path, by_status: dict[str, dict[str, Any]]) -> list[str]:
    """Queue as many copies of each run as there are mutants of it, then change their records."""
    damaged: dict[str, bytes] = {}
    with recording(Site.at(root)) as changes:
        for offset, status in enumerate(STATUSES[:-1]):
            document = by_status[status]
            for data in mutants(document, offset):
                run_id = f"{len(damaged):06x}efefef"
                copied = json.loads(
                    rendered(document).replace(
                        document["id"].encode(), run_id.encode()
                    )
                )
                changes.put(Record.from_json(copied))
                damaged[run_id] = data.replace(
                    document["id"].encode(), run_id.encode()
                )
        changes.commit("copies")
    with branch(root).changing() as edit:
        for run_id, data in damaged.items():
            put_record(edit, run_id, data)
        edit.commit("damage")
    return list(damaged)


def test_every_command_works_beside_damaged_records_of_every_status(
    root: Path,
) -> None:
    by_status = documents(root)
    whole, broken, held, given_up = (
        by_status[status]["id"]
        for status in ("COMPLETE", "ERROR", "HOLD", "FAILED")
    )
    damaged = queue_and_damage(root, by_status)
    note = "records cannot be read: "
    for words in (
        ("list",),
        ("list", "--sort", "created,-params.lr", "--csv"),
        ("list", "--where", "duration_s >= 0 and params.lr > 0"),
        ("list", "--group", "params.lr"),
        ("status",),
        ("show", broken),
        ("show", held, "--json"),
        ("logs", broken),
        ("compare", whole, given_up),
        ("release", held),
        ("hold", held),
        ("set", "--priority", "3", held),
        ("retry", broken),
        ("hold", broken),
        ("resubmit", given_up),
        ("kill", "--yes", given_up),
        ("ready",),
        ("collect",),
    ):
        done = gitorch(root, *words)
        assert note in done.stderr, words
        assert "queue.db" not in done.stderr, words
    assert note in gitorch(root, "show", "nosuch", code=3).stderr
    gitorch(root, "release", held)
    gitorch(root, "run", held)
    ran = gitorch(root, "run", "-j", "4", code=None)
    assert ran.returncode in (0, 1)
    assert "a bug in gitorch" not in ran.stderr
    listed = {
        run["id"]: run["status"] for run in gitorch_json(root, "list")["runs"]
    }
    assert listed[held] == listed[whole] == "COMPLETE"
    assert listed[broken] == "HOLD"
    unread = set(damaged) - listed.keys()
    assert len(unread) > len(damaged) / 5
    explained = "\n".join(findings(root))
    for run_id in unread:
        assert f"the record of {run_id} cannot be read: " in explained
    # What is read is changed by every verb, or refused with a reason.
    commands = []
    for verb in ("hold", "release", "retry", "fail", "resubmit", "kill"):
        commands.append((verb, "--all", *(["--yes"] if verb == "kill" else [])))
    for code in exit_codes(root, commands):
        assert code in (0, 4)


def test_attempts_that_cannot_be_read_are_named(root: Path) -> None:
    record = documents(root)["ERROR"]
    run_id = record["id"]
    directory = f"{runs_path(run_id)}/tasks/t"
    attempt = json.loads(
        git(root, "show", f"gitorch/results:{directory}/1/attempt.json")
    )
    texts = [*NOT_RECORDS, *mutants(attempt, 1)]
    many = copy.deepcopy(record)
    many["tasks"][0]["attempt_count"] = len(texts) + 1
    last = attempt["number"] + len(texts)
    many["tasks"][0]["attempts"][0]["number"] = last
    with branch(root).changing() as edit:
        for number, data in enumerate(texts, 1):
            edit.put(f"{directory}/{number}/attempt.json", data)
        put_record(edit, run_id, rendered(many))
        edit.commit("attempts")
    shown = gitorch_json(root, "show", run_id)
    unreadable = shown["unreadable"]
    read = shown["run"]["tasks"][0]["attempts"]
    assert len(unreadable) + len(read) == len(texts) + 1
    assert set(unreadable) >= {
        f"{directory}/{number}/attempt.json"
        for number in range(1, len(NOT_RECORDS) + 1)
    }
    note = f"{len(unreadable)} files of the run cannot be read, and left out: {directory}/1/"
    assert note in gitorch(root, "show", run_id).stderr
    found = [finding["what"] for finding in findings(root).values()]
    assert found.count("attempt-unreadable") == len(unreadable)
    commands: list[tuple[str, ...]] = [
        ("logs", run_id, "--attempt", str(number))
        for number in range(1, len(texts), 9)
    ]
    commands += [("compare", run_id, "whole"), ("checkout-run", run_id), ("list",)]
    assert set(exit_codes(root, commands)) <= {0, 3}
    gitorch(root, "retry", run_id)
    gitorch(root, "run", code=1)


def large(record: dict[str, Any], kind: str) -> bytes:
    """Return the record with tens of megabytes, or many levels, in one place."""
    grown = copy.deepcopy(record)
    [output] = grown["outputs"]
    match kind:
        case "outputs":
            grown["outputs"] = [{**output, "path": f"{n}"} for n in range(60_000)]
        case "text":
            grown["spec"]["document"]["lr"] = "x" * 20_000_000
        case "parameters":
            for number in range(20_000):
                grown["spec"]["document"][f"p{number}"] = number
        case "too large":
            grown["more"] = "x" * 70_000_000
        case "deep":
            for _ in range(150):
                grown["spec"]["document"]["lr"] = [grown["spec"]["document"]["lr"]]
    return rendered(grown)


def test_every_command_works_beside_very_large_records(root: Path) -> None:
    record = documents(root)["COMPLETE"]
    kinds = ("outputs", "text", "parameters", "too large", "deep")
    planted = {}
    with branch(root).changing() as edit:
        for number, kind in enumerate(kinds):
            run_id = planted[kind] = f"{number:06x}abcabc"
            own = record["id"].encode()
            data = large(record, kind).replace(own, run_id.encode())
            put_record(edit, run_id, data)
        edit.commit("large")
    commands = [
        ("list", "--where", "name == 'broken'"),
        ("status",),
        ("show", "broken"),
        ("show", planted["deep"]),
        ("compare", record["id"], planted["outputs"], "--outputs", "--stat"),
        ("retry", "broken"),
        ("ready",),
    ]
    assert exit_codes(root, commands) == [0] * len(commands)
    ran = gitorch(root, "run", code=1)
    assert "1 record cannot be read: " in ran.stderr
    refused = gitorch(root, "show", planted["too large"], code=1)
    assert "larger than 64 MiB" in refused.stderr
