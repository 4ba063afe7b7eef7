"""The part of gitorch that tasks use: a base class, and two functions that report to the run.

This file stands in for gitorch where gitorch is not installed. Where it is installed, importing
this file imports the real package.

Outside of a run the functions do nothing, so that a Tasks.py can be used and tested by itself.
"""

from __future__ import annotations

import os
import sys
import time
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
    """Report a value of the metric `name`.

    The last value that is reported is the value of the metric. All values are its series.
    """
    event = {"metric": str(name), "value": _number(value)}
    if step is not None:
        event["step"] = _number(step)
    event["time"] = round(time.time(), 3)
    _report(event)


def _number(value: float) -> float | None:
    """Return a number as JSON can hold it; NumPy numbers and tensors are accepted.

    NaN and infinities become null, and integers beyond 64 bits become floats.
    """
    if isinstance(value, int) and abs(value) < 1 << 63:
        return int(value)
    try:
        value = float(value)
    except OverflowError:
        return None
    is_finite = value - value == 0  # without `math`, which takes time to import
    if not is_finite:
        return None
    return value


def _report(event: dict[str, Any]) -> None:
    """Append an event as a line, in one write, so that lines of several processes do not mix."""
    path = os.environ.get("GITORCH_EVENTS")
    if not path:
        return
    import json  # takes milliseconds, and most programs never report

    line = json.dumps(event) + "\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError:
        return  # a full disk must not end hours of training
    try:
        os.write(descriptor, line.encode())
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _find_real() -> Any:
    """Return the spec of the real package, or None if the interpreter has none."""
    own = os.path.dirname(os.path.abspath(__file__))
    others = [entry for entry in sys.path if os.path.abspath(entry or ".") != own]
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        if find_spec is None:
            continue
        # The finder of sys.path is a class that takes the directories to search; the finders of
        # editable installs are not interested in them.
        is_path_finder = getattr(finder, "__name__", "") == "PathFinder"
        spec = find_spec("gitorch", others if is_path_finder else None)
        # A package has places; a directory without code, of the same name, has no loader.
        if spec is not None and spec.loader and spec.submodule_search_locations:
            return spec
    return None


def _import_real() -> None:
    """Put the real package in the place of this module, if it can be imported."""
    spec = _find_real()
    if spec is None or spec.origin is None:
        return
    from importlib.util import module_from_spec

    own = sys.modules["gitorch"]
    real = module_from_spec(spec)
    sys.modules["gitorch"] = real
    try:
        spec.loader.exec_module(real)
    except Exception:
        # For example, it was installed for another version of Python.
        sys.modules["gitorch"] = own


if __name__ == "gitorch":
    _import_real()
elif __name__ == "__main__":  # python -m gitorch
    import runpy

    directory = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [
        entry for entry in sys.path if os.path.abspath(entry or ".") != directory
    ]
    runpy.run_module("gitorch", run_name="__main__", alter_sys=True)
