"""Runs one class task, for `task_program.py`.

The working directory is the root of the worktree, and $GITORCH_CONFIG is the path of the config.
<result.json> says that the work is done: it has the value that `run` returns, or null if that is
not JSON. If the work is not done, `error.json` beside it has the reason. An exception also prints a
traceback to stderr, which is the attempt's log, and the exit code is then 1.

Short tasks are mostly the start of this program, so it imports only what every task needs: `json`
and `logging` would double its time.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_FORMAT = "%(asctime)s %(levelname)s %(message)s"
_LONGEST_REASON = 1000
# The modules of the iterators that do their work only when somebody asks for it: generators, `map`.
_LAZY = ("builtins", "itertools")


class _NotDone(Exception):
    """The call of `run` has returned, but the work is not done."""


def main(tasks_directory: str, method: str, result_path: str) -> None:
    """Run the class `method` of the Tasks.py in `tasks_directory`."""
    _record_used_files()
    own_directory = os.path.dirname(os.path.abspath(__file__))
    others = [entry for entry in sys.path if entry != own_directory]
    sys.path[:] = [tasks_directory, os.getcwd(), *others]
    sys.argv[:] = [os.path.join(tasks_directory, "Tasks.py")]
    _configure_logging_when_imported()
    config = _read_json(os.environ["GITORCH_CONFIG"])
    _check_direct_exits(result_path)
    error_path = os.path.join(os.path.dirname(result_path), "error.json")
    task = None
    try:
        task = _task(method, config)
        result = _result(task)
    except SystemExit as error:
        code, reason = _exit_code(error, has_begun=task is not None)
        if code == 0:
            _write_result(None, result_path)
        elif reason:
            print(reason, file=sys.stderr)
            _write_reason(reason, error_path)
        sys.exit(code)
    except BaseException as error:
        _write_reason(_reason(error), error_path)
        _print_traceback(error)
        sys.exit(1)
    _write_result(result, result_path)


def _record_used_files() -> None:
    """Begin to record which files the task opens, if `sitecustomize` has not begun it."""
    used = os.environ.get("GITORCH_USED")
    if used:
        import gitorch_recorder  # type: ignore[import-not-found]  # on the PYTHONPATH of attempts

        gitorch_recorder.start(used)


def _read_json(path: str) -> Any:
    """Return the value in a JSON file.

    The scanner in C reads what gitorch writes. `json` itself loads the regular expressions.
    """
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        from _json import make_scanner

        settings: Any = _ScannerSettings
        value, end = make_scanner(settings)(text, 0)
    except (ImportError, AttributeError, TypeError, ValueError, StopIteration):
        end = 0
    if end and not text[end:].strip():
        return value
    import json

    return json.loads(text)


class _ScannerSettings:
    """The attributes of a `json.JSONDecoder` that its scanner reads."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float  # NaN, Infinity and -Infinity


class _LoggingFinder:
    """Finds `logging` as Python does, and has it configured when it is imported."""

    def find_spec(self, name: str, *arguments: Any) -> Any:
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            find_spec: Any = getattr(finder, "find_spec", None)
            spec = find_spec and find_spec(name, *arguments)
            if spec:
                _configure_after(spec.loader)
                return spec
        return None


def _configure_after(loader: Any) -> None:
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        load(module)
        _configure_logging(module)

    loader.exec_module = exec_module


def _configure_logging_when_imported() -> None:
    logging = sys.modules.get("logging")  # if a start-up file has imported it
    if logging is None:
        sys.meta_path.insert(0, _LoggingFinder())
    else:
        _configure_logging(logging)


def _configure_logging(logging: Any) -> None:
    """Log everything from INFO on to stderr, until the task configures logging itself.

    The root logger has no handler, so `logging.basicConfig` and `addHandler` work as in every
    program, and nothing is printed twice.
    """
    logging.root.setLevel(logging.INFO)
    last_resort = logging.lastResort
    if last_resort is not None:
        last_resort.setLevel(logging.NOTSET)
        last_resort.setFormatter(logging.Formatter(_FORMAT))
    configure = logging.basicConfig

    def basicConfig(**settings: Any) -> None:
        # `logging.info` and the like call this without settings if there is no handler.
        configure(**settings or {"format": _FORMAT})

    logging.basicConfig = basicConfig


