"""The calls of Slurm's programs, one after another in a thread, since they wait for the controller.

A program of Slurm takes ten seconds to notice that there is no controller.
"""

from __future__ import annotations

import getpass
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

from msgspec import Struct

from gitorch.engines.slurm.tables import (
    CONFIGURATION_COMMAND,
    Answer,
    Job,
    Limits,
    limits_commands,
    parse_kills_over_memory,
    parse_limits,
    parse_sbatch,
    parse_squeue,
)

_PATIENCE_S = 100.0
_LIMITS_S = 5.0


def limits_of_site() -> Limits:
    """Return the limits of the site, as far as its programs say within a few seconds."""
    return parse_limits(*map(_said, limits_commands(getpass.getuser())))


def kills_over_memory() -> bool:
    """Return True if Slurm itself kills jobs that take more memory than they asked for.

    Return False if it does not say so within a few seconds.
    """
    return parse_kills_over_memory(_said(CONFIGURATION_COMMAND))


def _said(command: Sequence[str]) -> str:
    """Return the output of a command, empty if it fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_LIMITS_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


class Sent(Struct, frozen=True, kw_only=True):
    """The answer of sbatch to the call with this number; `text` is the job's number, or why not."""

    number: int
    meaning: Answer
    text: str


class Listed(Struct, frozen=True, kw_only=True):
    """The jobs that squeue has listed, or why it has failed; `asked` is when it was called."""

    asked: float
    jobs: Sequence[Job] = ()
    error: str | None = None


class Calls:
    """The thread. All methods are called by the thread that owns the engine."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._thread = ThreadPoolExecutor(1, "slurm")
        self._answers: SimpleQueue[Sent | Listed] = SimpleQueue()
        self._sends = 0
        self._looks = 0
        self.last_look_s = 0.0

    @property
    def is_looking(self) -> bool:
        """Return True if squeue was called and its answer was not read yet."""
        return self._looks > 0

    def send(self, command: Sequence[str], text: str) -> int:
        """Call sbatch with a script. Return the number of the call."""
        self._sends += 1
        self._thread.submit(self._send, self._sends, command, text)
        return self._sends

    def look(self, command: Sequence[str]) -> None:
        self._looks += 1
        self._thread.submit(self._look, command)

    def cancel(self, command: Sequence[str]) -> None:
        """Call scancel. Whether it has had an effect is seen in the state of the jobs."""
        self._thread.submit(self._run, command)

    def answers(self) -> list[Sent | Listed]:
        """Return the answers since the last call."""
        answers: list[Sent | Listed] = []
        while True:
            try:
                answer = self._answers.get_nowait()
            except Empty:
                return answers
            if isinstance(answer, Listed):
                self._looks -= 1
            answers.append(answer)

    def settle(self) -> None:
        """Wait until all calls have their answers."""
        self._thread.submit(int).result()

    def close(self) -> None:
        """Wait for the calls that have not ended."""
        self._thread.shutdown(wait=True)

    def _send(self, number: int, command: Sequence[str], text: str) -> None:
        exit_code, output, errors = self._run(command, text)
        meaning, said = parse_sbatch(exit_code, output, errors)
        self._answers.put(Sent(number=number, meaning=meaning, text=said))

    def _look(self, command: Sequence[str]) -> None:
        began = time.monotonic()
        exit_code, output, errors = self._run(command)
        self.last_look_s = time.monotonic() - began
        if exit_code == 0:
            self._answers.put(Listed(asked=began, jobs=parse_squeue(output)))
        else:
            lines = errors.strip().splitlines() or [f"exit code {exit_code}"]
            self._answers.put(Listed(asked=began, error=lines[-1]))

    def _run(self, command: Sequence[str], text: str = "") -> tuple[int, str, str]:
        """Return the exit code, the output and the messages of a program."""
        try:
            done = subprocess.run(
                command,
                input=text,
                env=dict(self._environment),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE_S,
                start_new_session=True,  # Ctrl-C is for gitorch
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 1, "", f"{command[0]} timed out"
        except OSError as error:
            return 1, "", f"error: {error}"
        return done.returncode, done.stdout, done.stderr
