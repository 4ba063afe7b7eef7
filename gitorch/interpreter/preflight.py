"""Preflight: the project's interpreter constructs and validates every task before a run is queued.

One process checks all configs with the pinned code. If the process dies, the config that it was
checking gets a complaint. If an earlier task may be the cause, the config is first checked again in
another process, from that task on. If the process hangs, the config gets a complaint at once.
Another process continues with the remaining configs.

A complaint may also be caused by a task before it in the same process, for example if two runs of a
sweep register the same name. In a run, each task has a process of its own. Therefore such a task is
checked again, alone.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import tempfile
from collections import Counter, deque
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from msgspec import Struct, field

from gitorch import runner
from gitorch.interpreter.probe import Interpreter
from gitorch.tools.pidfd import end_of
from gitorch.tools.process import Process, end, table, with_descendants
from gitorch.tools.untrusted import open_file
from gitorch.tools.waits import Wait

_PROGRAM = Path(runner.__file__).with_name("preflight_program.py")
_LOOK_S = 0.5
_MOST_PROCESSES = (
    20  # that are started because an earlier task may be the cause of a failure
)
_ENOUGH = 3  # tasks that do not fail alone, after which their reason is not taken to be true
_VALUES = re.compile(r"""'[^']*'|"[^"]*"|[0-9][0-9.e+-]*""")
_LONGEST_OUTPUT = 1 << 20  # bytes of output that are kept for the tasks of a config

Where = Literal["pathToTasks", "method", "task"]


class PreflightTask(NamedTuple):
    """A class task and the dict that is passed to its constructor.

    There is no preflight for tasks with a command.
    """

    id: str
    method: str
    config: Mapping[str, Any]


class PreflightConfig(NamedTuple):
    """The tasks of a config. The caller finds its findings by the `key`."""

    key: str
    tasks: Sequence[PreflightTask]


class Complaint(NamedTuple):
    """A fault of a task, or of all tasks if `task` is None. `where` is the config key to show."""

    task: str | None
    message: str
    hint: str | None
    where: Where


class Findings(Struct):
    """The result for one config; `printed` is the output of its tasks, cut at 1 MiB."""

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
    """Check the tasks of all configs, and return the findings by the keys of the configs.

    `tree` is the pinned code, and `path_to_tasks` is a directory in it. `time_limit_s` is the time
    limit of each call of the project's code.
    """
    findings = {config.key: Findings() for config in configs}
    with_classes = [config for config in configs if config.tasks]
    missing = _missing_module(tree / path_to_tasks, path_to_tasks)
    if missing:
        _blame(with_classes, missing, findings)
        return findings
    process = _PreflightProcess(interpreter, tree, path_to_tasks, env, time_limit_s)
    batches: deque[list[PreflightConfig]] = deque()
    if with_classes:
        batches.append(with_classes)
    first_tasks: set[tuple[str, str]] = set()
    while batches:
        batch = batches.popleft()
        first_tasks.add((batch[0].key, batch[0].tasks[0].id))
        completed, death = process.run(batch, findings)
        if death is None:
            continue
        batches += _after_death(
            batch,
            completed,
            death,
            findings,
            is_last_try=len(first_tasks) >= _MOST_PROCESSES,
        )
    alone = _AloneChecks(process)
    for config in with_classes:
        found = findings[config.key]
        found.complaints = alone.confirmed(config, found.complaints, first_tasks)
    return findings


def _after_death(
    batch: Sequence[PreflightConfig],
    completed: int,
    death: _Death,
    findings: dict[str, Findings],
    *,
    is_last_try: bool,
) -> Iterator[list[PreflightConfig]]:
    """Blame the config that was checked when the process died, or yield it to be checked again.

    Yield the configs after it as well.
    """
    if death.complaint.where == "pathToTasks":
        _blame(batch[completed:], death.complaint, findings)
        return
    culprit = batch[completed]
    remaining = _from_task(culprit, death.complaint.task)
    is_first = completed == 0 and remaining == culprit
    if is_first or death.is_hang or is_last_try:
        _blame([culprit], death.complaint, findings)
    elif completed == 0:
        # An earlier task of the config may have caused the death.
        yield [remaining]
    else:
        # An earlier config may have caused the death: try this one again by itself.
        findings[culprit.key] = Findings()
        yield [culprit]
    rest = list(batch[completed + 1 :])
    if rest:
        yield rest