def _check_direct_exits(result_path: str) -> None:
    """Make `os._exit` exact: 256 and the like, as `os.system` returns them, do not become 0."""
    leave = os._exit
    program = os.getpid()

    def _exit(status: int) -> None:
        if status == 0 and os.getpid() == program:
            _write_result(None, result_path)
        leave(_byte(status))

    os._exit = _exit  # type: ignore[assignment]


def _byte(code: int) -> int:
    """Return an exit code as the system has it. Only 0 becomes 0."""
    return code & 255 or int(code != 0)


def _task(method: str, config: dict[str, Any]) -> Any:
    task_class = getattr(__import__("Tasks"), method)
    return task_class(config)


def _result(task: Any) -> Any:
    """Run the task, and return the result of its work.

    A coroutine is awaited. Raises _NotDone if the work has not even begun.
    """
    result = task.run()
    kind = type(result)
    if hasattr(kind, "__await__"):
        import asyncio  # takes 50 ms

        result = asyncio.run(_awaited(result))
        kind = type(result)
    if kind.__module__ == "concurrent.futures._base":
        result = result.result()
        kind = type(result)
    name = kind.__name__
    if kind.__module__ == "unittest.mock":
        raise _NotDone(f"run() returns a {name}: it is not the task's own")
    if hasattr(kind, "__anext__"):
        raise _NotDone(f"run() returns a {name}, which nobody iterates over")
    if hasattr(kind, "__next__") and kind.__module__ in _LAZY:
        raise _NotDone(f"run() returns a {name}, which nobody iterates over")
    return result


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _exit_code(error: SystemExit, has_begun: bool) -> tuple[int, str | None]:
    """Return the exit code that the task has asked for, and the reason if it is not 0."""
    code = error.code
    if code is None:
        code = 0
    if not isinstance(code, int):
        return 1, str(code)
    if code == 0 and not has_begun:
        return 1, "sys.exit() was called before run()"
    if 0 <= code < 256:
        return int(code), None
    return _byte(code), f"sys.exit({code})"


def _reason(error: BaseException) -> str:
    """Return the type and the message of an exception in one line."""
    if isinstance(error, _NotDone):
        return str(error)
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = kind.__module__ + "." + name
    try:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    except Exception:
        return name
    if not lines:
        return name
    text = lines[0]
    if text.endswith(":") and len(lines) > 1:
        text += " " + lines[1]
    return name + ": " + text


def _write_reason(reason: str, path: str) -> None:
    text = _json_text({"reason": reason[:_LONGEST_REASON]})
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        pass  # the log has the traceback


def _print_traceback(error: BaseException) -> None:
    """Print a traceback without the frames of this program and of the loop that it starts."""
    traceback = error.__traceback__
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        package = os.path.basename(os.path.dirname(file))
        if file != __file__ and package != "asyncio":
            break
        traceback = traceback.tb_next
    error.__traceback__ = traceback
    if isinstance(error, _NotDone):
        print(error, file=sys.stderr)
        return
    sys.excepthook(type(error), error, traceback)


def _write_result(result: Any, path: str) -> None:
    """Write a result to `path`, or log why it is not kept.

    The methods of a value may raise any exception: PyTorch raises RuntimeError for `item()` of a
    tensor with several elements. No such exception may fail a task that has done its work.
    """
    text = "null"
    try:
        text = _json_text(_to_json(result))
    except Exception as error:
        import logging

        logging.info(
            "the result of the task is not kept, since it is not JSON: %s", error
        )
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):  # the task has removed it
        os.mkdir(directory, 0o700)
    temporary = path + ".new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def _json_text(value: Any) -> str:
    if value is None:
        return "null"
    import json

    return json.dumps(value)


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
        return float("inf")
