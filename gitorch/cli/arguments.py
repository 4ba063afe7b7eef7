"""Arguments and options that several commands share, and the values made from them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli import offers
from gitorch.cli.boundary import at_end
from gitorch.cli.invalid import say_invalid
from gitorch.cli.style import ColorUi, masking, plain, say
from gitorch.cli.unreadable import say_unreadable
from gitorch.errors import UsageError
from gitorch.model.run.ids import LAST
from gitorch.model.run.status import Status
from gitorch.model.text.quantities import parse_duration

if TYPE_CHECKING:
    from gitorch.actions.selection import Selection
    from gitorch.storage.site import Site


def _masked(text: str | None) -> str | None:
    """Return a text that will be recorded, without secrets."""
    return None if text is None else masking().text(text)


def _seconds(text: str) -> float:
    """Return a length of time in seconds. A number alone is in seconds. Raises BadParameter."""
    is_number = text.isascii() and text.isdecimal()
    try:
        return parse_duration(f"{text}s" if is_number else text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from None


JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout.")
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="A run: its id, a prefix of the id, its name or label, NAME~1, @ or @~1.",
        autocompletion=offers.runs_for_verb,
    ),
]
RunsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID]...",
        help="Runs: ids, prefixes of ids, names, labels, NAME~1, @, @~1 or @last.",
        autocompletion=offers.runs_for_verb,
    ),
]
WhereOption = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="EXPR",
        help="Select the runs for which EXPR is true; see gitorch list --help.",
    ),
]
StatusOption = Annotated[
    str | None,
    typer.Option(
        "--status",
        metavar="S",
        help="Select the runs with this status.",
        autocompletion=offers.statuses,
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--name", metavar="GLOB", help="Select the runs whose name matches GLOB."
    ),
]
AllOption = Annotated[
    bool,
    typer.Option("--all", help="Select every run whose status permits the change."),
]
JobsOption = Annotated[
    str | None,
    typer.Option(
        "-j",
        "--jobs",
        metavar="N",
        help="Execute N tasks at a time, or auto. [gitorch.jobs, else 1]",
    ),
]
AgainOption = Annotated[
    bool,
    typer.Option(
        "--again", help="Queue the runs again, even if they exist already."
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="TIME",
        help="Give up after this time, such as 90s or 2h, with exit code 5.",
        parser=_seconds,
    ),
]
YesOption = Annotated[
    bool, typer.Option("-y", "--yes", help="Do not ask for confirmation.")
]
WhyOption = Annotated[
    str | None,
    typer.Option(
        "--why",
        metavar="TEXT",
        help="Record this reason with the change.",
        callback=_masked,
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse if the environment differs from the recorded one.",
    ),
]
OverridesOption = Annotated[
    list[str] | None,
    typer.Option(
        "-S",
        metavar="K=V[,V]",
        help="Set parameter K, or sweep over several values; ~K removes it. Repeatable.",
        autocompletion=offers.overrides,
    ),
]
PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[PATH]...",
        help="Configs, or directories of configs. Default: experiments/.",
        autocompletion=offers.configs,
    ),
]


def site_here() -> Site:
    """Return the site of the current directory, and warn of settings that do not exist.

    After the command, the records that cannot be read are counted on stderr, and the runs that
    were named and that are not to be trusted are listed there.

    Raises NotFound, Refused or UsageError.
    """
    from gitorch.model.settings import unknown_settings
    from gitorch.storage.site import Site

    site = Site.at(Path.cwd(), warn=_warn)
    at_end(partial(say_unreadable, site))
    at_end(partial(say_invalid, site))
    ColorUi.value = site.repository.git_config.get("color.ui", ["auto"])[-1].lower()
    for message in unknown_settings(site.repository.git_config):
        _warn(message)
    return site


def _warn(message: str) -> None:
    say(f"warning: {plain(message)}")


def selection_of(
    references: list[str] | None,
    where: str | None = None,
    status: str | None = None,
    name: str | None = None,
    everything: bool = False,
) -> Selection:
    """Return the selection that the arguments describe. Raises UsageError if they conflict."""
    from gitorch.actions.selection import Selection

    has_options = where is not None or status or name or everything
    if references and has_options and set(references) != {LAST}:
        raise UsageError("name runs or select them with options, not both")
    if status and status.upper() not in Status.__members__:
        raise UsageError(
            f"{status!r} is not a status",
            hint=f"the statuses are {', '.join(Status)}",
        )
    return Selection(
        references=tuple(references or ()),
        where=where,
        status=Status(status.upper()) if status else None,
        name=name,
        everything=everything,
    )


def say_none_selected(site: Site, where: str | None) -> None:
    from gitorch.actions.selection import explain_empty_selection

    say(plain(explain_empty_selection(site, where)))
