"""The commands: each parses what it was given, lets an action do it, and shows what came of it.

Actions are imported by the command that needs them: `--help` and completion must not wait for git or YAML.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli.boundary import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, guarded, launched, print_json, tell
from gitorch.cli.style import has_colors, plain, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitorch.actions.ready import Ready
    from gitorch.actions.run import Worked
    from gitorch.actions.transition import Selection
    from gitorch.actions.validate import Validated
    from gitorch.model.problem import Problem
    from gitorch.worker.site import Site

app = typer.Typer(
    name="gitorch",
    help="Run experiments from a git repository: pinned, queued, recorded, comparable, repeatable.",
    no_args_is_help=True,
    rich_markup_mode=None,  # help in 90 ms instead of 300
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Run = Annotated[str, typer.Argument(metavar="ID", help="An id, a prefix of it, a name, a label, @ or @~1.")]
Runs = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids, prefixes of them, names, labels, @ or @~1.")]
Chosen = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Ids, prefixes of them, names, labels, @ or @~1.")
]
OfStatus = Annotated[str | None, typer.Option("--status", metavar="S", help="Instead: all in this status.")]
OfName = Annotated[str | None, typer.Option("--name", metavar="GLOB", help="Instead: all of such a name.")]
All = Annotated[bool, typer.Option("--all", help="Instead: all that it is possible for.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
Why = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="A reason, for the record.")]
Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[PATH]...", help="Configs or directories of them; by default experiments/."),
]


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
        Path | None, typer.Option("-C", metavar="DIR", help="Work as if started in DIR.", show_default=False)
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


@app.command()
@guarded
def init() -> None:
    """Write an example config. Optional: everything works without it."""
    from gitorch.actions.init import init as act  # noqa: PLC0415

    path = act(_site())
    print(os.path.relpath(path))
    say("next: gitorch ready, and then gitorch run")


@app.command()
@guarded
def check(
    paths: Paths = None,
    json_: Json = False,
    output_format: Annotated[str, typer.Option(help="text, github or json.")] = "text",
) -> int:
    """Validate configs; change nothing."""
    from gitorch.actions.check import check as act  # noqa: PLC0415
    from gitorch.cli.problems import counted, render_github, render_problem  # noqa: PLC0415
    from gitorch.errors import UsageError  # noqa: PLC0415

    if output_format not in ("text", "github", "json"):
        raise UsageError(f"--output-format is text, github or json, not {output_format!r}")
    validated = act(_site(), paths or [], environment=os.environ)
    if json_ or output_format == "json":
        print_json({"schema": "gitorch/check/v1", "problems": [problem.to_json() for problem in validated.problems]})
    elif output_format == "github":
        for problem in validated.problems:
            print(render_github(problem))
    else:
        for problem in validated.problems:
            print(render_problem(problem, colors=has_colors(sys.stdout)))
        _say_validated(validated)
        count = len(validated.configs)
        say(f"Checked {count} config{'s' if count != 1 else ''}: {counted(validated.problems)}")
    return EXIT_FAILED if _has_errors(validated.problems) else EXIT_OK


@app.command()
@guarded
def ready(
    paths: Paths = None,
    at: Annotated[str | None, typer.Option("--at", metavar="REV", help="Pin this revision instead of HEAD.")] = None,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="Pin the files as they are, committed or not.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Queue also what is there already.")] = False,
    hold: Annotated[bool, typer.Option("--hold", help="Queue on hold.")] = False,
    priority: Annotated[
        int | None, typer.Option("--priority", metavar="N", help="In place of the tasks' own; higher is earlier.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be queued; change nothing.")] = False,
    json_: Json = False,
) -> int:
    """Validate configs, pin the code, queue the runs."""
    from gitorch.actions.ready import ready as act  # noqa: PLC0415

    made = act(
        _site(),
        paths or [],
        environment=os.environ,
        at=at,
        snapshot=snapshot,
        again=again,
        hold=hold,
        priority=priority,
        dry_run=dry_run,
    )
    if json_:
        print_json(made.to_json())
    else:
        _show_ready(made, dry_run=dry_run)
        if made.queued and not dry_run:
            say("next: gitorch run")
    return EXIT_FAILED if _has_errors(made.problems) else EXIT_OK


@app.command()
@guarded
def run(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[ID or PATH]...", help="These runs only; a config is readied first.")
    ] = None,
    jobs: Annotated[
        str | None, typer.Option("-j", "--jobs", metavar="N", help="Tasks at a time, or auto. [gitorch.jobs, else 1]")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and wait for more.")] = False,
    stop_after: Annotated[
        int | None, typer.Option("--stop-after", metavar="K", help="Begin nothing more after K failures.", min=1)
    ] = None,
    json_: Json = False,
) -> int:
    """Work the queue until nothing is left to do."""
    from gitorch.actions.run import workable  # noqa: PLC0415

    site = _site()
    configs = [Path(item) for item in what or [] if Path(item).exists()]
    references = [item for item in what or [] if not Path(item).exists()]
    failed = False
    if configs:
        from gitorch.actions.ready import ready as make_ready  # noqa: PLC0415  with YAML: 60 ms

        made = make_ready(site, configs, environment=os.environ)
        _show_ready(made, dry_run=False, quiet=json_)
        failed = _has_errors(made.problems)
        references += [record.id for record in made.queued] + workable(site, [known.id for known in made.skipped])
        if not references:
            if json_:
                print_json({"schema": "gitorch/run/v1", "runs": []})
            return EXIT_FAILED if failed else EXIT_OK
    worked = _work(site, references, jobs, stop_after=stop_after, watch=watch)
    if json_:
        print_json(worked.to_json())
    else:
        _say_worked(worked)
    if worked.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if failed or worked.failed else EXIT_OK


@app.command()
@guarded
def status(json_: Json = False) -> None:
    """What runs, how far it is, what waits and why."""
    from gitorch.actions.status import status as act  # noqa: PLC0415
    from gitorch.cli.render import render_status  # noqa: PLC0415

    found = act(_site())
    if json_:
        print_json(found.to_json())
    else:
        print(render_status(found, colors=has_colors(sys.stdout)))


@app.command("list")
@guarded
def list_(
    all_columns: Annotated[bool, typer.Option("--all-columns", help="Also those in which no run differs.")] = False,
    json_: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="All columns, as CSV.")] = False,
) -> None:
    """All runs, newest first; only the columns that differ."""
    from gitorch.actions.listing import listing  # noqa: PLC0415
    from gitorch.cli.render import render_csv, render_list  # noqa: PLC0415

    found = listing(_site())
    if json_:
        print_json(found.to_json())
    elif csv:
        print(render_csv(found.runs))
    elif found.runs:
        print(render_list(found.runs, all_columns=all_columns, colors=has_colors(sys.stdout)))
    else:
        say("no runs yet; next: gitorch ready")


@app.command()
@guarded
def show(run: Run, json_: Json = False) -> None:
    """One run: pin, parameters, tasks, metrics, outputs, history."""
    from gitorch.actions.show import show as act  # noqa: PLC0415
    from gitorch.cli.render import render_run  # noqa: PLC0415

    found = act(_site(), run)
    if json_:
        print_json(found.to_json())
    else:
        print(render_run(found.record, found.why, colors=has_colors(sys.stdout)))


@app.command()
@guarded
def logs(
    run: Run,
    task: Annotated[str | None, typer.Option("--task", metavar="T", help="Only of this task.")] = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", help="Of this attempt, not the last.")
    ] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on while the run does.")] = False,
) -> None:
    """A run's raw output."""
    from gitorch.actions.logs import logs as act  # noqa: PLC0415

    several = 0
    for part in act(_site(), run, task=task, attempt=attempt, follow=follow):
        if part.begins and task is None:
            say(f"{'' if several == 0 else chr(10)}==> {part.task}, attempt {part.attempt} <==")
            several += 1
        sys.stdout.buffer.write(part.data)
        sys.stdout.buffer.flush()


