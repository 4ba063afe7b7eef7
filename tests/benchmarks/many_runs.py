"""A results branch with many runs, made from one complete run: python -m tests.benchmarks.many_runs

The copies differ in `seed` and `learningRate`, and in their metrics. One `git fast-import` writes
them, since 20,000 commits of their own would take an hour.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

GITORCH = str(Path(sys.executable).with_name("gitorch"))
REF = "refs/heads/gitorch/results"


def main() -> None:
    root, count = Path(sys.argv[1]), int(sys.argv[2])
    multiply(root, count)


def multiply(root: Path, count: int) -> None:
    """Add `count` copies of the newest complete run of the repository at `root`."""
    listed = json.loads(_output(root, GITORCH, "list", "--json"))
    [original, *_] = [run for run in listed["runs"] if run["status"] == "COMPLETE"]
    id = original["id"]
    record = json.loads(
        _output(root, "git", "show", f"{REF}:runs/{id[:2]}/{id}/record.json")
    )
    stream = b"".join(_stream(root, record, count))
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=root, input=stream, check=True
    )


def _stream(root: Path, record: dict[str, Any], count: int) -> Any:
    tip = _output(root, "git", "rev-parse", REF).strip()
    yield f"commit {REF}\ncommitter B <b@example.org> 1700000000 +0000\n".encode()
    yield b"data 9\nmany runs\n" + f"from {tip}\n".encode()
    choose = random.Random(1)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(count):
        created = start + timedelta(seconds=number)
        run_id = f"{choose.getrandbits(48):012x}"
        data = json.dumps(_copy(record, run_id, number, created, choose)).encode()
        path = f"runs/{run_id[:2]}/{run_id}/record.json"
        yield f"M 644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n"


def _copy(
    record: dict[str, Any],
    run_id: str,
    number: int,
    created: datetime,
    choose: random.Random,
) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(record))
    rate = 10 ** choose.uniform(-4, 0)
    copy["id"] = run_id
    copy["identity"] = f"{number:064x}"
    copy["created"] = copy["started"] = copy["ended"] = (
        f"{created:%Y-%m-%dT%H:%M:%SZ}"
    )
    copy["spec"]["document"] |= {"seed": number, "learningRate": rate}
    copy["outputs"] = []
    for task in copy["tasks"]:
        for name in task["metrics"]:
            task["metrics"][name] = choose.random()
    return copy


def _output(root: Path, *command: str) -> str:
    return subprocess.run(
        command, cwd=root, check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    main()
