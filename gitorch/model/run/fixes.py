"""What has to change so that a failed task can succeed: its code, its config, or neither."""

from __future__ import annotations

import re
from enum import Enum, auto

from gitorch.model.run.outcome import CouldNotStart, Outcome, TimedOut
from gitorch.model.run.outcome_kind import OutcomeKind

# `re` compiles the patterns when something fails.
#
# The machine, the network or the installed programs are at fault.
_OUTSIDE = (
    r"No space left|Disk quota|Permission denied|Connection (refused|reset|timed out|aborted)"
    r"|name resolution|Network is unreachable|Read-only file system|Too many open files"
    r"|[Oo]ut of memory|Cannot allocate memory|CUDA error"
)
# The command, its options, or what the config links or chooses are at fault.
_CONFIG = (
    r"No such file|not found|No module named|cannot import name|cannot access"
    r"|unrecognized arguments|unrecognized option|invalid option|unknown option|[Nn]o such option"
    r"|invalid choice|the following arguments are required|[Uu]sage:|[Uu]nbound variable"
)


class Fix(Enum):
    """Where a fix is made, and so how the run continues."""

    CODE = auto()  # retry --at
    CONFIG = auto()  # retry --config
    OUTSIDE = auto()  # retry


def fitting_fixes(outcome: Outcome) -> tuple[Fix, ...]:
    """Return the fixes that fit a failure, the likeliest first."""
    message = outcome.message or ""
    if isinstance(outcome, TimedOut):
        return (Fix.CONFIG, Fix.CODE)
    if re.search(_OUTSIDE, message):
        return (Fix.OUTSIDE,)
    if isinstance(outcome, CouldNotStart):
        return (Fix.OUTSIDE, Fix.CONFIG)
    if outcome.kind is not OutcomeKind.EXIT_CODE:
        return (Fix.OUTSIDE, Fix.CODE)
    if re.search(_CONFIG, message):
        return (Fix.CONFIG, Fix.CODE)
    if not message:
        return (Fix.CODE, Fix.CONFIG)
    return (Fix.CODE,)
