"""The part of gitorch that tasks use: a base class, and two functions that report from inside.

Outside of a run the functions do nothing, so that a Tasks.py can be used and tested by itself.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

__all__ = ["TaskBase", "metric", "progress"]

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class TaskBase(ABC):
    """A task: a class in Tasks.py with these methods.

    Deriving from TaskBase is optional: gitorch accepts every class with these methods.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    @abstractmethod
    def run(self) -> Any:
        """Do the work, and return a result.

        The result is kept if it is JSON. The top-level numbers of a mapping are metrics.
        """

    def validate(self) -> Sequence[str]:
        """Return messages that say what is wrong with the config.

        This is called before anything is queued, so it should be quick.
        """
        return []


def progress(done: float, total: float) -> None:
    """Report that `done` of `total` steps are done."""
    _report({"progress": [_number(done), _number(total)]})


def metric(name: str, value: float, step: float | None = None) -> None:
    """Report a measured value.

    The last value of a name is the metric, and all values of a name are its curve.
    """
    event = {"metric": str(name), "value": _number(value)}
    if step is not None:
        event["step"] = _number(step)
    _report(event)


def _number(value: float) -> float | None:
    """Return a number that JSON can hold, also for the numbers of NumPy and tensors.

    NaN and infinities become null.
    """
    if isinstance(value, int):
        return int(value)
    value = float(value)
    is_finite = value - value == 0  # without `math`, which takes time to import
    return value if is_finite else None


def _report(event: dict[str, Any]) -> None:
    """Append an event as a line, with a single write: lines of several processes do not mix."""
    path = os.environ.get("GITORCH_EVENTS")
    if not path:
        return
    import json  # takes milliseconds, and most programs never report

    line = json.dumps(event).encode() + b"\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError:
        return  # a full disk is no reason to end hours of training
    try:
        os.write(descriptor, line)
    except OSError:
        pass
    finally:
        os.close(descriptor)
