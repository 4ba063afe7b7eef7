"""`gitorch rerun`."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitorch.cli.arguments import (
    JobsOption,
    JsonOption,
    NameOption,
    OverridesOption,
    RunsArgument,
    StatusOption,
    WhereOption,
    WhyOption,
    say_none_selected,
    selection_of,
    site_here,
)
from gitorch.cli.boundary import EXIT_FAILED, EXIT_OK, guarded, print_json
from gitorch.cli.style import in_line, put, say
from gitorch.errors import UsageError
from gitorch.model.text.phrases import counted

if TYPE_CHECKING:
    from gitorch.actions.rerun import Rerun
    from gitorch.storage.site import Site

_MOST_IN_FULL = 3  # verdicts on runs that came out differently


QueueOption = Annotated[
    bool,
    typer.Option("--queue", help="Queue the new runs, and do not execute them."),
]
VerifyOption = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Compare the results with the original ones; exit with 1 if any differs.",
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
    as_recorded: AsRecordedOption = False,
    jobs: JobsOption = None,
    why: WhyOption = None,
    as_json: JsonOption = False,
) -> int:
    """Repeat runs as new runs, and compute everything anew.

    The new runs have the same code, config and parameters, except for those that -S sets. A run of
    another clone is repeated with the interpreter of this clone and without the variables under
    `env:`, except with --as-recorded.
    """
    from gitorch.actions.rerun import rerun
    from gitorch.cli.execution import execute, exit_code, say_failures

    _require_comparable(queue=queue, verify=verify, overrides=overrides)
    site = site_here()
    repeated = rerun(
        site,
        selection_of(runs, where, status, name),
        environment=os.environ,
        as_recorded=as_recorded,
        overrides=overrides or (),
        why=why,
    )
    _say_notes(repeated.notes)
    if not as_json:
        _show(site, repeated, where)
    document = repeated.to_json()
    code = EXIT_OK
    if repeated.runs and not queue:
        worked = execute(site, [record.id for record in repeated.runs], jobs)
        say_failures(worked)
        code = exit_code(worked)
        if verify and not worked.interrupted:
            is_reproduced = _verify(
                site, repeated, document["runs"], worked.complete
            )
            code = code if is_reproduced else EXIT_FAILED
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


def _say_notes(notes: Sequence[str]) -> None:
    for note in notes:
        say(f"note: {in_line(note)}")


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


def _verify(
    site: Site,
    repeated: Rerun,
    entries: list[dict[str, Any]],
    complete: Container[str],
) -> bool:
    """Compare each new run with the run that it repeats, and return True if all are the same.

    The verdict on each run is added to its entry in the JSON document. A run that did not complete
    is not compared.
    """
    from gitorch.actions.rerun import verify
    from gitorch.cli.render_verdict import render_verdict

    different = 0
    for entry, record in zip(entries, repeated.runs, strict=True):
        if record.id not in complete:
            entry["same"] = False
            say(f"{record.id} repeats {record.rerun_of}: it did not complete")
            continue
        verdict = verify(site, record.id)
        entry |= verdict.to_json()
        different += not verdict.same
        say(render_verdict(verdict, in_full=different <= _MOST_IN_FULL))
    return all(entry["same"] for entry in entries)
