"""Runs one class task: `python task_program.py <pathToTasks> <class> <result.json>`.

The working directory is the root of the worktree, and $GITORCH_CONFIG is the path of the config.
The value that `run` returns is written to <result.json> if it is JSON. An exception prints a
traceback to stderr, which is the attempt's log, and ends the program with exit code 1.
"""

from __future__ import annotations

import importlib
import json
import logging
import math
import os
import sys

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    from typing import Any


def main(tasks_directory: str, method: str, result_path: str) -> None:
    """Run the class `method` of the Tasks.py in `tasks_directory`."""
    own_directory = os.path.dirname(os.path.abspath(__file__))
    others = [entry for entry in sys.path if entry != own_directory]
    sys.path[:] = [tasks_directory, os.getcwd(), *others]
    sys.argv[:] = [os.path.join(tasks_directory, "Tasks.py")]
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    config_path = os.environ["GITORCH_CONFIG"]
    with open(config_path, encoding="utf-8") as file:
        config = json.load(file)
    try:
        result = _run(method, config)
    except Exception as error:
        _print_traceback(error)
        sys.exit(1)
    if result is not None:
        _write_result(result, result_path)


def _run(method: str, config: dict[str, Any]) -> Any:
    module = importlib.import_module("Tasks")
    task_class = getattr(module, method)
    task = task_class(config)
    return task.run()


def _print_traceback(error: Exception) -> None:
    """Print a traceback without the frames of this program."""
    traceback = error.__traceback__
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if file != __file__:
            break
        traceback = traceback.tb_next
    error.__traceback__ = traceback
    sys.excepthook(type(error), error, traceback)


def _write_result(result: Any, path: str) -> None:
    """Write a result to `path`, or log why it is not kept.

    The methods of a value may raise any exception: PyTorch raises RuntimeError for `item()` of a
    tensor with several elements. No such exception may fail a task that has done its work.
    """
    try:
        text = json.dumps(_to_json(result))
    except Exception as error:
        logging.info(
            "the result of the task is not kept, since it is not JSON: %s", error
        )
        return
    temporary = path + ".new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def _to_json(value: Any) -> Any:
    """Return the value in JSON's own types.

    NumPy numbers and tensors with one element become numbers, and integers beyond 64 bits floats.
    NaN and infinities stay what they are: gitorch makes null of them, and so knows that they were
    numbers.
    Raises TypeError if the value contains anything else.
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, (list, tuple)):
        return [_to_json(item) for item in value]
    if isinstance(value, dict):
        result = {}
        for key, item in value.items():
            result[str(key)] = _to_json(item)
        return result
    if callable(getattr(value, "item", None)):
        number = value.item()
        return _to_json(number)
    raise TypeError(f"it contains a value of type {type(value).__name__}")


def _number(value: float) -> float:
    """Return a plain int or float. An integer beyond 64 bits becomes a float."""
    if isinstance(value, int) and abs(value) < 1 << 63:
        return int(value)
    try:
        return float(value)
    except OverflowError:
        return math.inf


if __name__ == "__main__":
    main(*sys.argv[1:])