@app.command()
@guarded
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="A B [C]...", help="Ids, names, labels, @ or @~1.")],
    code: Annotated[bool, typer.Option("--code", help="The difference of the code itself.")] = False,
    stat: Annotated[bool, typer.Option("--stat", help="The changed files of the code, as git diff --stat.")] = False,
    config: Annotated[bool, typer.Option("--config", help="Only the config.")] = False,
    environment: Annotated[bool, typer.Option("--environment", help="Only the environment.")] = False,
    data: Annotated[bool, typer.Option("--data", help="Only the data.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="Only the metrics.")] = False,
    outputs: Annotated[bool, typer.Option("--outputs", help="Only the outputs.")] = False,
    logs_: Annotated[bool, typer.Option("--logs", help="The difference of the logs.")] = False,
    json_: Json = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if anything differs.")] = False,
) -> int:
    """What differs between runs, and nothing else."""
    from gitorch.actions.compare import code_diff, log_diffs  # noqa: PLC0415
    from gitorch.actions.compare import compare as act  # noqa: PLC0415
    from gitorch.cli.pager import paged  # noqa: PLC0415
    from gitorch.cli.render import SECTIONS, render_comparison  # noqa: PLC0415

    site = _site()
    compared = act(site, runs)
    if json_:
        print_json(compared.comparison.to_json())
    else:
        colors = has_colors(sys.stdout)
        asked = {"config": config, "environment": environment, "data": data, "metrics": metrics, "outputs": outputs}
        parts = [name for name, wanted in asked.items() if wanted]
        with paged(site.repository) as out:
            if parts or not (code or stat or logs_):
                out.write(render_comparison(compared, parts or SECTIONS, colors=colors).encode() + b"\n")
            if code or stat:
                out.write(code_diff(site, compared.records, color=colors, stat=stat))
            if logs_:
                for task, difference in log_diffs(site, compared.records, color=colors):
                    out.write(f"task {task}: {'the logs differ' if difference else 'the same log'}\n".encode())
                    out.write(difference)
    return EXIT_FAILED if exit_code and not compared.comparison.same else EXIT_OK


@app.command("checkout-run")
@guarded
def checkout_run(
    run: Run,
    directory: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Where; else in the workspace.")] = None,
) -> None:
    """A worktree at a run's commit, with config, logs and outputs."""
    from gitorch.actions.checkout_run import checkout_run as act  # noqa: PLC0415

    print(act(_site(), run, directory))


@app.command()
@guarded
def revert(
    run: Run,
    branch: Annotated[
        str | None, typer.Option("--branch", metavar="NAME", help="On this branch. [gitorch/<id>]")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="With a detached HEAD.")] = False,
    files: Annotated[bool, typer.Option("--files", help="As staged changes on the current branch.")] = False,
) -> None:
    """Bring your checkout back to a run's code. Refuses to lose anything."""
    from gitorch.actions.revert import revert as act  # noqa: PLC0415

    record, done = act(_site(), run, branch=branch, detach=detach, files=files)
    where = f"on branch {done.branch}" if done.branch else "with a detached HEAD"
    if files:
        say(f"Staged the code of {plain(record.label)} ({record.id}): {done.files} files differ from HEAD")
        say("back with: git reset --hard")
    else:
        say(f"Now at the code of {plain(record.label)} ({record.id}), {record.pin.commit[:12]}, {where}")
        say(f"back with: git switch {done.before}")


