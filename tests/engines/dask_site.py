"""A real Dask cluster on loopback, and runs whose orders go there as if to hosts of their own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from gitorch.engines.contract import Order
from gitorch.engines.dask.engine import DaskEngine
from gitorch.model.run.spec import Resources
from tests.conftest import commit_files, git, wait_for

PATIENCE_S = 30.0


class DaskSite:
    """A scheduler with workers, each of which stands for a host with files of its own."""

    def __init__(self, directory: Path, listen: str = "127.0.0.1") -> None:
        self.directory = directory
        self.address = f"tcp://{listen}:{_free_port()}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._listen = listen
        self.start_scheduler()

    def start_scheduler(self) -> None:
        port = self.address.rsplit(":", 1)[1]
        self.start("scheduler", "scheduler", "--host", self._listen, "--port", port)

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a process of the cluster and return when it is ready."""
        place = self.directory / name
        place.mkdir(parents=True, exist_ok=True)
        log = place / "log"
        env = {
            **os.environ,
            "GITORCH_HOST_CACHE": str(place / "cache"),
            "HOME": str(place),
        }
        with log.open("wb") as file:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "distributed.cli.dask_" + words[0],
                    *words[1:],
                    "--no-dashboard",
                ],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=place,
            )
        self.processes[name] = process
        ready = "Registered to" if words[0] == "worker" else "Scheduler at"
        deadline = time.monotonic() + PATIENCE_S
        while ready not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        return process

    def worker(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        return self.start(
            name,
            "worker",
            self.address,
            "--nthreads",
            "1",
            "--no-nanny",
            "--name",
            name,
            *words,
        )

    def cache(self, name: str) -> Path:
        return self.directory / name / "cache"

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()


@contextmanager
def dask_site(directory: Path, listen: str = "127.0.0.1") -> Iterator[DaskSite]:
    with closing(DaskSite(directory, listen)) as site:
        yield site


class Runs:
    """The runs of a repository, laid out as a worker does it."""

    def __init__(self, directory: Path, address: str) -> None:
        self.root = directory / "project"
        self.workspace = directory / "workspace"
        self.options = {"scheduler": address, "private": True, "lease": 3.0}
        self.root.mkdir(parents=True)
        git(self.root, "init", "-q", "-b", "main")
        commit_files(
            self.root, {"data.txt": "committed\n", "code.py": "print(1)\n"}
        )

    def order(
        self,
        run: str,
        *argv: str,
        number: int = 1,
        resources: Resources | None = None,
        ship: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> Order:
        place = self.workspace / run
        directory = place / "log" / "t" / str(number)
        directory.mkdir(parents=True)
        tree, output = place / "tree", place / "output"
        if not tree.exists():
            output.mkdir()
            git(self.root, "worktree", "add", "-q", "--detach", str(tree))
        config = {"outputDir": str(output)}
        (directory / "config.json").write_text(json.dumps(config))
        token = secrets.token_hex(16)
        return Order(
            token=token,
            directory=directory,
            argv=argv,
            cwd=tree,
            env={
                **os.environ,
                "GITORCH_TOKEN": token,
                "GITORCH_OUTPUT_DIR": str(output),
                "GITORCH_CONFIG": str(directory / "config.json"),
            },
            timeout_s=timeout_s,
            grace_s=0.2,
            resources=resources or Resources(),
            options={**self.options, "ship": ship},
            engine="dask",
        )

    def endless(self, run: str) -> Order:
        """Return an order for an attempt that does not end by itself."""
        return self.shell(run, "echo began; sleep 60 & wait")

    def shell(self, run: str, script: str, **how: object) -> Order:
        return self.order(run, "sh", "-ec", script, **how)  # type: ignore[arg-type]


def _free_port() -> int:
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def living(order: Order) -> list[int]:
    """Return the processes of an attempt, on any host."""
    marker = f"GITORCH_TOKEN={order.token}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if marker in environment:
            found.append(int(process.name))
    return found


def begun(engine: DaskEngine, order: Order) -> Order:
    """Submit an order whose command says `began` first, and wait until it has begun."""
    engine.submit(order)
    wait_until_begun(order)
    return order


def wait_until_begun(order: Order) -> None:
    log = order.directory / "log.txt"
    wait_for(lambda: log.exists() and log.read_text() == "began\n")
