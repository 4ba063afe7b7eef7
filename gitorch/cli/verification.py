"""The repetition and comparison of runs, for `verify` and `rerun --verify`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from gitorch.cli.style import in_line, say
from gitorch.errors import UsageError
from gitorch.model.text.phrases import counted

if TYPE_CHECKING:
    from gitorch.actions.rerun import Rerun
    from gitorch.actions.run import Worked
    from gitorch.model.run.tolerance import Tolerance
    from gitorch.model.run.verdict import Verdict
    from gitorch.storage.site import Site

_MOST_IN_FULL = 3  # verdicts on runs that came out differently

ToleranceOption = Annotated[
    str | None,
    typer.Option(
        "--tolerance",
        metavar="T",
        help="How much numbers may differ: 0, or rel=NUMBER,abs=NUMBER. "
        "[rel=1e-6,abs=1e-12]",
    ),
]


class Verification(NamedTuple):
    """The verdicts on runs that completed, and the id and status of the others."""

    verdicts: list[Verdict]
    incomplete: list[tuple[str, str]]

    @property
    def is_reproduced(self) -> bool:
        return not self.incomplete and all(
            verdict.is_reproduced for verdict in self.verdicts
        )


def tolerance_of(text: str | None) -> Tolerance:
    """Return the tolerance that an option means. Raises UsageError."""
    from gitorch.model.run.tolerance import Tolerance, parse_tolerance

    if text is None:
        return Tolerance()
    try:
        return parse_tolerance(text)
    except ValueError as error:
        raise UsageError(
            f"--tolerance: {error}", "for example --tolerance rel=1e-6,abs=1e-9"
        ) from None


def say_refused(refused: Sequence[tuple[str, str]]) -> None:
    """Say how many of the selected runs are not verified, and why the first is not."""
    if refused:
        count = counted(len(refused), "run")
        say(f"{count} not verified: {in_line(refused[0][1])}")


def say_notes(notes: Sequence[str]) -> None:
    for note in notes:
        say(f"note: {in_line(note)}")


def compare_with_originals(
    site: Site, repeated: Rerun, worked: Worked, tolerance: Tolerance
) -> Verification:
    """Compare each new run with the run that it repeats, and say what came out differently.

    The verdicts are recorded. A run that did not complete is not compared.
    """
    from gitorch.actions.verify import record_verdicts, verify
    from gitorch.cli.render_verdict import render_verdict

    different = 0
    verification = Verification([], [])
    statuses = {end.id: str(end.status) for end in worked.runs}
    for record in repeated.runs:
        if record.id not in worked.complete:
            say(f"{record.id} repeats {record.rerun_of}: it did not complete")
            status = statuses.get(record.id, str(record.status))
            verification.incomplete.append((record.id, status))
            continue
        verdict = verify(site, record.id, tolerance)
        verification.verdicts.append(verdict)
        different += not verdict.is_reproduced
        say(render_verdict(verdict, in_full=different <= _MOST_IN_FULL))
    record_verdicts(site, verification.verdicts)
    return verification
