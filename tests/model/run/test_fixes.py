"""Which kind of fix fits a failure."""

from __future__ import annotations

import pytest

from gitorch.model.run.fixes import Fix, fitting_fixes
from gitorch.model.run.outcome import (
    CouldNotStart,
    ExitCode,
    Outcome,
    OutOfMemory,
    TimedOut,
)


@pytest.mark.parametrize(
    ("outcome", "fixes"),
    [
        (TimedOut(), (Fix.CONFIG, Fix.CODE)),
        (OutOfMemory(), (Fix.OUTSIDE, Fix.CODE)),
        (CouldNotStart(message="no python"), (Fix.OUTSIDE, Fix.CONFIG)),
        (ExitCode(exit_code=1, message="ValueError: lr"), (Fix.CODE,)),
        (ExitCode(exit_code=1), (Fix.CODE, Fix.CONFIG)),
        (
            ExitCode(exit_code=127, message="bash: tpyo: command not found"),
            (Fix.CONFIG, Fix.CODE),
        ),
        (
            ExitCode(
                exit_code=2, message="train.py: error: unrecognized arguments: -x"
            ),
            (Fix.CONFIG, Fix.CODE),
        ),
        (
            ExitCode(
                exit_code=1, message="OSError: [Errno 28] No space left on device"
            ),
            (Fix.OUTSIDE,),
        ),
    ],
)
def test_the_fix_fits_the_failure(outcome: Outcome, fixes: tuple[Fix, ...]) -> None:
    assert fitting_fixes(outcome) == fixes
