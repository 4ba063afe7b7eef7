"""Looks every task over before anything is queued: `python preflight_program.py <request.json> <answers>`, in the tree's root.

The request: {"path_to_tasks": absolute directory, "configs": [{"output": file, "tasks": [[id, method, config], …]}]}
The answers, a JSON object a line on the descriptor <answers>, come as it goes, so that a death tells how far it came:

    {"at": [task or null, "Train.validate()"]}               before anything of the project is called
    {"complaint": {"task", "message", "hint", "where"}}
    {"done": index}                                          the config is through

What a config's tasks print meanwhile goes to its `output`, also what their child processes print.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    Result = TypeVar("Result")


def main(request_path: str, answers: str) -> None:
    with open(request_path, encoding="utf-8") as file:
        request = json.load(file)
    here, root = os.path.dirname(os.path.abspath(__file__)), os.getcwd()
    directory = request["path_to_tasks"]
    sys.path[:] = [directory, root, *(entry for entry in sys.path if entry != here)]
    sys.argv[:] = [os.path.join(directory, "Tasks.py")]
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    os.set_inheritable(int(answers), False)
    preflight = _Preflight(int(answers))
    for index, config in enumerate(request["configs"]):
        _print_to(config["output"])
        os.chdir(root)
        preflight.look_over(config["tasks"])
        _print_to(os.devnull)
        preflight.answer({"done": index})
    os._exit(0)  # threads that the project started are no reason to stay


def _print_to(path: str) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


class _Wrong(Exception):
    """Something of the project raised or asked to exit: message, and the line as hint."""


class _Preflight:
    def __init__(self, answers: int) -> None:
        self._answers = answers
        self._module: Any = None
        self._not_imported: _Wrong | None = None

    def answer(self, value: dict[str, Any]) -> None:
        os.write(self._answers, json.dumps(value).encode() + b"\n")

    def look_over(self, tasks: list[tuple[str, str, dict[str, Any]]]) -> None:
        """Complain of what is wrong with the tasks of a config."""
        if self._module is None and self._not_imported is None:
            try:
                self._module = self._call(
                    None, "importing Tasks.py", importlib.import_module, "Tasks"
                )
            except _Wrong as wrong:
                self._not_imported = wrong
        if self._not_imported:
            self._complain(None, "pathToTasks", *self._not_imported.args)
            return
        for task, method, config in tasks:
            try:
                self._look_over_task(task, method, config)
            except _Wrong as wrong:
                self._complain(task, "task", *wrong.args)

    def _look_over_task(self, task: str, method: str, config: dict[str, Any]) -> None:
        found: Any = getattr(self._module, method, None)
        if not _is_task(found):
            self._complain(task, "method", *_why_no_task(self._module, method, found))
            return
        instance = self._call(task, f"{method}(config)", found, config)
        if hasattr(instance, "validate"):
            for problem in self._call(
                task, f"{method}.validate()", lambda: _listed(instance.validate())
            ):
                self._complain(task, "task", problem)

    def _complain(
        self, task: str | None, where: str, message: str, hint: str | None = None
    ) -> None:
        self.answer({"complaint": {"task": task, "message": message, "hint": hint, "where": where}})

    def _call(
        self, task: str | None, what: str, function: Callable[..., Result], *arguments: Any
    ) -> Result:
        """Call into the project. Raises _Wrong whatever happens there."""
        self.answer({"at": [task, what]})
        try:
            return function(*arguments)
        except SystemExit as error:
            raise _Wrong(f"{what} asked to exit ({error.code})", _line(error)) from error
        except BaseException as error:
            said = str(error).strip()
            raise _Wrong(
                f"{what} raised {type(error).__name__}{': ' + said if said else ''}", _line(error)
            ) from error


def _line(error: BaseException) -> str | None:
    """`file:line` of the place in the tree that is to be looked at: the innermost that the exception passed through."""
    inside = sys.path[1] + os.sep
    found: tuple[str, int | None] | None = None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename.startswith(inside):
            found = (traceback.tb_frame.f_code.co_filename, traceback.tb_lineno)
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError) and error.filename and error.filename.startswith(inside):
        found = (error.filename, error.lineno)
    return f"see {found[0][len(inside) :]}:{found[1]}" if found else None


def _is_task(found: Any) -> bool:
    run = getattr(found, "run", None)
    return (
        isinstance(found, type)
        and callable(run)
        and not getattr(run, "__isabstractmethod__", False)
    )


def _why_no_task(module: Any, method: str, found: Any) -> tuple[str, str | None]:
    """Message and hint about a name that is no task."""
    if isinstance(found, type):
        return f"class {method!r} in Tasks.py has no method run(self)", None
    if found is not None:
        return f"{method!r} in Tasks.py is no class, but a {type(found).__name__}", None
    import difflib

    tasks = [
        name
        for name in vars(module)
        if not name.startswith("_") and _is_task(getattr(module, name))
    ]
    near = difflib.get_close_matches(method, tasks, n=1)
    hint = (
        f"did you mean {near[0]!r}?"
        if near
        else f"there are: {', '.join(tasks)}"
        if tasks
        else None
    )
    return f"there is no class {method!r} in Tasks.py", hint


def _listed(problems: Any) -> list[str]:
    """What validate() returned as complaints: a list of strings, or none where it is None."""
    if problems is None:
        return []
    if isinstance(problems, str):
        return [problems]
    if not isinstance(problems, (list, tuple)) or not all(
        isinstance(problem, str) for problem in problems
    ):
        raise TypeError(f"it has to return a list of strings, not {problems!r}")
    return list(problems)


if __name__ == "__main__":
    main(*sys.argv[1:])