def _from_task(config: PreflightConfig, task_id: str | None) -> PreflightConfig:
    """Return the config without the tasks before the one with this id."""
    for index, task in enumerate(config.tasks):
        if task.id == task_id:
            return PreflightConfig(config.key, config.tasks[index:])
    return config


def _blame(
    configs: Sequence[PreflightConfig],
    complaint: Complaint,
    findings: Mapping[str, Findings],
) -> None:
    for config in configs:
        findings[config.key].complaints.append(complaint)


def _missing_module(directory: Path, written: str) -> Complaint | None:
    """Return a complaint if there is no Tasks.py in `directory`, which a config calls `written`."""
    if (directory / "Tasks.py").is_file():
        return None
    hint = "`pathToTasks` names the directory of Tasks.py"
    for path in sorted(directory.glob("*.py")):
        if path.name.lower() == "tasks.py":
            hint = f"it is spelled {path.name}: rename it"
            break
    message = f"there is no Tasks.py in {written!r} in the commit"
    return Complaint(None, message, hint, "pathToTasks")


class _Death(NamedTuple):
    """The end of a process that did not complete its batch.

    `is_hang` is True if the process had to be killed.
    """

    complaint: Complaint
    is_hang: bool


class _Progress(NamedTuple):
    """The progress of a process when it completed the batch, ended or fell silent.

    `last_call` is the id of a task, None for the import of Tasks.py, and a description of the last
    call into the project.
    """

    completed: int
    last_call: tuple[str | None, str]
    is_silent: bool


class _AloneChecks:
    """Checks of single tasks in processes of their own.

    There is a bound on them: a sweep has up to thousands of runs, which often fail for one reason.
    Complaints that differ only in numbers and quoted values have the same reason. If one task of a
    reason fails alone, all its complaints are taken to be true. If several do not, none is.
    """

    def __init__(self, process: _PreflightProcess) -> None:
        self._process = process
        self._processes = 0
        self._passed: Counter[str] = Counter()
        self._failed: set[str] = set()

    def confirmed(
        self,
        config: PreflightConfig,
        complaints: Sequence[Complaint],
        first_tasks: Container[tuple[str, str]],
    ) -> list[Complaint]:
        """Return the complaints of a config that no task before it in its process can explain."""
        tasks = {task.id: task for task in config.tasks}
        confirmed: list[Complaint] = []
        for complaint in complaints:
            is_first = (config.key, complaint.task or "") in first_tasks
            # A name that is not a task is not one in another process either.
            is_certain = is_first or complaint.where != "task"
            task = tasks.get(complaint.task or "")
            if is_certain or task is None:
                confirmed.append(complaint)
            else:
                confirmed += self._alone(task, complaint)
        return list(dict.fromkeys(confirmed))

    def _alone(self, task: PreflightTask, complaint: Complaint) -> list[Complaint]:
        """Return the complaints about a task that is alone in its process."""
        reason = _reason(task, complaint)
        if self._passed[reason] >= _ENOUGH:
            return []
        if reason in self._failed or self._processes >= _MOST_PROCESSES:
            return [complaint]
        self._processes += 1
        alone = {"": Findings()}
        _, death = self._process.run([PreflightConfig("", [task])], alone)
        complaints = alone[""].complaints
        if death is not None:
            complaints.append(death.complaint)
        if reason in [_reason(task, other) for other in complaints]:
            self._failed.add(reason)
        else:
            self._passed[reason] += 1
        return complaints


def _reason(task: PreflightTask, complaint: Complaint) -> str:
    """Return the same text for complaints that differ only in numbers and quoted values."""
    return f"{task.method}: {_VALUES.sub('#', complaint.message)}"


