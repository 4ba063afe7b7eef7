"""The only code that turns errors into text and exit codes."""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, cast

import typer

from gitorch.cli.inherited import shed_inherited_state
from gitorch.cli.streams import failure_to_print, may_fail, prepare_streams
from gitorch.cli.style import has_colors, masking, paint, plain, say
from gitorch.errors import GitorchError, NotFound, UserInterrupted
from gitorch.tools import waits

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

# The meaning of each exit code, for `gitorch help exit-codes`.
EXIT_CODE_MEANINGS = {
    EXIT_OK: "done",
    EXIT_FAILED: "a run or check failed, or compare --exit-code found a difference",
    EXIT_CODES["usage"]: "the command line cannot be understood",
    EXIT_CODES["not-found"]: "there is no such run, config or repository",
    EXIT_CODES[
        "refused"
    ]: "refused: it would lose work, or is not possible in this state",
    EXIT_CODES["busy"]: "another program holds what is needed, or it took too long",
    EXIT_CODES["program-missing"]: "a program that is needed is not installed",
    EXIT_BUG: "a bug of gitorch; the message says where the details are",
    EXIT_INTERRUPTED: "interrupted (Ctrl-C)",
}

# Errors of the system that the user can resolve. They are not bugs of gitorch. The value is the
# hint, or None if the message alone is enough.
_NO_MEMORY = "end some programs, or use a smaller -j; see ulimit -v"
_NO_PROCESS = "end some programs, or use a smaller -j; see ulimit -u"
SYSTEM_ERRORS = {
    errno.EFBIG: "allow larger files: ulimit -f unlimited",
    errno.ENOMEM: _NO_MEMORY,
    errno.EAGAIN: _NO_PROCESS,
    errno.ENOSPC: "make room; what was recorded is safe, and gitorch run continues",
    errno.EDQUOT: "make room; what was recorded is safe, and gitorch run continues",
    errno.EROFS: "it is on a file system that cannot be written to",
    errno.EACCES: None,  # the hint names the path
    errno.EPERM: None,
    errno.EMFILE: "allow more open files: ulimit -n 4096; or use a smaller -j",
    errno.ENFILE: "end some programs, or use a smaller -j",
    errno.ENOTDIR: None,
    errno.EISDIR: "a file belongs there: move the directory away",
    errno.ENAMETOOLONG: None,
    errno.EIO: "the disk may be failing: see dmesg",
}

# The base class of BadParameter: click's UsageError. Depending on its version, typer imports click
# or contains a copy of it, so the class cannot be imported by name.
_CommandLineError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])

Parameters = ParamSpec("Parameters")

_end_notes: list[Callable[[], None]] = []


def launch(app: typer.Typer) -> int:
    """Run the program and return its exit code.

    A mistake in the command line is reported in the same way as every other error.
    """
    prepare_streams()
    shed_inherited_state()
    if _answers_a_shell(app):
        return EXIT_OK
    _interrupt_on_signals()
    waits.listen(say)
    try:
        return app(prog_name="gitorch", standalone_mode=False) or EXIT_OK
    except _CommandLineError as error:
        hint = f"{error.ctx.command_path} --help" if error.ctx else None
        _print_error("usage", _sentence(error), hint, as_json="--json" in sys.argv)
        return error.exit_code
    except GitorchError as error:
        return report_error(error, as_json="--json" in sys.argv)
    except (KeyboardInterrupt, typer.Abort):
        return report_error(
            UserInterrupted("interrupted"), as_json="--json" in sys.argv
        )
    except Exception as error:
        return _report_unforeseen(error, as_json="--json" in sys.argv)
    finally:
        may_fail(False)  # while Python flushes the streams at its end


def _answers_a_shell(app: typer.Typer) -> bool:
    """Print the completion that a shell asks for. Return False if no shell asks."""
    if "_GITORCH_COMPLETE" not in os.environ:
        return False
    from gitorch.cli.completion import answer

    return answer(app)


