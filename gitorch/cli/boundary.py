"""Where errors become text and exit codes: the only place that prints one or leaves the program for it."""

from __future__ import annotations

import codecs
import errno
import functools
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, ParamSpec, cast

import typer

from gitorch.cli.style import has_colors, paint, plain, say
from gitorch.errors import GitorchError, Interrupted

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

# What the system refuses is the user's to mend, whatever was being done: no bug. With what to do about it.
REFUSED_BY_THE_SYSTEM = {
    errno.ENOSPC: "make room; what was recorded is safe, and gitorch run continues",
    errno.EDQUOT: "make room; what was recorded is safe, and gitorch run continues",
    errno.EROFS: "it is on a file system that cannot be written to",
    errno.EACCES: "see whose it is: ls -ld",
    errno.EPERM: "see whose it is: ls -ld",
    errno.EMFILE: "allow more: ulimit -n 4096, or take a smaller -j",
    errno.ENFILE: "end some programs, or take a smaller -j",
    errno.ENOTDIR: None,
    errno.ENAMETOOLONG: None,
    errno.EIO: "the disk may be failing: see dmesg",
}

# click's error of usage, which typer brings along or imports, as its version has it: what BadParameter is a kind of.
_CommandLineError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])

Parameters = ParamSpec("Parameters")


def launched(app: typer.Typer) -> int:
    """The program's exit code; what is wrong with the command line is told as any other error is."""
    _write_whatever_comes()
    _tidy_up_when_told_to_end()
    try:
        return app(prog_name="gitorch", standalone_mode=False) or EXIT_OK
    except _CommandLineError as error:
        if "--json" in sys.argv:
            hint = f"{error.ctx.command_path} --help" if error.ctx else None
            print_json(_document("usage", error.format_message(), hint))
        else:
            error.show()
        return error.exit_code


def _tidy_up_when_told_to_end() -> None:
    """To be told to end is to be interrupted: what was begun is undone. What nohup has ignored stays ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def guarded(command: Callable[Parameters, int | None]) -> Callable[Parameters, None]:
    """A command whose result is its exit code (None: 0) and whose errors are told."""

    @functools.wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        as_json = bool(kwargs.get("json_")) or kwargs.get("output_format") == "json"
        try:
            code = command(*args, **kwargs) or EXIT_OK
            sys.stdout.flush()
        except GitorchError as error:
            code = tell(error, as_json=as_json)
        except KeyboardInterrupt:
            code = tell(Interrupted("interrupted"), as_json=as_json)
        except BrokenPipeError:
            _abandon_stdout()  # the reader has seen enough
            code = EXIT_OK
        except (typer.Exit, typer.Abort):
            raise
        except OSError as error:
            known = error.errno in REFUSED_BY_THE_SYSTEM
            as_json = as_json and _is_writable()
            code = (
                tell(_of_the_system(error), as_json=as_json)
                if known
                else _tell_bug(error, as_json=as_json)
            )
        except Exception as error:
            code = _tell_bug(error, as_json=as_json)
        raise typer.Exit(code)

    return run


def _write_whatever_comes() -> None:
    """What a stream's encoding lacks is shown by its number; bytes of file names that are no text stay themselves."""
    codecs.register_error("gitorch", _encoded)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="gitorch")


def _encoded(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return b"".join(
        os.fsencode(letter)
        if "\udc80" <= letter <= "\udcff"
        else letter.encode("ascii", "backslashreplace")
        for letter in letters
    ), error.end


def print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=1, allow_nan=False))


def tell(error: GitorchError, *, as_json: bool) -> int:
    """On stdout as the one document where that is wanted, else on stderr; gives the exit code."""
    if as_json:
        print_json(_document(error.kind, error.message, error.hint))
    else:
        colors = has_colors(sys.stderr)
        say(f"{paint('error:', 'bold', 'red', on=colors)} {plain(error.message)}")
        if error.hint:
            say(f"{paint('hint:', 'bold', 'cyan', on=colors)} {plain(error.hint)}")
    return EXIT_CODES.get(error.kind, EXIT_FAILED)


def _is_writable() -> bool:
    """Whether stdout takes what has been printed."""
    try:
        sys.stdout.flush()
    except OSError:
        _abandon_stdout()
        return False
    return True


def _abandon_stdout() -> None:
    """Else Python would complain once more when it flushes at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _of_the_system(error: OSError) -> GitorchError:
    place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return GitorchError(f"{place}{error.strerror}", REFUSED_BY_THE_SYSTEM[error.errno or 0])


def _tell_bug(error: Exception, *, as_json: bool) -> int:
    """Something we did not foresee: the details go to a file, to be sent with a report."""
    import tempfile  # noqa: PLC0415  2 ms, and seldom needed

    details = " ".join(sys.argv) + "\n\n" + "".join(traceback.format_exception(error))
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
            file.write(details)
        hint = f"the details are in {file.name}; please report them. Results on the results branch are not affected"
    except OSError:
        say(plain(details))
        hint = "please report the details above. Results on the results branch are not affected"
    if as_json:
        print_json(_document("bug", message, hint))
    else:
        say(f"error: {plain(message)}")
        say(f"hint: {hint}")
    return EXIT_BUG


def _document(kind: str, message: str, hint: str | None) -> dict[str, Any]:
    return {"schema": "gitorch/error/v1", "error": {"kind": kind, "message": message, "hint": hint}}
