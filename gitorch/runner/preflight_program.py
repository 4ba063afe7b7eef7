"""Constructs and validates every class task of some configs, before anything is queued.

    python preflight_program.py <request.json> <answers>

The working directory is the root of the tree. The request is one JSON object:

    {"path_to_tasks": absolute directory, "configs": [{"output": file, "tasks": [TASK, …]}, …]}

A TASK is a list: [id, method, config].

The answers are JSON objects on the file descriptor <answers>, one object a line. Each is written
at once, so that the reader knows how far the program came if it dies:

    {"at": [task or null, "Train.validate()"]}               before each call into the project
    {"complaint": {"task", "message", "hint", "where"}}      for each fault
    {"done": index}                                          after the last task of a config

Everything that a config's tasks and their child processes print goes to the config's `output`.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    Result = TypeVar("Result")

# `co_flags` of generators and asynchronous generators: see the module `inspect`.
_GENERATORS = 0x20 | 0x200


def main(request_path: str, answers: str) -> None:
    """Check all configs of a request, and end the process."""
    with open(request_path, encoding="utf-8") as file:
        request = json.load(file)
    own_directory = os.path.dirname(os.path.abspath(__file__))
    root = os.getcwd()
    tasks_directory = request["path_to_tasks"]
    others = [entry for entry in sys.path if entry != own_directory]
    sys.path[:] = [tasks_directory, root, *others]
    sys.argv[:] = [os.path.join(tasks_directory, "Tasks.py")]
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    descriptor = int(answers)
    os.set_inheritable(descriptor, False)
    preflight = _Preflight(root, descriptor)
    for index, config in enumerate(request["configs"]):
        _print_to(config["output"])
        os.chdir(root)
        preflight.check_config(config["tasks"])
        _print_to(os.devnull)
        preflight.answer({"done": index})
    os._exit(0)  # without waiting for threads that the project started


def _print_to(path: str) -> None:
    """Append stdout and stderr to a file from now on, including the output of child processes."""
    sys.stdout.flush()
    sys.stderr.flush()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    descriptor = os.open(path, flags, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


class _ProjectError(Exception):
    """The project raised an exception or asked to exit; the arguments are a message and a hint."""


class _Preflight:
    """The checks. Each answer is written as soon as it is known."""

    def __init__(self, root: str, answers: int) -> None:
        self._root = root
        self._answers = answers
        self._module: Any = None
        self._import_error: _ProjectError | None = None

    def answer(self, value: dict[str, Any]) -> None:
        line = json.dumps(value) + "\n"
        os.write(self._answers, line.encode())

    def check_config(self, tasks: list[tuple[str, str, dict[str, Any]]]) -> None:
        """Check the tasks of a config, and complain about every fault."""
        self._import_module()
        if self._import_error:
            self._complain(None, "pathToTasks", *self._import_error.args)
            return
        for task, method, config in tasks:
            try:
                self._check_task(task, method, config)
            except _ProjectError as error:
                self._complain(task, "task", *error.args)

    def _import_module(self) -> None:
        """Import Tasks.py, unless that was tried before."""
        if self._module is not None or self._import_error is not None:
            return
        try:
            self._module = self._call(
                None, "importing Tasks.py", importlib.import_module, "Tasks"
            )
        except _ProjectError as error:
            self._import_error = error

    def _check_task(self, task: str, method: str, config: dict[str, Any]) -> None:
        cls: Any = getattr(self._module, method, None)
        if not _is_task(cls):
            message, hint = _why_not_a_task(self._module, method, cls)
            self._complain(task, "method", message, hint)
            return
        instance = self._call(task, f"{method}(config)", cls, config)
        if not hasattr(instance, "validate"):
            return
        messages = self._call(task, f"{method}.validate()", _validate, instance)
        for message in messages:
            self._complain(task, "task", message)

    def _complain(
        self, task: str | None, where: str, message: str, hint: str | None = None
    ) -> None:
        complaint = {"task": task, "message": message, "hint": hint, "where": where}
        self.answer({"complaint": complaint})

    def _call(
        self,
        task: str | None,
        description: str,
        function: Callable[..., Result],
        *arguments: Any,
    ) -> Result:
        """Call a function of the project.

        Raises _ProjectError for every exception that the function raises.
        """
        self.answer({"at": [task, description]})
        try:
            return function(*arguments)
        except SystemExit as error:
            message = f"{description} asked to exit ({error.code})"
            raise _ProjectError(message, _line_hint(error, self._root)) from error
        except BaseException as error:
            message = f"{description} raised {type(error).__name__}"
            text = str(error).strip()
            if text:
                message += f": {text}"
            raise _ProjectError(message, _line_hint(error, self._root)) from error


def _line_hint(error: BaseException, root: str) -> str | None:
    """Return "see file:line": the innermost line below `root` that an exception passed through."""
    places: list[tuple[str, int | None]] = []
    traceback = error.__traceback__
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        places.append((file, traceback.tb_lineno))
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    prefix = root + os.sep
    for file, line in reversed(places):
        if file.startswith(prefix):
            path = file[len(prefix) :]
            return f"see {path}:{line}"
    return None


def _is_task(value: Any) -> bool:
    """Return True if a value is a class with a method `run` that is not abstract."""
    if not isinstance(value, type):
        return False
    run = getattr(value, "run", None)
    is_abstract = getattr(run, "__isabstractmethod__", False)
    return callable(run) and not is_abstract and _why_not_done(run) is None


def _why_not_done(run: Any) -> str | None:
    """Return why a call of `run` does nothing, or None if it may do the work.

    A coroutine is awaited, so `async def run` does the work unless it contains `yield`.
    """
    if isinstance(run, type):
        return "is a class, and calling it only makes an object"
    if type(run).__module__ == "unittest.mock":
        return f"is a {type(run).__name__}"
    code = getattr(run, "__code__", None)
    flags = getattr(code, "co_flags", 0)
    if isinstance(flags, int) and flags & _GENERATORS:
        return "contains `yield`, so calling it does nothing"
    return None


def _why_not_a_task(module: Any, method: str, value: Any) -> tuple[str, str | None]:
    """Return the message and hint about a name in Tasks.py whose value is not a task."""
    if isinstance(value, type):
        run = getattr(value, "run", None)
        reason = _why_not_done(run)
        if reason is not None:
            message = f"run of class {method!r} in Tasks.py {reason}"
            return message, "do the work in run(self), and return the result"
        return f"class {method!r} in Tasks.py has no method run(self)", None
    if value is not None:
        return (
            f"{method!r} in Tasks.py is not a class, but a {type(value).__name__}",
            None,
        )
    import difflib

    tasks = []
    for name, other in vars(module).items():
        if not name.startswith("_") and _is_task(other):
            tasks.append(name)
    near = difflib.get_close_matches(method, tasks, n=1)
    hint = None
    if near:
        hint = f"did you mean {near[0]!r}?"
    elif tasks:
        hint = f"there are: {', '.join(tasks)}"
    return f"there is no class {method!r} in Tasks.py", hint


def _validate(task: Any) -> list[str]:
    """Return the messages of a task's validate().

    Raises TypeError if validate() returns neither None, a string nor a list of strings.
    """
    problems = task.validate()
    if problems is None:
        return []
    if isinstance(problems, str):
        return [problems]
    wrong_type = TypeError(f"it has to return a list of strings, not {problems!r}")
    if not isinstance(problems, (list, tuple)):
        raise wrong_type
    for problem in problems:
        if not isinstance(problem, str):
            raise wrong_type
    return list(problems)


if __name__ == "__main__":
    main(*sys.argv[1:])