def _interrupt_on_signals() -> None:
    """Treat a request to end as an interruption, so that unfinished work is undone.

    A signal that is ignored, as nohup ignores SIGHUP, stays ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def prints(
    command: Callable[Parameters, int | None],
) -> Callable[Parameters, None]:
    """Wrap a command that does nothing but print: it stops if it cannot print."""
    return guarded(command, stops=True)


def guarded(
    command: Callable[Parameters, int | None], *, stops: bool = False
) -> Callable[Parameters, None]:
    """Wrap a command that returns its exit code (None: 0), so that its errors are reported.

    With `stops`, the command stops if it cannot print. Otherwise it continues, and its exit code
    says how its work ended.
    """

    @functools.wraps(command)
    def guarded_command(
        *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> None:
        as_json = (
            bool(kwargs.get("as_json")) or kwargs.get("output_format") == "json"
        )
        may_fail(stops)
        try:
            code = command(*args, **kwargs) or EXIT_OK
            sys.stdout.flush()
            _say_what_is_lost()
            _say_end_notes()
        except GitorchError as error:
            code = report_error(error, as_json=as_json)
            if isinstance(error, NotFound):
                _say_end_notes()  # the run may be one that cannot be read
        except KeyboardInterrupt:
            code = report_error(UserInterrupted("interrupted"), as_json=as_json)
        except typer.Exit:
            raise
        except BrokenPipeError as error:
            if not stops:
                code = _report_os_error(error, as_json=as_json)
            else:
                _abandon_stdout()  # the reader has seen enough
                code = EXIT_OK
        except Exception as error:
            code = _report_unforeseen(error, as_json=as_json)
        raise typer.Exit(code)

    return guarded_command


def at_end(say_note: Callable[[], None]) -> None:
    """Call `say_note` when the command has done its work."""
    _end_notes.append(say_note)


def _say_end_notes() -> None:
    for say_note in _end_notes:
        say_note()


def print_json(document: dict[str, Any]) -> None:
    import json  # 2 ms, which help and completion do not need

    import msgspec

    # With `indent`, json encodes in Python, which takes five times as long.
    compact = json.dumps(document, allow_nan=False)
    try:
        print(msgspec.json.format(compact, indent=1))
    except msgspec.MsgspecError:  # a value that is not UTF-8 is a lone surrogate
        print(json.dumps(document, indent=1))


def report_error(error: GitorchError, *, as_json: bool) -> int:
    """Print `error`, as JSON on stdout or as text on stderr, and return the exit code."""
    _print_error(error.kind, error.message, error.hint, as_json=as_json)
    return EXIT_CODES.get(error.kind, EXIT_FAILED)


def _say_what_is_lost() -> None:
    failure = failure_to_print()
    if failure is not None:
        say(f"warning: what was printed is lost: {failure.strerror}")


def _print_error(
    kind: str, message: str, hint: str | None, *, as_json: bool
) -> None:
    """Print an error in the one style that all errors have."""
    if as_json:
        print_json(_document(kind, message, hint))
        return
    colors = has_colors(sys.stderr)
    say(f"{paint('error:', 'bold', 'red', on=colors)} {plain(message)}")
    if hint:
        say(f"{paint('hint:', 'bold', 'cyan', on=colors)} {plain(hint)}")


def _sentence(error: typer.BadParameter) -> str:
    """Return the message of a mistake in the command line as all other messages are written."""
    message = error.format_message().rstrip(".")
    return message[:1].lower() + message[1:]


def _report_unforeseen(error: Exception, *, as_json: bool) -> int:
    """Report an error of the system as such, and any other as a bug."""
    match error:
        case OSError():
            return _report_os_error(error, as_json=as_json)
        case MemoryError():
            refused = GitorchError("there is not enough memory", _NO_MEMORY)
        case RuntimeError() if "can't start new thread" in str(error):
            refused = GitorchError("the system allows no more threads", _NO_PROCESS)
        case _:
            return _report_bug(error, as_json=as_json)
    return report_error(refused, as_json=as_json)


def _report_os_error(error: OSError, *, as_json: bool) -> int:
    as_json = as_json and _is_stdout_writable()
    if error.errno not in SYSTEM_ERRORS:
        return _report_bug(error, as_json=as_json)
    hint = SYSTEM_ERRORS[error.errno]
    message = str(error.strerror)
    if isinstance(error.filename, str | bytes):
        path = os.fsdecode(error.filename)
        message = f"{path}: {message}"
        if isinstance(error, PermissionError):
            hint = f"see who owns it: {_listing(path)}"
    return report_error(GitorchError(message, hint), as_json=as_json)


def _listing(path: str) -> str:
    """Return the command that shows the owners of `path`, as far as it exists, and its parent."""
    import shlex

    shown = Path.cwd() / path
    while not os.path.lexists(shown) and shown != shown.parent:
        shown = shown.parent
    return shlex.join(["ls", "-ld", str(shown), str(shown.parent)])


def _is_stdout_writable() -> bool:
    """Return True if stdout accepts what has been printed."""
    try:
        sys.stdout.flush()
    except OSError:
        _abandon_stdout()
        return False
    return True


def _abandon_stdout() -> None:
    """Discard everything printed from now on; Python would fail again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report_bug(error: Exception, *, as_json: bool) -> int:
    """Report an exception that gitorch did not foresee; its details go to a file for the report."""
    import tempfile  # 2 ms, and rarely needed

    details = (
        " ".join(sys.argv) + "\n\n" + "".join(traceback.format_exception(error))
    )
    message = f"a bug in gitorch: {type(error).__name__}: {error}"
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            prefix="gitorch-bug-",
            suffix=".txt",
            delete=False,
            encoding="utf-8",
            errors="backslashreplace",
        ) as file:
            file.write(masking().text(details))
        hint = f"please report it with the details in {file.name}"
    except OSError:
        say(plain(details))
        hint = "please report it with the details above"
    hint += ". Results on the results branch are not affected"
    _print_error("bug", message, hint, as_json=as_json)
    return EXIT_BUG


def _document(kind: str, message: str, hint: str | None) -> dict[str, Any]:
    error = {"kind": kind, "message": message, "hint": hint}
    return {"schema": "gitorch/error/v1", "error": masking().value(error)}