@app.command()
@guarded
def rerun(
    runs: Runs,
    queue: Annotated[bool, typer.Option("--queue", help="Only queue it.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Say what came out the same; exit with 1 if not all did.")
    ] = False,
    jobs: Annotated[str | None, typer.Option("-j", "--jobs", metavar="N", help="Tasks at a time, or auto.")] = None,
    json_: Json = False,
) -> int:
    """The same code, config and parameters again, as a new run."""
    from gitorch.actions.rerun import rerun as act  # noqa: PLC0415
    from gitorch.actions.rerun import verify as act_verify  # noqa: PLC0415
    from gitorch.errors import UsageError  # noqa: PLC0415

    if queue and verify:
        raise UsageError("--queue and --verify exclude each other: what has not run cannot be verified")
    site = _site()
    made = act(site, runs)
    if not json_:
        for record in made.runs:
            print(record.id, flush=True)
    document = made.to_json()
    code = EXIT_OK
    if not queue:
        worked = _work(site, [record.id for record in made.runs], jobs)
        code = EXIT_INTERRUPTED if worked.interrupted else EXIT_FAILED if worked.failed else EXIT_OK
    if verify and code == EXIT_OK:
        for entry, record in zip(document["runs"], made.runs, strict=True):
            found = act_verify(site, record.id)
            entry["same"] = found.metrics.same and found.outputs.same
            code = code if entry["same"] else EXIT_FAILED
            differing = [*found.metrics.changed, *found.outputs.changed, *found.outputs.added, *found.outputs.removed]
            said = "all metrics and outputs are the same" if entry["same"] else f"differs in {', '.join(differing)}"
            say(f"{record.id} repeats {record.rerun_of}: {plain(said)}")
    if json_:
        print_json(document)
    return code


