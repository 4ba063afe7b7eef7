"""The transport of a commit of 5,000 files to a host, and of a large output back.

    python -m tests.benchmarks.dask_transport [--files N] [--megabytes N]

Prints for a host that has nothing, and for one that has the parent of the commit, the time of one
attempt and the bytes of the pack that was sent. Ten files differ between the commits. Prints then
the time of an attempt that leaves a large output, and the largest resident memory of this process
and of Dask's worker.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import select
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from gitorch.engines.contract import Order
from gitorch.engines.dask.engine import DaskEngine
from gitorch.engines.dask.transfer import Transfer
from tests.conftest import commit_files
from tests.engines.dask_site import Runs, dask_site

LINES = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--megabytes", type=int, default=2048)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        dask_site(Path(name, "dask")) as site,
    ):
        room = Path(name)
        worker = site.worker("one")
        runs = Runs(room, site.address)
        texts = {
            f"src/{number % 50}/{number}.py": text(number)
            for number in range(options.files)
        }
        commit_files(runs.root, texts)
        with DaskEngine(1, room / "lock") as dask:
            report("a host with nothing", dask, runs.shell("a" * 12, "true"))
            changed = list(texts)[:10]
            commit_files(
                runs.root, {path: texts[path] + "# changed\n" for path in changed}
            )
            report("a host with the parent", dask, runs.shell("b" * 12, "true"))
            report("a host with the commit", dask, runs.shell("c" * 12, "true"))
            script = f"head -c {options.megabytes}M /dev/zero > $GITORCH_OUTPUT_DIR/large"
            report(
                f"an output of {options.megabytes} MiB",
                dask,
                runs.shell("d" * 12, script),
            )
            here = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(
                f"largest resident memory: here {here} MiB, worker {peak(worker.pid)} MiB"
            )


def text(number: int) -> str:
    """Return the text of a file of 4 KiB, which compresses like code."""
    choose = random.Random(number)
    lines = [
        f"value_{choose.randrange(10**6)} = call({choose.random()})"
        for _ in range(LINES)
    ]
    return "\n".join(lines) + "\n"


def report(what: str, engine: DaskEngine, order: Order) -> None:
    """Execute an attempt; print the time that it took, and the bytes of what was sent in parts."""
    sent = 0
    ask = Transfer.ask

    def asked(transfer: Transfer, function: str, *arguments: object) -> object:
        nonlocal sent
        if function == "receive":
            data = arguments[2]
            assert isinstance(data, bytes)
            sent += len(data)
        return ask(transfer, function, *arguments)

    with patch.object(Transfer, "ask", asked):
        began = time.perf_counter()
        engine.submit(order)
        while not (ends := engine.poll()):
            select.select(engine.descriptors(), [], [])
    took = time.perf_counter() - began
    print(
        f"{what}: {took:.2f} s, {sent / 1e6:.3f} MB sent, {ends[0].outcome}",
        flush=True,
    )


def peak(pid: int) -> int:
    """Return the largest resident memory of a process, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return 0 if found is None else int(found[1]) // 1024


if __name__ == "__main__":
    main()
