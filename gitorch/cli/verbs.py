"""The commands of gitorch, in the order in which `--help` lists them.

`gitorch --help` and the completion of a command's name read this table and import no command. The
module of a command is imported when the command is invoked.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from gitorch.cli.examples import render_examples


class Verb(NamedTuple):
    """A command: the module of `gitorch.cli.commands` that defines it, and its first help line."""

    module: str
    summary: str


VERBS = {
    "init": Verb("init", "Write an example config."),
    "check": Verb("check", "Validate configs and change nothing."),
    "ready": Verb("ready", "Validate configs, pin the code and queue the runs."),
    "run": Verb("run", "Execute queued tasks until nothing is left to do."),
    "stop": Verb(
        "stop", "Let workers end after their running tasks, as Ctrl-C does."
    ),
    "wait": Verb("wait", "Wait until runs have ended."),
    "status": Verb(
        "status", "Show the progress of running runs, and why the others wait."
    ),
    "list": Verb(
        "list_runs", "List the runs, newest first, with the columns that differ."
    ),
    "show": Verb(
        "show", "Show a run with its tasks, metrics, outputs and history."
    ),
    "logs": Verb("logs", "Print the raw output of a run."),
    "cat": Verb("cat", "Print an output of a run."),
    "open": Verb(
        "open_output", "Open an output of a run with the program of your desktop."
    ),
    "outputs": Verb(
        "outputs", "List the outputs of runs, or copy them into directories."
    ),
    "metrics": Verb("metrics", "Print the metrics of a run, with every value."),
    "plot": Verb(
        "plot", "Draw the curves of metrics, in the terminal or as a picture."
    ),
    "env": Verb("env", "Show what a run ran with."),
    "ui": Verb("ui", "Show the runs in the browser, live, and steer them."),
    "report": Verb("report", "Write runs, plots and failures into one file."),
    "compare": Verb("compare", "Show only the differences between runs."),
    "stale": Verb(
        "stale", "List the runs that used files which have changed since."
    ),
    "checkout-run": Verb(
        "checkout_run", "Create a worktree with a run's code, logs and outputs."
    ),
    "revert": Verb("revert", "Bring your checkout back to the code of a run."),
    "rerun": Verb("rerun", "Repeat runs as new runs, and compute everything anew."),
    "verify": Verb(
        "verify",
        "Repeat complete runs, and compare the results.",
    ),
    "invalidate": Verb("invalidate", "Mark complete runs as not to be trusted."),
    "hold": Verb(
        "hold", "Start no more tasks of these runs; running tasks finish."
    ),
    "release": Verb("release", "Let held runs continue."),
    "kill": Verb(
        "kill", "End runs that are not complete, and remove their records."
    ),
    "retry": Verb("retry", "Continue failed runs at the task that failed."),
    "fail": Verb("fail", "Give up runs in ERROR; their records stay."),
    "resubmit": Verb("resubmit", "Queue FAILED runs again."),
    "adopt": Verb(
        "adopt", "Take over runs of a clone that is gone, or from elsewhere."
    ),
    "set": Verb("set_priority", "Change the priority of unfinished runs."),
    "collect": Verb(
        "collect", "Remove files that nothing needs, and pack the results."
    ),
    "doctor": Verb(
        "doctor", "Check queue, records, worktrees, locks and large files."
    ),
    "demo": Verb("demo", "Create a repository with real data, run and compare it."),
    "help": Verb("help", "Show the manual of a topic, or the topics."),
}

# The groups of `--help`. A command that is in none of them is listed at the end.
GROUPS = {
    "Start": ("demo", "init", "check", "ready", "run", "stop", "wait"),
    "Look": (
        *(
            "status",
            "list",
            "show",
            "logs",
            "cat",
            "open",
            "outputs",
            "metrics",
            "plot",
        ),
        *("env", "compare", "stale", "ui", "report"),
    ),
    "Go back": ("checkout-run", "revert", "rerun", "verify", "invalidate"),
    "Steer": (
        *("hold", "release", "retry", "kill", "fail", "resubmit"),
        *("set", "adopt"),
    ),
    "Keep house": ("collect", "doctor", "help"),
}


def load_command(name: str) -> Any:
    """Import the command `name` of the table, and return it as a command of typer."""
    module = import_module(f"gitorch.cli.commands.{VERBS[name].module}")
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    more = getattr(module, "EPILOG", "")
    epilog = f"{more}\n\n{render_examples(name)}".strip()
    app.command(name, epilog=epilog)(module.command)
    return get_command(app)


class VerbGroup(TyperGroup):
    """The group of all commands, with a stand-in for each command until it is invoked.

    `--help`, the completion of names and the suggestion for a misspelt name need only the name and
    the summary, and a stand-in has both.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, verb in VERBS.items():
            self.add_command(
                TyperCommand(name, help=verb.summary, rich_markup_mode=None)
            )

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the groups. A summary is not cut: it continues on the next line."""
        grouped = [name for names in GROUPS.values() for name in names]
        others = [name for name in VERBS if name not in grouped]
        formatter.write_paragraph()
        formatter.write_text("Commands:  (more: gitorch help)")
        width = max(map(len, VERBS))
        for title, names in {**GROUPS, "Others": others}.items():
            rows = [(f"{name:{width}}", VERBS[name].summary) for name in names]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def resolve_command(
        self, ctx: Any, args: list[str]
    ) -> tuple[str | None, Any, list[str]]:
        if args[0] not in VERBS and not args[0].startswith("-"):
            if ctx.resilient_parsing:  # while a shell completes the line
                return None, None, []
            from gitorch.cli.mistaken import other_name

            known = other_name(args[0])
            if known is not None:
                raise known
        name, _, rest = super().resolve_command(ctx, args)
        command = None if name is None else load_command(name)
        return name, command, rest
