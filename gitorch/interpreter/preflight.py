"""Every task looked over in the pinned code, by the project's interpreter, before anything is queued.

One process looks over all configs. One that dies or hangs is the fault of the config that it was at: that one is given
up, or tried once more by itself if it was not the first, and another process looks over the rest.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from msgspec import Struct, field

from gitorch import runner
from gitorch.interpreter.probe import Interpreter
from gitorch.tools.process import Process, end, table, with_descendants

_PROGRAM = Path(runner.__file__).with_name("preflight_program.py")
_LONGEST_PRINT = 1 << 20

Where = Literal["pathToTasks", "method", "task"]


class PreflightTask(NamedTuple):
    """A class task; `config` is the dict that it will be constructed with. Commands have nothing to look over."""

    id: str
    method: str
    config: Mapping[str, Any]


class PreflightConfig(NamedTuple):
    key: str  # the caller's name for it
    tasks: Sequence[PreflightTask]


class Complaint(NamedTuple):
    """What is wrong; `task` None where it is wrong with all of them. `where` names the key to point at."""

    task: str | None
    message: str
    hint: str | None
    where: Where


class Findings(Struct):
    """What came of looking over one config; `printed` is what its tasks printed meanwhile, cut at 1 MiB."""

    complaints: list[Complaint] = field(default_factory=list)
    printed: str = ""


def preflight(
    interpreter: Interpreter,
    tree: Path,
    path_to_tasks: str,
    configs: Sequence[PreflightConfig],
    *,
    env: Mapping[str, str],
    time_limit_s: float = 60.0,
) -> dict[str, Findings]:
    """Look over all configs; `time_limit_s` is for each call. `tree` is the pinned code, `path_to_tasks` lies in it."""
    findings = {config.key: Findings() for config in configs}
    with_classes = [config for config in configs if config.tasks]
    missing = _missing(tree / path_to_tasks, path_to_tasks)
    if missing:
        for config in with_classes:
            findings[config.key].complaints.append(missing)
        return findings
    batches = deque([with_classes] if with_classes else [])
    while batches:
        batch = batches.popleft()
        done, death = _Process(interpreter, tree, path_to_tasks, env, time_limit_s).look_over(
            batch, findings
        )
        if death is None:
            continue
        culprit, rest = batch[done], batch[done + 1 :]
        if death.complaint.where == "pathToTasks":
            for config in batch[done:]:
                findings[config.key].complaints.append(death.complaint)
            continue
        if done == 0 or death.is_hang:
            findings[culprit.key].complaints.append(death.complaint)
        else:
            findings[culprit.key] = Findings()
            batches.append([culprit])
        if rest:
            batches.append(rest)
    return findings


def _missing(directory: Path, written: str) -> Complaint | None:
    if (directory / "Tasks.py").is_file():
        return None
    others = sorted(path.name for path in directory.glob("*.py") if path.name.lower() == "tasks.py")
    hint = (
        f"it is spelled {others[0]}: rename it"
        if others
        else "`pathToTasks` names the directory of Tasks.py"
    )
    return Complaint(
        None, f"there is no Tasks.py in {written!r} in the commit", hint, "pathToTasks"
    )


class _Death(NamedTuple):
    complaint: Complaint
    is_hang: bool


class _Heard(NamedTuple):
    """What a process said until it was through, ended or fell silent: how far it came, what it was at, if it hangs."""

    done: int
    at: tuple[str | None, str]
    is_hang: bool


class _Process(Struct, frozen=True):
    """A process that looks over one config after the other."""

    interpreter: Interpreter
    tree: Path
    path_to_tasks: str
    env: Mapping[str, str]
    time_limit_s: float

    def look_over(
        self, batch: Sequence[PreflightConfig], findings: dict[str, Findings]
    ) -> tuple[int, _Death | None]:
        """How many configs of the batch it came through with, and what ended it before it was through, if anything."""
        with tempfile.TemporaryDirectory(prefix="gitorch-preflight-") as place:
            outputs = [Path(place) / f"{index}.out" for index in range(len(batch))]
            request = Path(place) / "request.json"
            request.write_text(json.dumps(self._request(batch, outputs)))
            with self._started(request) as (process, answers):
                heard = self._listen(process, answers, batch, findings)
            for config, output in zip(batch, outputs, strict=True):
                if output.exists():
                    findings[config.key].printed = _read(output)
        if heard.done == len(batch):
            return heard.done, None
        task, what = heard.at
        how = (
            f"does not end within {self.time_limit_s:g} s"
            if heard.is_hang
            else _died(process.returncode)
        )
        where: Where = "pathToTasks" if task is None else "task"
        return heard.done, _Death(Complaint(task, f"{what} {how}", None, where), heard.is_hang)

    def _request(self, batch: Sequence[PreflightConfig], outputs: Sequence[Path]) -> dict[str, Any]:
        return {
            "path_to_tasks": str((self.tree / self.path_to_tasks).absolute()),
            "configs": [
                {"output": str(output), "tasks": config.tasks}
                for config, output in zip(batch, outputs, strict=True)
            ],
        }

    @contextmanager
    def _started(self, request: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """The process and the descriptor of its answers; in the end it is dead, and so is what it started."""
        reader, writer = os.pipe()
        try:
            try:
                process = subprocess.Popen(
                    [self.interpreter.executable, str(_PROGRAM), str(request), str(writer)],
                    cwd=self.tree,
                    env=dict(self.env),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[writer],
                    start_new_session=True,
                )
            finally:
                os.close(writer)
            try:
                yield process, reader
            finally:
                end(lambda: _running(process), grace_s=0)
                with suppress(ProcessLookupError):
                    os.killpg(
                        process.pid, signal.SIGKILL
                    )  # not reaped yet, so the number is still its own
                process.wait()
        finally:
            os.close(reader)

    def _listen(
        self,
        process: subprocess.Popen[bytes],
        answers: int,
        batch: Sequence[PreflightConfig],
        findings: dict[str, Findings],
    ) -> _Heard:
        done, at = 0, (None, "starting the interpreter")
        for answer in _answers(process, answers, self.time_limit_s):
            match answer:
                case {"at": [task, what]}:
                    at = (task, what)
                case {"complaint": complaint}:
                    findings[batch[done].key].complaints.append(Complaint(**complaint))
                case {"done": _}:
                    done += 1
                case None:
                    return _Heard(done, at, is_hang=True)
        return _Heard(done, at, is_hang=False)


def _running(process: subprocess.Popen[bytes]) -> list[Process]:
    return [found for found in with_descendants(table(), [process.pid]) if not found.has_ended]


def _answers(
    process: subprocess.Popen[bytes], answers: int, patience_s: float
) -> Iterator[dict[str, Any] | None]:
    """What the process says, until it ends; None if it is silent for more than `patience_s`."""
    death = os.pidfd_open(process.pid)  # the answers may be held open by a fork of it
    try:
        pending = b""
        deadline = time.monotonic() + patience_s
        while readable := select.select(
            [answers, death], [], [], max(0.0, deadline - time.monotonic())
        )[0]:
            chunk = os.read(answers, 1 << 16) if answers in readable else b""
            if not chunk:
                return
            *lines, pending = (pending + chunk).split(b"\n")
            if lines:
                deadline = time.monotonic() + patience_s
            yield from map(json.loads, lines)
        yield None
    finally:
        os.close(death)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_LONGEST_PRINT).decode("utf-8", "replace")


def _died(code: int) -> str:
    return f"ended the process with {f'exit code {code}' if code >= 0 else f'signal {-code}'}"
