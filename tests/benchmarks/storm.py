"""A storm: two workers, twenty verbs, kills, and git programs that move and delete the branch.

    python -m tests.benchmarks.storm [--minutes N]

A verb acknowledges a change when it exits with 0. At the end every acknowledged run is there unless
it was killed; a run that was reported as COMPLETE still is, with the same attempt; no task has two
accepted results; `git fsck` and `gitorch doctor` find nothing.

One thing is left out. A mirror push deletes every reference, so that a `gc --prune=now` before the
next command of gitorch removes the objects themselves, which no program can bring back. Here the
housekeeping waits for that command.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

REF = "refs/heads/gitorch/results"
CONFIG = """\
seed: 0
tasks:
  - {id: one, command: "sleep 0.1; echo {seed} > {outputDir}/one"}
  - {id: two, command: "echo {seed} > {outputDir}/two"}
"""
READING = (
    ("list",),
    ("status",),
    ("show", "@"),
    ("show", "@~1"),
    ("logs", "@~2"),
    ("compare", "@", "@~1"),
    ("doctor",),
    ("check",),
    ("list", "--group", "seed"),
    ("list", "--limit", "3"),
)
CHANGING = ("hold", "release", "retry", "fail", "resubmit", "kill")
HOUSEKEEPING = (
    ("gc", "-q", "--prune=now"),
    ("repack", "-adq"),
    ("prune", "--expire=now"),
    ("pack-refs", "--all"),
)


class Storm:
    """A storm over the repository at `root`, and what gitorch has acknowledged in it."""

    def __init__(self, root: Path, seconds: float, seed: int) -> None:
        self.root = root
        self.random = random.Random(seed)
        self.end = time.monotonic() + seconds
        self.figures: Counter[str] = Counter()
        self.queued: set[str] = set()
        self.killed: set[str] = set()
        self.attempts: dict[tuple[str, str], str] = {}
        self.bugs: list[str] = []
        self._objects_are_safe = threading.Lock()
        self._lock = threading.Lock()

    def blow(self) -> None:
        actors: list[Callable[[], None]] = [
            self._work,
            self._work,
            self._read,
            self._change,
            self._ready,
            self._keep_house,
            self._move,
        ]
        threads = [
            threading.Thread(target=self._repeat, args=(act,)) for act in actors
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def verify(self) -> list[str]:
        """Let the queue run empty, and return what is wrong."""
        shutil.rmtree(self.root.parent / "checkout", ignore_errors=True)
        self._git("worktree", "prune")
        self._gitorch("doctor", "--fix")
        self._gitorch("release", "--all")
        self._gitorch("run", "-j2", timeout=300)
        self._gitorch("doctor", "--fix")
        wrong = [*self.bugs]
        runs = {run["id"]: run for run in self._json("list")["runs"]}
        lost = self.queued - runs.keys() - self.killed
        wrong += [f"{run} was queued and is lost" for run in sorted(lost)]
        risen = self.killed & runs.keys()
        wrong += [f"{run} was killed and is back" for run in sorted(risen)]
        for (run, task), token in self.attempts.items():
            if run in runs and self._accepted(run).get(task) != [token]:
                wrong.append(f"{task} of {run} had the accepted attempt {token}")
        for run in runs:
            for task, tokens in self._accepted(run).items():
                if len(tokens) > 1:
                    wrong.append(
                        f"{task} of {run} was accepted {len(tokens)} times"
                    )
        fsck = self._git("fsck", "--full", "--no-dangling")
        if fsck.returncode or fsck.stdout.strip():
            wrong.append(f"git fsck: {fsck.stdout}{fsck.stderr}")
        doctor = self._gitorch("doctor")
        if doctor.returncode:
            wrong.append(f"gitorch doctor: {doctor.stdout}{doctor.stderr}")
        self.figures["runs at the end"] = len(runs)
        self.figures["runs acknowledged"] = len(self.queued)
        self.figures["results acknowledged"] = len(self.attempts)
        return wrong

    def _accepted(self, run: str) -> dict[str, list[str]]:
        """Return the tokens of the attempts that succeeded, by task, from the branch itself."""
        names = self._git(
            "ls-tree", "-r", "--name-only", REF, f"runs/{run[:2]}/{run}/"
        )
        accepted: dict[str, list[str]] = {}
        for name in names.stdout.splitlines():
            if name.endswith("/attempt.json"):
                attempt = json.loads(self._git("show", f"{REF}:{name}").stdout)
                if attempt["outcome"]["kind"] == "succeeded":
                    task = name.split("/")[4]
                    accepted.setdefault(task, []).append(attempt["token"])
        return accepted

    # -- the actors

    def _repeat(self, act: Callable[[], None]) -> None:
        while time.monotonic() < self.end:
            act()

    def _work(self) -> None:
        """Start a worker and kill it at a random moment, or let it end."""
        worker = subprocess.Popen(
            [sys.executable, "-m", "gitorch", "run", "-j2"],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            worker.wait(self.random.uniform(0.5, 20))
        except subprocess.TimeoutExpired:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            self._count("workers killed")

    def _ready(self) -> None:
        seed = self.random.randrange(10**9)
        done = self._gitorch("ready", "experiments", "-S", f"seed={seed}", "--json")
        if done.returncode == 0:
            queued = [run["id"] for run in json.loads(done.stdout)["queued"]]
            with self._lock:
                self.queued.update(queued)
        time.sleep(0.2)

    def _read(self) -> None:
        self._gitorch(*self.random.choice(READING))
        listed = self._json("list")
        complete = [
            run["id"]
            for run in listed.get("runs", [])
            if run["status"] == "COMPLETE"
        ]
        if complete:
            run = self.random.choice(complete)
            record = self._json("show", run).get("run", {})
            with self._lock:
                for task in record.get("tasks", []):
                    token = task["attempts"][-1]["token"]
                    self.attempts[run, task["id"]] = token

    def _change(self) -> None:
        with self._lock:
            runs = sorted(self.queued - self.killed)
        if not runs:
            return
        run = self.random.choice(runs)
        verb = self.random.choice((*CHANGING, "set", "rerun", "collect"))
        match verb:
            case "set":
                self._gitorch(
                    "set", "--priority", str(self.random.randrange(9)), run
                )
            case "rerun":
                self._gitorch("rerun", "--queue", run)
            case "collect":
                self._gitorch("collect")
            case _:
                changed = self._gitorch(verb, run, "--yes")
                if verb == "kill" and changed.returncode == 0:
                    with self._lock:
                        self.killed.add(run)

    def _keep_house(self) -> None:
        with self._objects_are_safe:
            self._git(*self.random.choice(HOUSEKEEPING))
            self._count("housekeeping")
        time.sleep(self.random.uniform(0, 0.5))

    def _move(self) -> None:
        """Do to the branch what another git program may do."""
        moves = {
            "deletions": self._delete,
            "resets": lambda: self._git("update-ref", REF, f"{REF}~3"),
            "moves to main": lambda: self._git("update-ref", REF, "main"),
            "commits of a user": self._commit,
            "mirror pushes": self._mirror,
        }
        name = self.random.choice(list(moves))
        moves[name]()
        self._count(name)
        time.sleep(self.random.uniform(0, 0.7))

    def _delete(self) -> None:
        self._git("update-ref", "-d", REF)

    def _commit(self) -> None:
        """Commit from a checkout that is out of date by then."""
        checkout = self.root.parent / "checkout"
        self._git("worktree", "add", "-qf", str(checkout), "gitorch/results")
        time.sleep(0.5)
        checkout.mkdir(exist_ok=True)  # the branch may have been missing
        (checkout / "notes.txt").write_text(str(time.time()))
        subprocess.run(
            ["git", "add", "-A"], cwd=checkout, capture_output=True, check=False
        )
        subprocess.run(
            ["git", "commit", "-qm", "notes"],
            cwd=checkout,
            capture_output=True,
            check=False,
        )
        self._git("worktree", "remove", "-f", str(checkout))

    def _mirror(self) -> None:
        clone = self.root.parent / "clone"
        with self._objects_are_safe:
            shutil.rmtree(clone, ignore_errors=True)
            self._git("clone", "-q", "--single-branch", str(self.root), str(clone))
            self._git("-C", str(clone), "push", "-q", "--mirror", str(self.root))
            self._gitorch("list")

    # -- programs

    def _count(self, what: str) -> None:
        with self._lock:
            self.figures[what] += 1

    def _git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )

    def _gitorch(
        self, *arguments: str, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "gitorch", *arguments],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        self._count("commands")
        self._count(f"exit code {done.returncode}")
        if "restored" in done.stderr:
            self._count("restorations reported")
        if done.returncode in (70, 1) and "Traceback" in done.stderr + done.stdout:
            self.bugs.append(f"gitorch {' '.join(arguments)}: {done.stderr}")
        if done.returncode == 70:
            self.bugs.append(
                f"gitorch {' '.join(arguments)}: {done.stdout}{done.stderr}"
            )
        return done

    def _json(self, *arguments: str) -> Any:
        done = self._gitorch(*arguments, "--json")
        return json.loads(done.stdout) if done.returncode == 0 else {}


def prepare(parent: Path) -> Path:
    """Return a new repository with a config, below `parent`."""
    root = parent / "project"
    (root / "experiments").mkdir(parents=True)
    (root / "experiments/a.yaml").write_text(CONFIG)
    for words in (
        ("init", "-q", "-b", "main"),
        ("config", "user.name", "Storm"),
        ("config", "user.email", "storm@example.com"),
        ("config", "receive.denyCurrentBranch", "ignore"),
        ("config", "gc.auto", "0"),
        ("add", "-A"),
        ("commit", "-qm", "first"),
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


def main() -> int:
    parser = argparse.ArgumentParser(description="A storm over a repository.")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as room:
        storm = Storm(prepare(Path(room)), options.minutes * 60, options.seed)
        storm.blow()
        wrong = storm.verify()
    for name, number in sorted(storm.figures.items()):
        print(f"{number:8} {name}")
    print(
        "\n".join(wrong)
        or f"nothing lost, nothing accepted twice (seed {options.seed})"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
