"""`gitorch run`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from gitorch.cli import offers
from gitorch.cli.arguments import (
    AgainOption,
    JobsOption,
    JsonOption,
    NameOption,
    OverridesOption,
    StatusOption,
    WhereOption,
    selection_of,
    site_here,
)
from gitorch.cli.boundary import EXIT_FAILED, EXIT_OK, guarded, print_json
from gitorch.cli.style import in_line, say
from gitorch.errors import NotFound, UsageError

if TYPE_CHECKING:
    from gitorch.actions.ready import Ready
    from gitorch.actions.run import Worked
    from gitorch.actions.selection import Selection
    from gitorch.cli.background import BackgroundWorker
    from gitorch.storage.site import Site


_SUFFIXES = (".yaml", ".yml")  # no run is named like a config
TargetsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID or PATH]...",
        help="Execute only these runs; a config is readied first.",
        autocompletion=offers.runs_and_configs,
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="Execute tasks by this engine: local, slurm, dask, or a plug-in.",
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="The scheduler of the engine dask. [gitorch.dask.scheduler]",
    ),
]
WatchOption = Annotated[
    bool,
    typer.Option("--watch", help="Stay, and wait for more runs to be queued."),
]
StopAfterOption = Annotated[
    int | None,
    typer.Option(
        "--stop-after",
        metavar="K",
        help="Start no more tasks after K failures.",
        min=1,
    ),
]
NoCacheOption = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        help="Compute everything anew, and reuse no cached results.",
    ),
]


DetachOption = Annotated[
    bool,
    typer.Option(
        "--detach",
        help="Work in the background, also when this terminal is closed.",
    ),
]

NotifyOption = Annotated[
    str | None,
    typer.Option(
        "--notify",
        metavar="CMD",
        help="Run this command at each failure and at the end; "
        "see gitorch help from-scripts.",
    ),
]


@guarded
def command(
    targets: TargetsArgument = None,
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    overrides: OverridesOption = None,
    again: AgainOption = False,
    jobs: JobsOption = None,
    engine: EngineOption = None,
    scheduler: SchedulerOption = None,
    watch: WatchOption = False,
    stop_after: StopAfterOption = None,
    no_cache: NoCacheOption = False,
    detach: DetachOption = False,
    notify: NotifyOption = None,
    as_json: JsonOption = False,
) -> int:
    """Execute queued tasks until nothing is left to do.

    A name stands for all waiting runs of that name. How to begin on a cluster: gitorch help
    clusters.
    """
    background = None
    if detach:
        from gitorch.cli.background import start_worker

        # Before anything is opened that two processes must not share.
        started = start_worker(as_json=as_json)
        if isinstance(started, int):
            return started
        background = started
    from gitorch.cli.execution import execute

    site = site_here()
    if engine is not None:
        site.repository.prefer(engine=engine)
    if scheduler is not None:
        dask = {**site.settings.dask, "scheduler": scheduler}
        site.repository.prefer(dask=dask)
    configs, references = _configs_and_runs(targets or [])
    selection_of(targets, where, status, name)  # not both
    selection = selection_of(references, where, status, name)
    _require_configs(configs, overrides, again=again)
    chosen = _chosen(
        site, configs, selection, overrides or [], again, quiet=as_json
    )
    if not chosen.run_ids and (configs or not selection.is_empty):
        return _end_without_runs(chosen.has_problems, as_json=as_json)
    worked = execute(
        site,
        chosen.run_ids,
        jobs,
        stop_after=stop_after,
        watch=watch,
        reuse=not no_cache,
        background=background,
        notify=notify,
    )
    return _end(site, worked, chosen, background, as_json=as_json)


class _Chosen(NamedTuple):
    """The runs to execute: all that are queued if none are named. Some configs have problems."""

    run_ids: list[str]
    has_problems: bool


def _chosen(
    site: Site,
    configs: Sequence[Path],
    selection: Selection,
    overrides: Sequence[str],
    again: bool,
    *,
    quiet: bool,
) -> _Chosen:
    """Return the runs that are named, and those of the configs, which are readied."""
    from gitorch.model.problem import has_errors

    run_ids = [] if selection.is_empty else _named(site, selection)
    if not configs:
        return _Chosen(run_ids, has_problems=False)
    readied = _ready(site, configs, overrides, again=again, quiet=quiet)
    run_ids += _to_execute(site, readied)
    return _Chosen(run_ids, has_errors(readied.problems))


def _end(
    site: Site,
    worked: Worked,
    chosen: _Chosen,
    background: BackgroundWorker | None,
    *,
    as_json: bool,
) -> int:
    """Say how the runs ended, and return the exit code."""
    from gitorch.cli.execution import exit_code, say_summary

    is_in_background = background is not None and background.has_begun
    if background is not None:
        background.say_end()
    if as_json and not is_in_background:
        print_json(worked.to_json())
    else:
        say_summary(worked)
        _say_way_on(site, worked)
    code = exit_code(worked)
    if chosen.has_problems and code == EXIT_OK:
        return EXIT_FAILED
    return code


def _say_way_on(site: Site, worked: Worked) -> None:
    if not (worked.runs or worked.interrupted or site.queue.runs()):
        say("next: gitorch ready")


def _end_without_runs(has_failed: bool, *, as_json: bool) -> int:
    if as_json:
        print_json({"schema": "gitorch/run/v1", "runs": []})
    return EXIT_FAILED if has_failed else EXIT_OK


def _configs_and_runs(targets: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the targets that are files or directories, and the others, which refer to runs."""
    configs = []
    references = []
    for target in targets:
        path = Path(target)
        if path.exists():
            configs.append(path)
        elif path.suffix in _SUFFIXES:
            raise NotFound(
                f"there is no file {target}",
                "name a config, or a directory of configs",
            )
        else:
            references.append(target)
    return configs, references


def _require_configs(
    configs: Sequence[Path], overrides: Sequence[str] | None, *, again: bool
) -> None:
    """Raise UsageError if an option needs a config and none is named."""
    if overrides and not configs:
        raise UsageError(
            "-S changes a config: name one",
            hint="gitorch run experiments -S lr=0.1,0.01, or gitorch rerun ID -S lr=0.1",
        )
    if again and not configs:
        raise UsageError(
            "--again queues the runs of a config again: name one",
            hint="gitorch run experiments --again, or gitorch rerun ID for a run",
        )


def _named(site: Site, selection: Selection) -> list[str]:
    """Return the ids of the selected runs, and say if a name stands for other runs than one."""
    from gitorch.actions.run_targets import find_targets

    run_ids, notes = find_targets(site, selection)
    for note in notes:
        say(f"note: {in_line(note)}")
    if not run_ids:
        say("none of these runs waits to be executed")
    return run_ids


def _ready(
    site: Site,
    configs: Sequence[Path],
    overrides: Sequence[str],
    *,
    again: bool,
    quiet: bool,
) -> Ready:
    from gitorch.actions.ready import ready  # with YAML: 60 ms
    from gitorch.cli.readiness import show_ready

    readied = ready(
        site,
        configs,
        environment=os.environ,
        overrides=overrides,
        again=again,
        notify=say,
    )
    show_ready(readied, dry_run=False, quiet=quiet)
    return readied


def _to_execute(site: Site, readied: Ready) -> list[str]:
    """Return the ids of the queued runs, and of the skipped runs that can be executed."""
    from gitorch.actions.run_targets import workable

    queued = [record.id for record in readied.queued]
    return queued + workable(site, [skipped.id for skipped in readied.skipped])
