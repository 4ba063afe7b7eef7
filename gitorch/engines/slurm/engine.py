"""The engine of a Slurm cluster, whose nodes share the file system of the repository.

Attempts are jobs. They continue when their worker ends, and another worker finds them again by the
names of their jobs, which are random. What waits for Slurm's programs waits in a thread, so the
worker goes on when the controller does not answer.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from gitorch.engines import order_files
from gitorch.engines.contract import (
    Ended,
    Order,
    Submission,
    recorded_end,
    submission_of,
)
from gitorch.engines.slurm.calls import (
    Calls,
    Listed,
    Sent,
    kills_over_memory,
)
from gitorch.engines.slurm.files import (
    note_submission,
    slurm_environment,
    tail_of,
)
from gitorch.engines.slurm.flight import (
    Batch,
    Flight,
    LastTraces,
    Resubmit,
    explained,
    jobs_to_cancel,
    judge,
)
from gitorch.engines.slurm.leftovers import Leftovers
from gitorch.engines.slurm.tables import (
    Answer,
    Job,
    JobState,
    Request,
    request_of,
    sbatch_command,
    scancel_commands,
    script,
    squeue_command,
)
from gitorch.errors import ProgramMissing
from gitorch.model.run.outcome import CouldNotStart, Interrupted, Lost, Outcome
from gitorch.model.workspace import AttemptDirectory
from gitorch.tools import clock

# Orders that arrive within this time are submitted together.
_GATHERING_S = 0.1
_LONGEST_GATHERING_S = 1.0
_LARGEST_ARRAY = 500
# The most attempts whose files are looked at within a second.
_CHECKS = 2000
# Between two questions to the controller, at least.
_LOOKS_S = 1.0
# The longest pause before a refused batch is submitted again.
_LONGEST_PAUSE_S = 60.0
_RESUBMISSIONS = 3
# The cause of SIGTERM is asked for during this time.
_CAUSE_S = 5.0


class SlurmEngine:
    """An engine whose attempts are jobs of Slurm. `slots` is the most that are queued at once."""

    poll_interval_s: float | None = 0.1
    outlives = True
    name = "slurm"

    def __init__(self, slots: int, _lock: Path | None = None) -> None:
        self.slots = slots
        self._base = slurm_environment()
        self._calls = Calls(self._base)
        self._flights: dict[str, Flight] = {}
        self._known: set[str] = set()
        self._batches: deque[Batch] = deque()
        self._sent: dict[int, Batch] = {}
        self._ends: list[Ended] = []
        self._leftovers = Leftovers()
        self._next_look = 0.0
        self._next_check = 0.0
        self._notices: list[str] = []
        self._said: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        for program in ("sbatch", "squeue", "scancel"):
            if shutil.which(program, path=self._base.get("PATH")) is None:
                raise ProgramMissing(
                    f"there is no {program} on this machine, which the engine slurm needs",
                    "a login node of the cluster has it; --engine local executes tasks here",
                )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Submit what is not submitted yet, and leave the jobs to the next worker.

        The jobs of ended attempts are not left.
        """
        try:
            for batch in list(self._batches):
                self._submit_batch(batch)
            names = self._leftovers.names()
            if names:
                self._calls.look(squeue_command(sorted(names), os.getuid()))
            self._calls.settle()
            self._note_answers()
        finally:
            self._calls.close()

    def submit(self, order: Order) -> None:
        if order.token in self._known:
            return
        self._known.add(order.token)
        flight = Flight(
            token=order.token, directory=str(order.directory), order=order
        )
        self._flights[order.token] = flight
        try:
            request = request_of(order)
        except ValueError as error:
            self._end(
                flight, CouldNotStart(message=f"its request to Slurm: {error}")
            )
            return
        flight.heartbeat_s = request.heartbeat_s
        self._add(request, flight)

    def take_over(self, token: str, directory: Path) -> bool:
        submission = submission_of(directory, token)
        if submission is None or submission.engine != self.name:
            return False
        if token not in self._known:
            self._known.add(token)
            now = time.monotonic()
            flight = Flight(
                token=token,
                directory=str(directory),
                order=None,
                submission=submission,
                heartbeat_s=submission.heartbeat_s,
            )
            flight.feel(order_files.last_beat(directory), now)
            self._flights[token] = flight
            self._next_look = 0.0
        return True

    def poll(self) -> list[Ended]:
        now = time.monotonic()
        self._note_answers()
        self._send_batches(now)
        self._look(now)
        if now >= self._next_check:
            for flight in list(self._flights.values()):
                self._check(flight, now)
            self._next_check = now + len(self._flights) / _CHECKS
        ends, self._ends = self._ends, []
        return ends

    def descriptors(self) -> list[int]:
        return []

    def cancel(self, token: str, outcome: Outcome) -> None:
        flight = self._flights.get(token)
        if flight is None or flight.cancelled is not None:
            return
        flight.cancelled = outcome
        for batch in list(self._batches):
            if flight in batch.flights:
                batch.flights.remove(flight)
                self._end(flight, outcome)
                return
        with suppress(OSError):
            order_files.request_end(Path(flight.directory), token, outcome)
        self._next_look = 0.0

    def notices(self) -> list[str]:
        notices, self._notices = self._notices, []
        return notices

    def free(self) -> int:
        return max(0, self.slots - len(self._flights))

    # -- submitting

    def _add(self, request: Request, flight: Flight) -> None:
        """Add an attempt to the batch of its request."""
        now = time.monotonic()
        for batch in self._batches:
            is_open = len(batch.flights) < _LARGEST_ARRAY and not batch.not_before
            if batch.request == request and is_open:
                batch.flights.append(flight)
                batch.latest = now
                return
        self._batches.append(Batch(request, [flight], since=now, latest=now))

    def _send_batches(self, now: float) -> None:
        for batch in list(self._batches):
            is_full = len(batch.flights) >= _LARGEST_ARRAY
            is_quiet = now - batch.latest >= _GATHERING_S
            is_old = now - batch.since >= _LONGEST_GATHERING_S
            if now >= batch.not_before and (is_full or is_quiet or is_old):
                self._submit_batch(batch)

    def _submit_batch(self, batch: Batch) -> None:
        """Write the orders, note the name of the jobs, and have them submitted."""
        self._batches.remove(batch)
        ready = []
        for flight in batch.flights:
            try:
                self._write_order(flight, batch.request)
            except OSError as error:
                self._end(flight, CouldNotStart(message=str(error)))
            else:
                ready.append(flight)
        if not ready:
            return
        batch.flights = ready
        first = ready[0]
        first.submissions += 1
        name = f"gitorch-{first.token}"
        if first.submissions > 1:
            name += f"-{first.submissions}"
        for index, flight in enumerate(ready):
            flight.submissions = first.submissions
            flight.submission = Submission(
                token=flight.token,
                engine=self.name,
                name=name,
                index=index,
                heartbeat_s=flight.heartbeat_s,
            )
            note_submission(flight)
        title = ready[0].order.title if ready[0].order else ""
        if len(ready) > 1:
            title = f"{title} and {len(ready) - 1} more"
        command = sbatch_command(batch.request, name, len(ready), title)
        directories = [flight.directory for flight in ready]
        text = script(batch.request, directories, order_files.keeper_command())
        self._sent[self._calls.send(command, text)] = batch

    def _write_order(self, flight: Flight, request: Request) -> None:
        if flight.order is None:
            raise AssertionError("only own orders are submitted")
        order_files.write_order(
            flight.order,
            self._base,
            beat_s=request.heartbeat_s,
            checkpoint_s=request.checkpoint_s,
        )

    def _note_answers(self) -> None:
        for answer in self._calls.answers():
            match answer:
                case Sent():
                    self._note_answer(answer)
                case Listed():
                    self._note_jobs(answer, time.monotonic())

    def _note_answer(self, answer: Sent) -> None:
        batch = self._sent.pop(answer.number)
        now = time.monotonic()
        match answer.meaning:
            case Answer.SUBMITTED:
                for flight in batch.flights:
                    self._note_job(
                        flight, answer.text, is_array=len(batch.flights) > 1
                    )
            case Answer.REFUSED:
                for flight in batch.flights:
                    order_files.withdraw_order(Path(flight.directory))
                    self._end(
                        flight, CouldNotStart(message=f"sbatch: {answer.text}")
                    )
            case Answer.LATER:
                self._say(
                    "limit",
                    answer.text,
                    f"Slurm takes no more jobs now ({answer.text})",
                )
                batch.not_before = now + batch.pause_s
                batch.pause_s = min(2 * batch.pause_s, _LONGEST_PAUSE_S)
                self._batches.append(batch)
            case Answer.UNKNOWN:
                # The jobs may have been submitted: squeue tells, when it answers.
                self._say(
                    "lost", answer.text, f"no answer from sbatch ({answer.text})"
                )
        for flight in batch.flights:
            flight.gone_since = None

    def _note_job(self, flight: Flight, number: str, *, is_array: bool) -> None:
        submission = flight.submission
        if submission is None:
            return
        job = f"{number}_{submission.index}" if is_array else number
        flight.submission = replace(submission, job=job)
        note_submission(flight)

    # -- looking

    def _look(self, now: float) -> None:
        """Ask Slurm about the jobs, if it is time."""
        if now < self._next_look or self._calls.is_looking:
            return
        names = self._leftovers.names()
        for flight in self._flights.values():
            if flight.submission is not None:
                names.add(flight.submission.name)
        if not names:
            return
        self._next_look = now + max(_LOOKS_S, 20 * self._calls.last_look_s)
        self._calls.look(squeue_command(sorted(names), os.getuid()))

    def _note_jobs(self, listed: Listed, now: float) -> None:
        """Note the states of the jobs, unless squeue has failed: then nothing is known."""
        if listed.error is not None:
            self._say("squeue", "", f"Slurm does not answer ({listed.error})")
            return
        self._said.discard(("squeue", ""))
        jobs = {(job.name, job.array_index): job for job in listed.jobs}
        being_sent: set[str] = set()
        for batch in self._sent.values():
            being_sent.update(flight.token for flight in batch.flights)
        for flight in self._flights.values():
            submission = flight.submission
            if submission is None or flight.token in being_sent:
                continue
            flight.see(
                jobs.get((submission.name, submission.index or 0)),
                now,
                asked=listed.asked,
            )
            self._note_reason(flight)
        self._cancel_jobs(jobs.values(), now)

    def _note_reason(self, flight: Flight) -> None:
        """Note why a job waits, for `status`, and say so if somebody has to act."""
        job = flight.job
        submission = flight.submission
        if job is None or submission is None:
            return
        note = None
        if job.meaning is JobState.WAITING and job.reason not in ("None", ""):
            note = job.reason
        if job.is_held:
            number = job.number
            text = f"job {number} is held in Slurm ({job.reason}): scontrol release {number}"
            self._say("held", flight.token, text)
        if (submission.job, submission.note) != (job.number, note):
            flight.submission = replace(submission, job=job.number, note=note)
            note_submission(flight)

    def _cancel_jobs(self, jobs: Collection[Job], now: float) -> None:
        """Cancel the jobs that are to be ended, and those that attempts have left behind."""
        gently, at_once = jobs_to_cancel(self._flights.values(), now)
        at_once += self._leftovers.take_from(jobs)
        for command in scancel_commands(gently, at_once=False):
            self._calls.cancel(command)
        for command in scancel_commands(at_once, at_once=True):
            self._calls.cancel(command)

    # -- ending

    def _check(self, flight: Flight, now: float) -> None:
        """End an attempt that has recorded its end, or that will never record one."""
        if flight.submission is None:
            return
        directory = Path(flight.directory)
        if AttemptDirectory(directory).status.exists():
            ended = recorded_end(directory, flight.token)
            if ended is not None:
                self._take(flight, ended, now)
                return
        flight.feel(order_files.last_beat(directory), now)
        traces = LastTraces(partial(tail_of, directory), kills_over_memory)
        match judge(flight, now, traces):
            case None:
                return
            case Resubmit():
                self._resubmit(flight)
            case outcome:
                order_files.give_up(directory, flight.token, outcome)
                self._end(flight, outcome)

    def _take(self, flight: Flight, ended: Ended, now: float) -> None:
        """Accept a recorded end. If SIGTERM has ended the program, Slurm may know the cause."""
        if flight.ended_since is None:
            flight.ended_since = now
            self._next_look = 0.0
        outcome = explained(ended.outcome, flight)
        if outcome is None and now - flight.ended_since < _CAUSE_S:
            return
        self._finish(flight, replace(ended, outcome=outcome or ended.outcome))

    def _end(self, flight: Flight, outcome: Outcome) -> None:
        """End an attempt that has recorded no end."""
        ended = Ended.unrecorded(flight.token, outcome, started=clock.now())
        self._finish(flight, ended)

    def _finish(self, flight: Flight, ended: Ended) -> None:
        del self._flights[flight.token]
        self._ends.append(ended)
        if flight.submission is not None:
            self._leftovers.add(flight.submission)

    def _resubmit(self, flight: Flight) -> None:
        """Submit an order once more that Slurm does not know, unless it has begun after all."""
        if flight.submissions >= _RESUBMISSIONS:
            order_files.withdraw_order(Path(flight.directory))
            self._end(flight, Lost(message="Slurm forgot its job several times"))
            return
        if not order_files.withdraw_order(Path(flight.directory)):
            return
        flight.gone_since = None
        if flight.order is None:
            self._end(flight, Interrupted(message="Slurm does not know its job"))
            return
        flight.submission = None
        self._add(request_of(flight.order), flight)

    def _say(self, kind: str, about: str, text: str) -> None:
        if (kind, about) not in self._said:
            self._said.add((kind, about))
            self._notices.append(text)
