"""The program: its options, and its commands in the order in which `--help` lists them.

Actions are imported by the command that needs them: `--help` and completion must not wait for git or YAML.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from gitorch.cli.boundary import launched, tell
from gitorch.cli.commands import look, maintain, operate, prepare, restore, work

app = typer.Typer(
    name="gitorch",
    help="Run experiments from a git repository: pinned, queued, recorded, comparable, repeatable.",
    no_args_is_help=True,
    rich_markup_mode=None,  # help in 90 ms instead of 300
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The program `gitorch`, and `git orch`."""
    sys.exit(launched(app))


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"gitorch {version('gitorch')}")
        raise typer.Exit


@app.callback()
def _options(
    directory: Annotated[
        Path | None,
        typer.Option("-C", metavar="DIR", help="Work as if started in DIR.", show_default=False),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if directory is not None:
        try:
            os.chdir(directory)
        except OSError as error:
            from gitorch.errors import NotFound  # noqa: PLC0415

            missing = NotFound(f"cannot work in {directory}: {error.strerror}")
            raise typer.Exit(tell(missing, as_json="--json" in sys.argv)) from None


app.command()(prepare.init)
app.command()(prepare.check)
app.command()(prepare.ready)
app.command()(work.run)
app.command()(look.status)
app.command("list", epilog=look.EXPRESSIONS)(look.list_)
app.command()(look.show)
app.command()(look.logs)
app.command()(look.compare)
app.command()(restore.checkout_run)
app.command()(restore.revert)
app.command()(work.rerun)
app.command("hold", help="Begin nothing more of these runs; running tasks end.")(
    operate.operator_verb("hold")
)
app.command("release", help="Let held runs go on.")(operate.operator_verb("release", "gitorch run"))
app.command("kill", help="End runs and remove their records; nothing that is complete.")(
    operate.operator_verb("kill")
)
app.command()(operate.retry)
app.command("fail", help="Give failed runs up: they leave the queue, their records stay.")(
    operate.operator_verb("fail")
)
app.command("resubmit", help="Queue runs again that were given up.")(
    operate.operator_verb("resubmit", "gitorch run")
)
app.command("set")(operate.set_)
app.command()(maintain.collect)
app.command()(maintain.doctor)
app.command()(work.demo)