def _operator_verb(verb: str, text: str, then: str | None = None) -> None:
    """Add a command that changes the status of the runs selected; `then` is what to do next."""

    @app.command(verb, help=text)
    @guarded
    def command(
        runs: Chosen = None,
        status: OfStatus = None,
        name: OfName = None,
        everything: All = False,
        yes: Yes = False,
        why: Why = None,
        json_: Json = False,
    ) -> None:
        from gitorch.actions.kill import kill as act_kill  # noqa: PLC0415
        from gitorch.actions.transition import change, select  # noqa: PLC0415

        site = _site()
        selection = _selection(runs, status, name, everything)
        if not (runs or yes) and sys.stdin.isatty():
            chosen, _ = select(site, verb, selection)
            typer.confirm(f"{verb} {len(chosen)} run{'' if len(chosen) == 1 else 's'}?", abort=True, err=True)
        changed = act_kill(site, selection, why=why) if verb == "kill" else change(site, verb, selection, why=why)
        if json_:
            print_json(changed.to_json())
            return
        for run, source, target in changed.runs:
            say(f"{run}  {source} -> {target or 'killed'}")
        if changed.refused:
            say(f"{len(changed.refused)} not changed: {verb} is not possible for them")
        if not changed.runs:
            say("no run was changed")
        elif then:
            say(f"next: {then}")


_operator_verb("hold", "Begin nothing more of these runs; running tasks end.")
_operator_verb("release", "Let held runs go on.", then="gitorch run")
_operator_verb("kill", "End runs and remove their records; nothing that is complete.")
_operator_verb("retry", "Let failed runs continue at the task that failed.", then="gitorch run")
_operator_verb("fail", "Give failed runs up: they leave the queue, their records stay.")
_operator_verb("resubmit", "Queue runs again that were given up.", then="gitorch run")


@app.command("set")
@guarded
def set_(
    runs: Runs,
    priority: Annotated[int, typer.Option("--priority", metavar="N", help="Higher is earlier.")],
    json_: Json = False,
) -> None:
    """Change the priority of runs that are not over."""
    from gitorch.actions.set import set_priority  # noqa: PLC0415

    changed = set_priority(_site(), runs, priority)
    if json_:
        print_json(changed.to_json())
    else:
        for run, _, _ in changed.runs:
            say(f"{run}  priority {priority}")


@app.command()
@guarded
def collect(
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="TIME", help="In ERROR for so long. [gitorch.errorRetention]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    json_: Json = False,
) -> None:
    """Give up what failed long ago, remove what nothing needs, pack the results."""
    from gitorch.actions.collect import collect as act  # noqa: PLC0415
    from gitorch.cli.upkeep import render_collected  # noqa: PLC0415

    done = act(_site(), older_than=older_than, dry_run=dry_run)
    if json_:
        print_json(done.to_json())
    elif text := render_collected(done):
        print(text)
    else:
        say("nothing to collect")


@app.command()
@guarded
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False,
    json_: Json = False,
) -> int:
    """Check queue, records, worktrees, pins, locks and large files; exit with 1 if anything is left to mend."""
    from gitorch.actions.doctor import doctor as act  # noqa: PLC0415
    from gitorch.cli.upkeep import render_finding  # noqa: PLC0415

    health = act(_site(), environment=os.environ, fix=fix)
    if json_:
        print_json(health.to_json())
    else:
        for finding in health.findings:
            print(render_finding(finding))
        if not health.findings:
            say("all is well")
    return EXIT_OK if health.is_well else EXIT_FAILED


