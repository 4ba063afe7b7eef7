"""Where errors become text and exit codes: the only place that prints one or leaves the program for it."""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Any, ParamSpec

import typer

from gitorch.cli.style import has_colors, paint, plain, say
from gitorch.errors import GitorchError

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BUG = 70
EXIT_INTERRUPTED = 130

EXIT_CODES = {
    "usage": 2,
    "not-found": 3,
    "refused": 4,
    "busy": 5,
    "program-missing": 69,
    "interrupted": EXIT_INTERRUPTED,
}

Parameters = ParamSpec("Parameters")


def guarded(command: Callable[Parameters, int | None]) -> Callable[Parameters, None]:
    """A command whose result is its exit code (None: 0) and whose errors are told."""

    @functools.wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            code = command(*args, **kwargs) or EXIT_OK
            sys.stdout.flush()
        except GitorchError as error:
            code = _tell(error, as_json=bool(kwargs.get("json_")))
        except KeyboardInterrupt:
            say("interrupted")
            code = EXIT_INTERRUPTED
        except BrokenPipeError:
            # The reader has seen enough. Python would complain once more when it flushes at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = EXIT_OK
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            code = _tell_bug(error, as_json=bool(kwargs.get("json_")))
        raise typer.Exit(code)

    return run


def print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=1, allow_nan=False))


def _tell(error: GitorchError, *, as_json: bool) -> int:
    if as_json:
        print_json(_document(error.kind, error.message, error.hint))
    else:
        colors = has_colors(sys.stderr)
        say(f"{paint('error:', 'bold', 'red', on=colors)} {plain(error.message)}")
        if error.hint:
            say(f"{paint('hint:', 'bold', 'cyan', on=colors)} {plain(error.hint)}")
    return EXIT_CODES.get(error.kind, EXIT_FAILED)


def _tell_bug(error: Exception, *, as_json: bool) -> int:
    """Something we did not foresee: the details go to a file, to be sent with a report."""
    with tempfile.NamedTemporaryFile("w", prefix="gitorch-bug-", suffix=".txt", delete=False) as file:
        file.write(" ".join(sys.argv) + "\n\n" + "".join(traceback.format_exception(error)))
    message = f"a bug in gitorch: {type(error).__name__}: {error}"
    hint = f"the details are in {file.name}; please report them. Results on the results branch are not affected"
    if as_json:
        print_json(_document("bug", message, hint))
    else:
        say(f"error: {plain(message)}")
        say(f"hint: {hint}")
    return EXIT_BUG


def _document(kind: str, message: str, hint: str | None) -> dict[str, Any]:
    return {"schema": "gitorch/error/v1", "error": {"kind": kind, "message": message, "hint": hint}}
