"""`gitorch verify`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitorch.cli.arguments import (
    JobsOption,
    JsonOption,
    NameOption,
    RunsArgument,
    StatusOption,
    WhereOption,
    WhyOption,
    say_none_selected,
    selection_of,
    site_here,
)
from gitorch.cli.boundary import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    guarded,
    print_json,
)
from gitorch.cli.verification import (
    ToleranceOption,
    compare_with_originals,
    say_notes,
    say_refused,
    tolerance_of,
)
from gitorch.errors import UsageError

if TYPE_CHECKING:
    from gitorch.actions.rerun import Rerun
    from gitorch.actions.verify import Sample, Verifiable
    from gitorch.cli.verification import Verification

SampleOption = Annotated[
    str | None,
    typer.Option(
        "--sample",
        metavar="N[%]",
        help="Verify this number of the selected runs, or this share of them; at least one. "
        "Without a selection: of all complete runs.",
    ),
]
SeedOption = Annotated[
    str | None,
    typer.Option(
        "--seed",
        metavar="TEXT",
        help="Draw another sample; the same for each TEXT.",
    ),
]


@guarded
def command(
    runs: RunsArgument = None,
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    sample: SampleOption = None,
    seed: SeedOption = None,
    tolerance: ToleranceOption = None,
    jobs: JobsOption = None,
    why: WhyOption = None,
    as_json: JsonOption = False,
) -> int:
    """Repeat complete runs, and compare the results.

    The new runs compute everything anew, and are compared with the first run of which they are
    repetitions. The exit code is 0 only if all results are identical or within the tolerance.
    """
    from gitorch.actions.rerun import rerun
    from gitorch.actions.verify import select_verifiable
    from gitorch.cli.execution import execute, say_failures

    allowed = tolerance_of(tolerance)
    drawn = _sample(sample, seed)
    site = site_here()
    selection = selection_of(runs, where, status, name)
    verifiable = select_verifiable(site, selection, drawn)
    say_refused(verifiable.refused)
    if not verifiable.count:
        if as_json:
            print_json(_document(verifiable, None, None))
        elif not verifiable.refused:
            say_none_selected(site, where)
        return EXIT_FAILED if verifiable.refused else EXIT_OK
    repeated = rerun(site, verifiable.selection, environment=os.environ, why=why)
    say_notes(repeated.notes)
    say_refused(repeated.refused)
    worked = execute(site, [record.id for record in repeated.runs], jobs)
    say_failures(worked)
    if worked.interrupted:
        return EXIT_INTERRUPTED
    verification = compare_with_originals(site, repeated, worked, allowed)
    if as_json:
        print_json(_document(verifiable, repeated, verification))
    is_whole = not repeated.refused
    return EXIT_OK if verification.is_reproduced and is_whole else EXIT_FAILED


def _sample(text: str | None, seed: str | None) -> Sample | None:
    from gitorch.actions.verify import Sample

    if text is not None:
        return Sample.parse(text, seed or "")
    if seed is not None:
        raise UsageError("--seed is for --sample")
    return None


def _document(
    verifiable: Verifiable,
    repeated: Rerun | None,
    verification: Verification | None,
) -> dict[str, Any]:
    refused = list(verifiable.refused)
    verdicts, incomplete = [], []
    if repeated is not None and verification is not None:
        refused += repeated.refused
        rerun_of = {record.id: record.rerun_of for record in repeated.runs}
        verdicts = [verdict.to_json() for verdict in verification.verdicts]
        for run_id, status in verification.incomplete:
            entry = {"id": run_id, "of": rerun_of[run_id], "status": status}
            incomplete.append(entry)
    return {
        "schema": "gitorch/verify/v1",
        "verdicts": verdicts,
        "incomplete": incomplete,
        "refused": [{"id": run_id, "why": why} for run_id, why in refused],
    }
