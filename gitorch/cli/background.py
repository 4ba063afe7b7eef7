"""A worker in the background: what it prints goes to its log when it has begun."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gitorch.cli.announcements import Announcements
from gitorch.cli.boundary import EXIT_INTERRUPTED, EXIT_OK, print_json
from gitorch.cli.style import in_line, local_time, say
from gitorch.database.values import Worker
from gitorch.errors import GitorchError
from gitorch.model.run.announcement import Announcement, Listener
from gitorch.storage.site import Site
from gitorch.storage.worker_logs import WorkerLog, create_log
from gitorch.tools.background import Background, Foreground, go_into_background
from gitorch.tools.clock import now

_KILLED = 128  # the first exit code of a program that was ended by a signal


class BackgroundWorker:
    """The worker, in its own process. Until it has begun, it prints to the terminal."""

    def __init__(self, background: Background) -> None:
        self._background = background

    @property
    def has_begun(self) -> bool:
        return self._background.has_begun

    def begin(self, site: Site, worker: Worker) -> None:
        """Leave the terminal, since there is work to do."""
        log = create_log(site, worker)
        facts = {
            "host": worker.host,
            "pid": worker.pid,
            "since": worker.since,
            "log": str(WorkerLog.of(site.state, worker).path),
        }
        # The lock is freed when this process ends.
        self._background.begin(json.dumps(facts).encode(), log.output)
        os.close(log.output)
        command = shlex.join(["gitorch", *sys.argv[1:]])
        self.say(f"worker {worker.host}:{worker.pid} begins: {in_line(command)}")

    def say(self, text: str) -> None:
        """Print a message, in the log with the time."""
        say(f"{local_time(now())}  {text}" if self.has_begun else text)

    def say_end(self) -> None:
        if self.has_begun:
            self.say("the worker ends")

    @contextmanager
    def showing(self) -> Iterator[Listener]:
        """Provide a listener that prints every announcement."""
        lines = Announcements(colors=False)

        def listen(announcement: Announcement) -> None:
            self.say(lines.render(announcement))

        yield listen


def start_worker(*, as_json: bool) -> BackgroundWorker | int:
    """Continue in the background, and return the worker there.

    In the foreground, say how the worker began, and return the exit code.
    """
    launched = go_into_background()
    if isinstance(launched, Background):
        return BackgroundWorker(launched)
    return _say_begun(launched, as_json=as_json)


def _say_begun(launched: Foreground, *, as_json: bool) -> int:
    if launched.message:
        facts = json.loads(launched.message)
        if as_json:
            print_json({"schema": "gitorch/run/v1", "runs": [], "worker": facts})
            return EXIT_OK
        pid = facts["pid"]
        say(f"worker {pid} works in the background, also when this terminal closes")
        say(f"  follow it:  gitorch logs --worker {pid} -f")
        say("  wait:       gitorch wait")
        say(f"  stop it:    gitorch stop {pid}")
        return EXIT_OK
    if launched.code > _KILLED and launched.code != EXIT_INTERRUPTED:
        number = launched.code - _KILLED
        raise GitorchError(f"the worker was ended by signal {number} as it started")
    return launched.code
