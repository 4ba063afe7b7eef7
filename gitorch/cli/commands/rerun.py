"""`gitorch rerun`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitorch.cli.arguments import (
    JobsOption,
    JsonOption,
    NameOption,
    OverridesOption,
    RunsArgument,
    StatusOption,
    StrictOption,
    WhereOption,
    WhyOption,
    say_none_selected,
    selection_of,
    site_here,
)
from gitorch.cli.boundary import EXIT_FAILED, EXIT_OK, guarded, print_json
from gitorch.cli.style import put, say
from gitorch.cli.verification import (
    ToleranceOption,
    compare_with_originals,
    say_notes,
    say_refused,
    tolerance_of,
)
from gitorch.errors import UsageError
from gitorch.model.text.phrases import counted

if TYPE_CHECKING:
    from gitorch.actions.rerun import Rerun
    from gitorch.actions.selection import Selection
    from gitorch.cli.verification import Verification
    from gitorch.model.run.tolerance import Tolerance
    from gitorch.storage.site import Site

QueueOption = Annotated[
    bool,
    typer.Option("--queue", help="Queue the new runs, and do not execute them."),
]
VerifyOption = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Compare the results with the original ones, as gitorch verify does.",
    ),
]
AsRecordedOption = Annotated[
    bool,
    typer.Option(
        "--as-recorded",
        help="Use the interpreter and the variables of a record from another clone.",
    ),
]


@guarded
def command(
    runs: RunsArgument = None,
    overrides: OverridesOption = None,
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    queue: QueueOption = False,
    verify: VerifyOption = False,
    tolerance: ToleranceOption = None,
    as_recorded: AsRecordedOption = False,
    strict: StrictOption = False,
    jobs: JobsOption = None,
    why: WhyOption = None,
    as_json: JsonOption = False,
) -> int:
    """Repeat runs as new runs, and compute everything anew.

    The new runs have the same code, config and parameters, except for those that -S sets. A run of
    another clone is repeated with the interpreter of this clone and without the variables under
    `env:`, except with --as-recorded.

    Notes say how the environment differs from the recorded one: packages and their origins,
    interpreter, C library, GPU, variables, locale, time zone and umask. With --strict, such a
    difference is refused. Another CPU, memory or kernel is only noted: the machines of a cluster
    differ in these, mostly without an effect on results.
    """
    from gitorch.actions.rerun import rerun
    from gitorch.cli.execution import execute, exit_code, say_failures

    _require_comparable(queue=queue, verify=verify, overrides=overrides)
    allowed = _tolerance(tolerance, verify=verify)
    site = site_here()
    selection = selection_of(runs, where, status, name)
    if verify:
        selection = _verifiable(site, selection)
    repeated = rerun(
        site,
        selection,
        environment=os.environ,
        as_recorded=as_recorded,
        strict=strict,
        overrides=overrides or (),
        why=why,
    )
    say_notes(repeated.notes)
    if not as_json:
        _show(site, repeated, where)
    document = repeated.to_json()
    code = EXIT_OK
    if repeated.runs and not queue:
        worked = execute(site, [record.id for record in repeated.runs], jobs)
        say_failures(worked)
        code = exit_code(worked)
        if verify and not worked.interrupted:
            verified = compare_with_originals(site, repeated, worked, allowed)
            _add_verdicts(document["runs"], verified)
            code = code if verified.is_reproduced else EXIT_FAILED
    if as_json:
        print_json(document)
    return code


def _require_comparable(
    *, queue: bool, verify: bool, overrides: Sequence[str] | None
) -> None:
    """Raise UsageError if the new runs are to be verified, but cannot be."""
    if queue and verify:
        raise UsageError(
            "--queue and --verify exclude each other: a queued run has no results"
        )
    if overrides and verify:
        raise UsageError(
            "-S and --verify exclude each other: other parameters give other results",
            "gitorch compare ID @ shows what differs",
        )


def _tolerance(text: str | None, *, verify: bool) -> Tolerance:
    if text is not None and not verify:
        raise UsageError("--tolerance is for --verify")
    return tolerance_of(text)


def _verifiable(site: Site, selection: Selection) -> Selection:
    """Return the selection of the runs whose repetitions can be compared. Raises Refused."""
    from gitorch.actions.verify import select_verifiable

    verifiable = select_verifiable(site, selection)
    say_refused(verifiable.refused)
    return verifiable.selection


def _add_verdicts(entries: list[dict[str, Any]], verified: Verification) -> None:
    """Add the verdict on each run to its entry in the JSON document."""
    verdicts = {verdict.id: verdict for verdict in verified.verdicts}
    for entry in entries:
        verdict = verdicts.get(entry["id"])
        entry["same"] = verdict is not None and verdict.is_reproduced
        if verdict is not None:
            entry |= verdict.to_json()


def _show(site: Site, repeated: Rerun, where: str | None) -> None:
    for record in repeated.runs:
        put(record.id, flush=True)
    if repeated.refused:
        count = counted(len(repeated.refused), "run")
        say(
            f"{count} not repeated: the commits of these runs are not in this clone"
        )
    elif not repeated.runs:
        say_none_selected(site, where)
