"""The program `gitorch`, which is also `git orch` and `python -m gitorch`.

Its imports take longer than many commands. A signal in that time ends the program at once, since
nothing was begun. Only what every start of Python has loaded is imported here.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

_INTERRUPTED = 130
_TOOLS = 6  # that `sys.monitoring` can have


def program() -> NoReturn:
    """Run the program, and end the process without freeing what the process has.

    Python would free every module and object on its own, which takes 10 ms, a sixth of a short
    command. Before, the functions registered with `atexit` are called and the streams are written.
    If a thread still works or somebody measures the program, Python itself ends the process.
    """
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:  # before `main` handles signals
        os._exit(_INTERRUPTED)
    import atexit  # noqa: PLC0415  a signal may come before `main`
    import threading  # noqa: PLC0415

    if _is_observed() or threading.active_count() > 1:
        sys.exit(code)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _is_observed() -> bool:
    """Return True if a debugger, a profiler or a measurement of coverage observes the program."""
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return True
    monitoring = getattr(sys, "monitoring", None)  # from Python 3.12 on
    return monitoring is not None and any(map(monitoring.get_tool, range(_TOOLS)))


def main() -> NoReturn:
    """Run the program and exit."""
    _handle_signals(_end_at_once)
    from gitorch.cli.app import app  # noqa: PLC0415  a signal may come meanwhile
    from gitorch.cli.boundary import launch  # noqa: PLC0415

    try:
        code = launch(app)
        # The work is done and printed: a signal while Python ends changes nothing. Python would
        # give any other handler up before it has ended.
        _handle_signals(signal.SIG_IGN)
    except KeyboardInterrupt:  # between these two steps
        _handle_signals(signal.SIG_IGN)
        code = _INTERRUPTED
    if sys.flags.inspect:
        # With PYTHONINSPECT, Python would print a traceback and wait for input instead of ending.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    os._exit(_INTERRUPTED)


def _handle_signals(
    handler: Callable[[int, FrameType | None], None] | signal.Handlers,
) -> None:
    """Handle the signals that ask for the end of the program, except those that are ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


if __name__ == "__main__":
    program()
