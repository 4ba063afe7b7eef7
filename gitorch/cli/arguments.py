"""Arguments and options that several commands have, and what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli.style import plain, say

if TYPE_CHECKING:
    from gitorch.actions.selection import Selection
    from gitorch.runs.site import Site

_COMPLETED = 100  # more cannot be chosen from


def complete_runs(incomplete: str) -> list[tuple[str, str]]:
    """Names and ids that begin so, for the shell; nothing where there is no repository."""
    from gitorch.errors import GitorchError  # noqa: PLC0415
    from gitorch.runs.catalog import Catalog  # noqa: PLC0415

    try:
        catalog = Catalog.of(_quiet_site())
        names = [
            (name, "the latest of this name")
            for name in catalog.names()
            if name.startswith(incomplete)
        ]
        ids = [(run.id, run.label) for run in catalog.beginning(incomplete)]
    except (GitorchError, OSError):
        return []
    return [*names, *ids][:_COMPLETED]


Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Run = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="An id, a prefix of it, a name, a label, @ or @~1.",
        autocompletion=complete_runs,
    ),
]
Chosen = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID]...",
        help="Ids, prefixes of them, names, labels, @ or @~1.",
        autocompletion=complete_runs,
    ),
]
OfWhere = Annotated[
    str | None,
    typer.Option(
        "--where", metavar="EXPR", help="Instead: all that this is true of, see list --help."
    ),
]
OfStatus = Annotated[
    str | None, typer.Option("--status", metavar="S", help="Instead: all in this status.")
]
OfName = Annotated[
    str | None, typer.Option("--name", metavar="GLOB", help="Instead: all of such a name.")
]
All = Annotated[bool, typer.Option("--all", help="Instead: all that it is possible for.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
Why = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="A reason, for the record.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "-S", metavar="K=V[,V]", help="Set a parameter, or sweep it; ~K drops it. Repeatable."
    ),
]
Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[PATH]...", help="Configs or directories of them; by default experiments/."
    ),
]


def site_here() -> Site:
    """The site of the current directory. Warns of settings that do not exist. Raises NotFound, Refused, UsageError."""
    from gitorch.model.settings import unknown_settings  # noqa: PLC0415

    site = _quiet_site()
    for message in unknown_settings(site.repository.git_config):
        say(f"warning: {plain(message)}")
    return site


def _quiet_site() -> Site:
    from gitorch.runs.site import Site  # noqa: PLC0415

    return Site.at(Path.cwd())


def selected(
    runs: list[str] | None,
    where: str | None = None,
    status: str | None = None,
    name: str | None = None,
    everything: bool = False,
) -> Selection:
    from gitorch.actions.selection import Selection  # noqa: PLC0415
    from gitorch.errors import UsageError  # noqa: PLC0415
    from gitorch.model.run.status import Status  # noqa: PLC0415

    if runs and (where is not None or status or name or everything):
        raise UsageError("name runs, or select them with options: not both")
    if status and status.upper() not in Status.__members__:
        raise UsageError(f"{status!r} is no status", hint=f"there are: {', '.join(Status)}")
    return Selection(
        references=tuple(runs or ()),
        where=where,
        status=Status(status.upper()) if status else None,
        name=name,
        everything=everything,
    )


def none_selected(site: Site, where: str | None) -> str:
    """What is to be said where no run is so."""
    from gitorch.actions.selection import explain_empty_selection  # noqa: PLC0415

    return plain(explain_empty_selection(site, where))