@app.command()
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
    from gitorch.cli.render import SECTIONS, render_comparison, render_list  # noqa: PLC0415

    colors = has_colors(sys.stdout)
    path = create(directory or Path("penguins"))
    os.chdir(path)
    say(f"Made a repository in {path}")
    site = _site()
    _show_ready(make_ready(site, [], environment=os.environ), dry_run=False)
    worked = _work(site, [], "2")
    _say_worked(worked)
    runs = listing(site).runs
    print("\n$ gitorch list\n" + render_list(runs, all_columns=False, colors=colors))
    ranked = sorted(runs, key=lambda record: record.metrics.get("accuracy") or 0.0)
    first, last = ranked[0].name, ranked[-1].name
    print(f"\n$ gitorch compare {first} {last}")
    print(render_comparison(act_compare(site, [first, last]), SECTIONS, colors=colors))
    say("\nnext, try:")
    here = os.path.relpath(path, os.environ.get("PWD", "/"))
    for command in (
        f"cd {here if not here.startswith('..') else path}",
        f"gitorch show {last}",
        f"gitorch logs {last} --task evaluate",
        f"gitorch checkout-run {last}",
        f"gitorch rerun {first} --verify",
        "git log gitorch/results",
    ):
        say(f"  {command}")
    return EXIT_FAILED if worked.failed else EXIT_OK


def _site() -> Site:
    from gitorch.worker.site import Site  # noqa: PLC0415

    return Site.at(Path.cwd())


def _selection(runs: list[str] | None, status: str | None, name: str | None, everything: bool) -> Selection:
    from gitorch.actions.transition import Selection  # noqa: PLC0415
    from gitorch.errors import UsageError  # noqa: PLC0415
    from gitorch.model.status import Status  # noqa: PLC0415

    if runs and (status or name or everything):
        raise UsageError("name runs, or select them with --status, --name or --all: not both")
    if status and status.upper() not in Status.__members__:
        raise UsageError(f"{status!r} is no status", hint=f"there are: {', '.join(Status)}")
    return Selection(
        references=tuple(runs or ()),
        status=Status(status.upper()) if status else None,
        name=name,
        everything=everything,
    )


def _work(
    site: Site, references: Sequence[str], jobs: str | None, *, stop_after: int | None = None, watch: bool = False
) -> Worked:
    from gitorch.actions.run import jobs_of  # noqa: PLC0415
    from gitorch.actions.run import run as act  # noqa: PLC0415
    from gitorch.cli.progress import showing  # noqa: PLC0415

    count = jobs_of(jobs, site)
    with showing() as listener:
        return act(site, references, listener, jobs=count, environment=os.environ, stop_after=stop_after, watch=watch)


def _show_ready(made: Ready, *, dry_run: bool, quiet: bool = False) -> None:
    from gitorch.cli.problems import render_problem  # noqa: PLC0415

    for problem in made.problems:
        say(render_problem(problem, colors=has_colors(sys.stderr)))
    _say_validated(made.validated)
    for skipped in made.skipped:
        say(f"Skipped {plain(skipped.name)}: {skipped.why}")
    if made.skipped and not made.queued:
        say("nothing new to queue; --again makes a run anew")
    broken = len(made.validated.configs) - len(made.validated.valid)
    if broken:
        say(f"Nothing was queued of {broken} config{'s' if broken > 1 else ''} with problems")
    if made.queued and made.pin:
        verb = "Would queue" if dry_run else "Queued"
        count = len(made.queued)
        say(f"{verb} {count} run{'s' if count > 1 else ''} at {made.pin.commit[:12]}")
    if not quiet:
        for record in made.queued:
            print(f"{record.id}  {plain(record.label)}")


def _say_validated(validated: Validated) -> None:
    for file, text in validated.printed.items():
        for line in text.splitlines():
            say(f"{plain(file)}: {plain(line)}")
    for note in validated.notes:
        say(f"note: {plain(note)}")


def _say_worked(worked: Worked) -> None:
    if not worked.runs:
        say("stopped" if worked.interrupted else "nothing to do: no task can be run")
        return
    counts: dict[str, int] = {}
    for ended in worked.runs:
        counts[str(ended.status)] = counts.get(str(ended.status), 0) + 1
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    many = f"{len(worked.runs)} run{'s' if len(worked.runs) > 1 else ''}"
    say(f"{many}: {said}" + ("; stopped, what is left waits in the queue" if worked.interrupted else ""))


def _has_errors(problems: Sequence[Problem]) -> bool:
    from gitorch.model.problem import has_errors  # noqa: PLC0415

    return has_errors(list(problems))
