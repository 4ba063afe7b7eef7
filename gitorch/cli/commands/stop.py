"""`gitorch stop`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli import offers
from gitorch.cli.arguments import JsonOption, site_here
from gitorch.cli.boundary import guarded, print_json
from gitorch.cli.style import in_line, say
from gitorch.model.text.phrases import counted

if TYPE_CHECKING:
    from gitorch.actions.stop import Stopped, StoppedWorker, Stopping


@guarded
def command(
    pids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PID]...",
            help="Workers, as gitorch status shows them. Default: all of this clone.",
            autocompletion=offers.workers,
        ),
    ] = None,
    now: Annotated[
        bool,
        typer.Option(
            "--now",
            help="Send running tasks back to the queue, instead of waiting for them.",
        ),
    ] = False,
    no_wait: Annotated[
        bool,
        typer.Option("--no-wait", help="Do not wait until the workers have ended."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let workers end after their running tasks, as Ctrl-C does."""
    from gitorch.actions.stop import stop
    from gitorch.storage.stop_requests import Stops

    stopped = stop(
        site_here(),
        pids or [],
        _say_news,
        stops=Stops.NOW if now else Stops.FINISH,
        waits=not no_wait,
    )
    if as_json:
        print_json(stopped.to_json())
    else:
        _say_summary(stopped)


def _say_news(news: Stopping | StoppedWorker) -> None:
    from gitorch.actions.stop import Stopping

    worker = f"worker {in_line(news.worker.host)}:{news.worker.pid}"
    if not isinstance(news, Stopping):
        say(f"{worker} {'was killed' if news.died else 'has ended'}")
    elif news.tasks:
        tasks = counted(news.tasks, "running task")
        say(f"{worker} waits for {tasks}; gitorch stop --now does not")
    else:
        say(f"{worker} is ending")


def _say_summary(stopped: Stopped) -> None:
    if not stopped.workers:
        say("nothing to stop: no worker is running")
        return
    asked = [worker for worker in stopped.workers if not worker.has_ended]
    if asked:
        say(f"{counted(len(asked), 'worker')} asked to stop; see gitorch status")
    elif stopped.queued:
        say(f"{counted(stopped.queued, 'run')} queued; gitorch run continues")
