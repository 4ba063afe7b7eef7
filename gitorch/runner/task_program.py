"""Runs one task of a class: `python task_program.py <pathToTasks> <class> <result.json>`, in the worktree's root.

The config comes from $GITORCH_CONFIG. What `run` returns is put at <result.json> if it is JSON; an exception ends in a
traceback on stderr, which is the attempt's log, and exit code 1.
"""

from __future__ import annotations

import importlib
import json
import logging
import math
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(tasks_directory: str, method: str, result_path: str) -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [tasks_directory, os.getcwd(), *(entry for entry in sys.path if entry != here)]
    sys.argv[:] = [os.path.join(tasks_directory, "Tasks.py")]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with open(os.environ["GITORCH_CONFIG"], encoding="utf-8") as file:
        config = json.load(file)
    try:
        result = _run(method, config)
    except Exception as error:
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
            traceback = traceback.tb_next
        sys.excepthook(
            type(error), error.with_traceback(traceback), traceback
        )  # the project's own frames only
        sys.exit(1)
    _keep(result, result_path)


def _run(method: str, config: dict[str, Any]) -> Any:
    return getattr(importlib.import_module("Tasks"), method)(config).run()


def _keep(result: Any, path: str) -> None:
    if result is None:
        return
    try:
        text = json.dumps(_plain(result), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        logging.info("what the task returned is not kept, since it is no JSON: %s", error)
        return
    aside = path + ".new"
    with open(aside, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(aside, path)


def _plain(value: Any) -> Any:
    """The value made of JSON's own kinds: NumPy's numbers and single-element tensors as numbers, NaN as null."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if callable(getattr(value, "item", None)):
        return _plain(value.item())
    raise TypeError(f"there is a {type(value).__name__} in it")


if __name__ == "__main__":
    main(*sys.argv[1:])
