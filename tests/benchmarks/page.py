"""How fast the page answers with many runs, a long log and long series.

    python -m tests.benchmarks.page [--runs 20000] [--root DIRECTORY]

Each line has the milliseconds until the answer is complete, in brackets the processor time of the
server (which does not depend on other programs), the size of the answer, and the server's memory.
Each request is sent five times: the first answer is given alone, and the others as their median.
A repository that is already in `--root` is used again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.many_runs import GITORCH, multiply
from tests.page.server import Server, request

LOG_BYTES = 1 << 30
POINTS = 2_000_000
TIMES = 5
SCRIPT = f"""\
import os, sys, time
is_running, _, what = sys.argv[1].rpartition("-")
if what == "log":
    block = b"a line of a log that goes on for some time, as logs do\\n" * 20_000
    for _ in range({LOG_BYTES} // len(block)):
        sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()
else:
    count = {POINTS} if what == "points" else 10
    with open(os.environ["GITORCH_EVENTS"], "a") as events:
        for step in range(count):
            value = 1 / (step + 1)
            events.write('{{"metric": "loss", "value": %.6f, "step": %d}}\\n' % (value, step))
if is_running:
    open(f"{{what}}.written", "w").close()
    time.sleep(3600)
"""
CONFIG = """\
seed: 1
learningRate: 0.1
gitorch: {{name: {name}}}
tasks: [{{id: train, command: "python3 task.py {name}"}}]
"""
ENDED = ("log", "points")
RUNNING = ("running-log", "running-points")
KINDS = ("short", *ENDED, *RUNNING)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--root", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = options.root or Path(temporary) / "many"
        if not (root / ".git").exists():
            make(root, options.runs)
        with running(root):
            measure(root)


def make(root: Path, runs: int) -> None:
    """Make a repository with many runs, one with a long log and one with long series."""
    root.mkdir(parents=True)
    (root / "task.py").write_text(SCRIPT)
    for kind in KINDS:
        (root / f"{kind}.yaml").write_text(CONFIG.format(name=kind))
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "Tasks")):
        subprocess.run(("git", *command), cwd=root, check=True)
    subprocess.run((GITORCH, "run", "short.yaml"), cwd=root, check=True)
    multiply(root, runs)
    for kind in ENDED:
        subprocess.run((GITORCH, "run", f"{kind}.yaml"), cwd=root, check=True)


@contextmanager
def running(root: Path) -> Iterator[None]:
    """Start the runs that go on after they have written their log or their series."""
    configs = [f"{kind}.yaml" for kind in RUNNING]
    subprocess.run((GITORCH, "ready", "--again", *configs), cwd=root, check=True)
    worker = subprocess.Popen((GITORCH, "run", "-j", "2"), cwd=root)
    try:
        for kind in RUNNING:
            _wait_for(root, _newest(root, kind), kind)
        yield
    finally:
        worker.terminate()
        worker.wait(60)
        for kind in RUNNING:
            command = (GITORCH, "kill", "--yes", _newest(root, kind))
            subprocess.run(command, cwd=root, check=True)


def _wait_for(root: Path, run_id: str, kind: str) -> None:
    name = f"{kind.rpartition('-')[2]}.written"
    while not list(root.parent.rglob(f"*{run_id}*/**/{name}")):
        time.sleep(0.2)


def measure(root: Path) -> None:
    ids = {kind: _newest(root, kind) for kind in KINDS}
    began = time.monotonic()
    process = subprocess.Popen(
        (GITORCH, "ui"), cwd=root, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        print(f"the link after {time.monotonic() - began:.2f} s")
        server = _entered(link, process)
        print(f"{'':44} {'first':>15} {'then':>15}")
        for name, path in _requests(ids):
            _report(server, name, path)
        print(f"memory: {_memory(process.pid, 'VmHWM')} MiB at most")
    finally:
        process.send_signal(2)
        process.wait(20)


def _requests(ids: dict[str, str]) -> list[tuple[str, str]]:
    requests = [
        ("runs", "/runs"),
        ("filter", "/runs?where=loss+%3C+0.5+and+learningRate+%3E+0.01"),
        ("sort", "/runs?sort=-loss"),
        ("filter and sort", "/runs?where=seed+%3C+5000&sort=learningRate"),
        ("group", "/runs?group=status&aggregate=mean"),
        ("page 150", "/runs?page=150"),
        ("overview", "/"),
        ("explore", "/explore"),
        ("explore, its data", "/explore.json"),
    ]
    for kind, run_id in ids.items():
        path = f"/runs/{run_id}"
        requests += [
            (f"run, {kind}", path),
            (f"its curves, {kind}", f"{path}/series"),
            (f"its log, {kind}", f"{path}/log"),
            (f"the start of its log, {kind}", f"{path}/log?start=0"),
        ]
    return requests


def _report(server: Server, name: str, path: str) -> None:
    walls, works = [], []
    for _ in range(TIMES):
        before = _processor(server.process.pid)
        began = time.monotonic()
        answer = server.ask(path)
        walls.append(time.monotonic() - began)
        works.append(_processor(server.process.pid) - before)
        assert answer.status == 200, (path, answer.text)
    first = f"{walls[0] * 1e3:5.0f} ({works[0] * 1e3:5.0f})"
    later = statistics.median(walls[1:]), statistics.median(works[1:])
    then = f"{later[0] * 1e3:5.0f} ({later[1] * 1e3:5.0f})"
    size = f"{len(answer.body) / 1024:7.0f} KiB"
    memory = _memory(server.process.pid, "VmRSS")
    print(f"{name:44} {first:>15} {then:>15} ms {size} {memory:4} MiB")


def _entered(link: str, process: subprocess.Popen[str]) -> Server:
    host, _, query = link.removeprefix("http://").partition("/")
    entered = request(host, f"/{query}", headers={"host": host})
    cookie = entered.headers["set-cookie"].partition(";")[0]
    return Server(link, cookie, process)


def _newest(root: Path, name: str) -> str:
    command = (
        GITORCH,
        "list",
        "--json",
        "--where",
        f"name == {name}",
        "--limit",
        "1",
    )
    output = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE)
    run_id: str = json.loads(output.stdout)["runs"][0]["id"]
    return run_id


def _processor(pid: int) -> float:
    """Return the seconds that a process has worked."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) // 1024
    sys.exit(f"no {name}")


if __name__ == "__main__":
    main()
