"""What executes runs: run, rerun, demo."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli.arguments import (
    Chosen,
    Json,
    OfWhere,
    Overrides,
    none_selected,
    selected,
    site_here,
)
from gitorch.cli.boundary import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, guarded, print_json
from gitorch.cli.commands.prepare import has_errors, show_ready
from gitorch.cli.style import has_colors, plain, say
from gitorch.model.text.phrases import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitorch.actions.run import Worked
    from gitorch.runs.site import Site


@guarded
def run(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID or PATH]...", help="These runs only; a config is readied first."
        ),
    ] = None,
    overrides: Overrides = None,
    jobs: Annotated[
        str | None,
        typer.Option(
            "-j", "--jobs", metavar="N", help="Tasks at a time, or auto. [gitorch.jobs, else 1]"
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and wait for more.")] = False,
    stop_after: Annotated[
        int | None,
        typer.Option(
            "--stop-after", metavar="K", help="Begin nothing more after K failures.", min=1
        ),
    ] = None,
    no_cache: Annotated[
        bool,
        typer.Option(
            "--no-cache", help="Compute all anew, also what other runs have computed already."
        ),
    ] = False,
    json_: Json = False,
) -> int:
    """Work the queue until nothing is left to do."""
    from gitorch.actions.run import workable  # noqa: PLC0415
    from gitorch.errors import UsageError  # noqa: PLC0415

    site = site_here()
    configs = [Path(item) for item in what or [] if Path(item).exists()]
    references = [item for item in what or [] if not Path(item).exists()]
    failed = False
    if overrides and not configs:
        raise UsageError(
            "-S changes a config: name one", hint="gitorch run experiments -S lr=0.1,0.01"
        )
    if configs:
        from gitorch.actions.ready import ready as make_ready  # noqa: PLC0415  with YAML: 60 ms

        made = make_ready(
            site, configs, environment=os.environ, overrides=overrides or [], tell=say
        )
        show_ready(made, dry_run=False, quiet=json_)
        failed = has_errors(made.problems)
        references += [record.id for record in made.queued] + workable(
            site, [known.id for known in made.skipped]
        )
        if not references:
            if json_:
                print_json({"schema": "gitorch/run/v1", "runs": []})
            return EXIT_FAILED if failed else EXIT_OK
    worked = work(site, references, jobs, stop_after=stop_after, watch=watch, reuse=not no_cache)
    if json_:
        print_json(worked.to_json())
    else:
        say_worked(worked)
    if worked.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if failed or worked.failed else EXIT_OK


@guarded
def rerun(
    runs: Chosen = None,
    where: OfWhere = None,
    queue: Annotated[bool, typer.Option("--queue", help="Only queue it.")] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Say what came out the same; exit with 1 if not all did."),
    ] = False,
    jobs: Annotated[
        str | None, typer.Option("-j", "--jobs", metavar="N", help="Tasks at a time, or auto.")
    ] = None,
    json_: Json = False,
) -> int:
    """The same code, config and parameters again: a new run, computed anew."""
    from gitorch.actions.rerun import rerun as act  # noqa: PLC0415
    from gitorch.actions.rerun import verify as act_verify  # noqa: PLC0415
    from gitorch.errors import UsageError  # noqa: PLC0415

    if queue and verify:
        raise UsageError(
            "--queue and --verify exclude each other: what has not run cannot be verified"
        )
    site = site_here()
    made = act(site, selected(runs, where))
    for note in made.notes:
        say(f"note: {plain(note)}")
    if not json_:
        for record in made.runs:
            print(record.id, flush=True)
        if made.refused:
            say(
                f"{len(made.refused)} not run again: the commits that they were pinned to are not in this clone"
            )
        elif not made.runs:
            say(none_selected(site, where))
    document = made.to_json()
    code = EXIT_OK
    if made.runs and not queue:
        worked = work(site, [record.id for record in made.runs], jobs)
        code = EXIT_INTERRUPTED if worked.interrupted else EXIT_FAILED if worked.failed else EXIT_OK
    if verify and code == EXIT_OK:
        for entry, record in zip(document["runs"], made.runs, strict=True):
            found = act_verify(site, record.id)
            entry["same"] = found.metrics.same and found.outputs.same
            code = code if entry["same"] else EXIT_FAILED
            differing = [
                *found.metrics.changed,
                *found.outputs.changed,
                *found.outputs.added,
                *found.outputs.removed,
            ]
            said = (
                "all metrics and outputs are the same"
                if entry["same"]
                else f"differs in {', '.join(differing)}"
            )
            say(f"{record.id} repeats {record.rerun_of}: {plain(said)}")
    if json_:
        print_json(document)
    return code


@guarded
def demo(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where. [penguins]", show_default=False)
    ] = None,
) -> int:
    """A repository with real data: readied, run and compared."""
    from gitorch.actions.compare import compare as act_compare  # noqa: PLC0415
    from gitorch.actions.demo import create  # noqa: PLC0415
    from gitorch.actions.listing import listing  # noqa: PLC0415
    from gitorch.actions.ready import ready as make_ready  # noqa: PLC0415
    from gitorch.cli.listing import render_list  # noqa: PLC0415
    from gitorch.cli.render import SECTIONS, render_comparison  # noqa: PLC0415

    colors = has_colors(sys.stdout)
    path = create(directory or Path("penguins"))
    os.chdir(path)
    say(f"Made a repository in {path}")
    site = site_here()
    show_ready(make_ready(site, [], environment=os.environ), dry_run=False)
    worked = work(site, [], "2")
    say_worked(worked)
    runs = listing(site).runs
    print("\n$ gitorch list\n" + render_list(runs, all_columns=False, colors=colors))
    ranked = sorted(runs, key=lambda row: row.metrics.get("accuracy") or 0.0)
    first, last = ranked[0].name, ranked[-1].name
    print(f"\n$ gitorch compare {first} {last}")
    print(render_comparison(act_compare(site, selected([first, last])), SECTIONS, colors=colors))
    say("\nnext, try:")
    here = os.path.relpath(path, os.environ.get("PWD", "/"))
    for command in (
        f"cd {here if not here.startswith('..') else path}",
        f"gitorch show {last}",
        f"gitorch logs {last} --task evaluate",
        f"gitorch checkout-run {last}",
        f"gitorch rerun {first} --verify",
        f"gitorch run -j 2 experiments/{last}.yaml -S learningRate=0.1,1.0 -S 'seed=range(1,4)'",
        "gitorch list --group name,learningRate",
        "git log gitorch/results",
    ):
        say(f"  {command}")
    return EXIT_FAILED if worked.failed else EXIT_OK


def work(
    site: Site,
    references: Sequence[str],
    jobs: str | None,
    *,
    stop_after: int | None = None,
    watch: bool = False,
    reuse: bool = True,
) -> Worked:
    from gitorch.actions.run import jobs_of  # noqa: PLC0415
    from gitorch.actions.run import run as act  # noqa: PLC0415
    from gitorch.cli.progress import showing  # noqa: PLC0415

    count = jobs_of(jobs, site)
    with showing() as listener:
        return act(
            site,
            references,
            listener,
            jobs=count,
            environment=os.environ,
            stop_after=stop_after,
            watch=watch,
            reuse=reuse,
        )


def say_worked(worked: Worked) -> None:
    if not worked.runs:
        say("stopped" if worked.interrupted else "nothing to do: no task can be run")
        return
    counts = Counter(ended.status for ended in worked.runs)
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    say(
        f"{counted(len(worked.runs), 'run')}: {said}"
        + ("; stopped, what is left waits in the queue" if worked.interrupted else "")
    )
