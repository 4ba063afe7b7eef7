"""The line of a log that states why a program failed.

The programs of an experiment are in all languages. Many of them print more after the error: a note
on how to get more details, a list of calls, a summary by the program that started them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# How far before the end of the log the error is searched for.
_NEAR_THE_END = 60
_LONGEST = 500

# `re` compiles the patterns when a command fails: they take 2 ms.
#
# Lines that follow an error and do not state it.
_NOTES = (
    r"Set the environment variable HYDRA_FULL_ERROR|Error executing job with overrides"
    r"|Execution halted|Calls: |In addition: Warning|Node\.js v\d|Stack ?trace:|stack backtrace:"
    r"|note: |help: |hint: |wandb: |npm (ERR!|error) (A complete log|\s*/|code |errno )"
    r"|For more information about this error|error: aborting due to|error: called from"
    r"|warning: build failed"
    r"|error: could not compile|error: process didn't exit successfully"
    r"|compilation terminated|collect2: error: |ninja: build stopped"
    r"|exit status \d+$|goroutine \d+ |srun: error: .* Exited with exit code"
    r"|Error: Process completed with exit code|in expression starting at"
    r"|During handling of the above exception|The above exception was the direct cause"
    r"|-- Configuring incomplete|See also "
    r"|\[?(rank|Rank) ?\d+\]?:?\s*$|Traceback \(most recent call last\)"
)
# Lines that state an error, in the forms that programs and their runtimes use.
_NUMBER = r"(?!\s*[-+]?[\d.])"
_ERRORS = (
    # Python, Node, Java and Ruby name the exception: `KeyError: 'rate'`, `a.b.SomeException: …`.
    r"^(Uncaught )?([\w$]+[.:]+)*([A-Z]\w*)?(Error|Exception|Exit|Interrupt|Fault|Failure)"
    rf"( \[\w+\])?(: {_NUMBER}|:?$)"
    # gcc, clang, rustc, Julia, Octave and most others.
    rf"|\b(fatal )?error(\[\w+\])?: {_NUMBER}|^ERROR\b:?{_NUMBER}"
    r"|^CMake Error\b|^Error in |^Exception in thread |^Caused by: |^fatal: |\bFATAL\b"
    r"|panicked at |^panic: |^terminate called after |^\s+what\(\): "
    r"|undefined reference to |Assertion .* failed|Segmentation fault|Out of memory"
    # A shell, and the programs that a shell starts.
    r"|: (command )?not found$|No such file or directory|: Permission denied|[Uu]nbound variable$"
    r"|syntax error|parameter not set$|^Killed$| at \S+ line \d+\.?$|^\w[\w.-]*: \(\d+\) "
)
# Lines that only say that a step failed: they count if nothing else states the error.
_SUMMARIES = r"^make(\[\d+\])?: \*\*\*|^FAILED\b|\(core dumped\)|returned non-zero"
# The message is in the next line: R's `Error in f(x) :`, Rust's `panicked at src/main.rs:2:5:`.
_CONTINUED = r"^(CMake )?Error (in|at) .*:\s*$|panicked at .*:\s*$|^\S*Error:\s*$"
_TRACEBACK = "Traceback (most recent call last):"
_GROUP = f"+ Exception Group {_TRACEBACK}"
# Python prints this for an exception that ends nothing, mostly when the program has failed already.
_IGNORED = "Exception ignored "


def failure_reason(lines: Sequence[str]) -> str | None:
    """Return the line that states the error, without the notes that follow it.

    Without such a line, return the last line that is not a note. Return None if there is no text.
    """
    near = [line.rstrip() for line in _without_ignored(lines[-_NEAR_THE_END:])]
    group = _exception_group(near)
    if group is not None:
        return group[:_LONGEST]
    found = _end_of_traceback(near)
    if found is None:
        found = _last(near, _ERRORS)
    if found is None:
        found = _last(near, _SUMMARIES)
    if found is None:
        found = _last(near, r"\S")
    if found is None:
        return next((line.strip() for line in reversed(near) if line), None)
    reason = near[found].strip()
    if re.search(_CONTINUED, near[found]) and found + 1 < len(near):
        reason = f"{reason} {near[found + 1].strip()}"
    return reason[:_LONGEST]


def _without_ignored(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines without the exceptions that Python has ignored, and their tracebacks."""
    is_ignored = False
    for line in lines:
        if line.startswith(_IGNORED):
            is_ignored = True
        elif not is_ignored:
            yield line
        else:
            # The exception itself comes last, and is not indented.
            is_ignored = line.startswith((" ", "\t", _TRACEBACK))


def _exception_group(lines: Sequence[str]) -> str | None:
    """Return the message of a group of exceptions in whose traceback the lines end, if they do."""
    starts = [number for number, line in enumerate(lines) if line.strip() == _GROUP]
    if not starts or not lines[-1].startswith(" "):
        return None
    for line in lines[starts[-1] + 1 :]:
        message = line.strip().removeprefix("| ")
        if not message.startswith(" "):
            return message
    return None


def _end_of_traceback(lines: Sequence[str]) -> int | None:
    """Return the index of the exception in which the last Python traceback ends.

    An error that another program prints later is the reason instead.
    """
    starts = [number for number, line in enumerate(lines) if _TRACEBACK in line]
    if not starts:
        return None
    start = starts[-1]
    prefix = lines[start][: lines[start].index(_TRACEBACK)]
    for number in range(start + 1, len(lines)):
        line = lines[number].removeprefix(prefix)
        if line and not line.startswith((" ", "\t")):
            later = _last(lines[number + 1 :], _ERRORS)
            return number if later is None else None
    return None


def _last(lines: Sequence[str], pattern: str) -> int | None:
    """Return the index of the last line that has the pattern and is not a note."""
    for number in range(len(lines) - 1, -1, -1):
        is_note = re.search(_NOTES, lines[number])
        if re.search(pattern, lines[number]) and not is_note:
            return number
    return None