class _PreflightProcess(Struct, frozen=True):
    """How to start a process that runs preflight_program.py."""

    interpreter: Interpreter
    tree: Path
    path_to_tasks: str
    env: Mapping[str, str]
    time_limit_s: float

    def run(
        self, batch: Sequence[PreflightConfig], findings: Mapping[str, Findings]
    ) -> tuple[int, _Death | None]:
        """Start a process for a batch of configs, and add its answers to the findings.

        Return the number of completed configs, and the death of the process if it did not finish.
        """
        with tempfile.TemporaryDirectory(prefix="gitorch-preflight-") as temporary:
            directory = Path(temporary)
            outputs = [directory / f"{index}.out" for index in range(len(batch))]
            request = directory / "request.json"
            request.write_text(json.dumps(self._request(batch, outputs)))
            with self._started(request) as (process, answers):
                progress = self._listen(process, answers, batch, findings)
            for config, output in zip(batch, outputs, strict=True):
                if output.exists():
                    findings[config.key].printed += _read_output(output)
        if progress.completed == len(batch):
            return progress.completed, None
        task, call = progress.last_call
        end_of_call = _end_of_process(process.returncode)
        if progress.is_silent:
            end_of_call = f"does not end within {self.time_limit_s:g} s"
        where: Where = "task"
        if task is None:
            where = "pathToTasks"
        complaint = Complaint(task, f"{call} {end_of_call}", None, where)
        return progress.completed, _Death(complaint, progress.is_silent)

    def _request(
        self, batch: Sequence[PreflightConfig], outputs: Sequence[Path]
    ) -> dict[str, Any]:
        configs = []
        for config, output in zip(batch, outputs, strict=True):
            configs.append({"output": str(output), "tasks": config.tasks})
        tasks_directory = self.tree / self.path_to_tasks
        return {
            "path_to_tasks": str(tasks_directory.absolute()),
            "configs": configs,
        }

    @contextmanager
    def _started(
        self, request: Path
    ) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """Start the process, and yield the process and the descriptor of its answers.

        The process and all its descendants are killed at the end.
        """
        reader, writer = os.pipe()
        try:
            try:
                process = subprocess.Popen(
                    [
                        self.interpreter.executable,
                        str(_PROGRAM),
                        str(request),
                        str(writer),
                    ],
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
                end(lambda: _running_processes(process), grace_s=0)
                # The process is not reaped yet, so no other process can have its id.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        finally:
            os.close(reader)

    def _listen(
        self,
        process: subprocess.Popen[bytes],
        answers: int,
        batch: Sequence[PreflightConfig],
        findings: Mapping[str, Findings],
    ) -> _Progress:
        """Add complaints to the findings until the process ends or is silent for too long."""
        completed = 0
        last_call: tuple[str | None, str] = (None, "starting the interpreter")
        for answer in _answers(process, answers, self.time_limit_s):
            match answer:
                case {"at": [task, call]}:
                    last_call = (task, call)
                case {"complaint": complaint}:
                    config = batch[completed]
                    findings[config.key].complaints.append(Complaint(**complaint))
                case {"done": _}:
                    completed += 1
                case None:
                    return _Progress(completed, last_call, is_silent=True)
        return _Progress(completed, last_call, is_silent=False)


def _running_processes(process: subprocess.Popen[bytes]) -> list[Process]:
    """Return the process and its descendants, without those that have ended."""
    processes = with_descendants(table(), [process.pid])
    return [running for running in processes if not running.has_ended]


def _answers(
    process: subprocess.Popen[bytes], answers: int, patience_s: float
) -> Iterator[dict[str, Any] | None]:
    """Yield the answers of a process until it ends; yield None if it is silent for `patience_s`."""
    # A forked process may keep the pipe of the answers open, so the end of the pipe does not show
    # the end of the process.
    with end_of(process.pid) as death:
        pending = b""
        wait = Wait("validate() of the tasks", bound_s=patience_s)
        while True:
            wait.check()
            moment_s = min(_LOOK_S, wait.remaining_s)
            readable, _, _ = select.select([answers, death], [], [], moment_s)
            if not readable and wait.remaining_s:
                continue
            if not readable:
                yield None
                return
            if answers not in readable:
                return
            chunk = os.read(answers, 1 << 16)
            if not chunk:
                return
            *lines, pending = (pending + chunk).split(b"\n")
            if lines:
                wait = Wait("validate() of the tasks", bound_s=patience_s)
            for line in lines:
                yield json.loads(line)


def _read_output(path: Path) -> str:
    try:
        with open_file(path) as file:
            return file.read(_LONGEST_OUTPUT).decode("utf-8", "replace")
    except OSError as error:  # the project's code can put anything there
        return f"its output cannot be read: {error}"


def _end_of_process(code: int) -> str:
    if code >= 0:
        return f"ended the process with exit code {code}"
    return f"ended the process with signal {-code}"
