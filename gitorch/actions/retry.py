"""`gitorch retry`: failed runs go on where they failed, or from an earlier task, with their own or with fixed code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gitorch.actions.change_status import Changed, apply_change, select_changeable
from gitorch.actions.pinning import uncommitted_code
from gitorch.actions.records import read_records
from gitorch.actions.scratch import look_over, output_in, scratch
from gitorch.actions.selection import Selection
from gitorch.errors import GitorchError, Refused, UsageError
from gitorch.git import pins
from gitorch.interpreter.preflight import PreflightConfig, PreflightTask
from gitorch.model.run.identity import run_identity
from gitorch.model.run.pin import Origin, Pin
from gitorch.model.run.record import Record
from gitorch.model.run.spec import task_config
from gitorch.model.run.status import Status
from gitorch.model.run.transitions import OtherCode, retried
from gitorch.model.table.row import Row
from gitorch.model.text.spelling import did_you_mean
from gitorch.runs.catalog import Catalog
from gitorch.runs.inputs import data_at
from gitorch.runs.recording import catch_up
from gitorch.runs.site import Site
from gitorch.worker.surroundings import Surroundings


def retry(
    site: Site,
    selection: Selection,
    *,
    environment: Mapping[str, str],
    at: str | None = None,
    start: str | None = None,
    why: str | None = None,
) -> Changed:
    """Let the runs selected go on: what is not finished at the commit `at`, if given; from the task `start`, if given.

    Raises NotFound, UsageError, and Refused, with nothing changed, where a task that is still to run would not do in
    the code of that commit; of runs that were named for all if one may not.
    """
    catch_up(site)
    chosen, refused = select_changeable(site, "retry", selection)
    if start is not None:
        lacking = {row.id: _unknown(start, row) for row in chosen if start not in _task_ids(row)}
        if lacking and selection.is_named:
            raise next(iter(lacking.values()))
        refused += tuple((run, error.message) for run, error in lacking.items())
        chosen = [row for row in chosen if row.id not in lacking]
    codes: dict[str, OtherCode] = {}
    notes: tuple[str, ...] = ()
    if at is not None:
        pin = pins.resolve(site.repository, at)
        records = read_records(site, Catalog(site), [row.id for row in chosen])
        codes = _at(
            site,
            [record for record in records if record.pin.commit != pin.commit],
            pin,
            start,
            environment,
        )
        notes = tuple(_notes(site, records, pin))
    changed = apply_change(
        site,
        "retry",
        chosen,
        lambda record, wish: retried(record, wish, code=codes.get(record.id), start=start),
        why=why,
    )
    return Changed(runs=changed, refused=refused, notes=notes)


def _unknown(task: str, run: Row) -> UsageError:
    ids = _task_ids(run)
    return UsageError(
        f"{run.label} ({run.id}) has no task {task!r}{did_you_mean(task, ids)}",
        f"it has: {', '.join(ids)}",
    )


def _task_ids(run: Row) -> list[str]:
    return [task.id for task in run.tasks]


def _other_code(site: Site, record: Record, pin: Pin) -> OtherCode:
    """With the identity that `ready` at that commit gives: the same run is then there already."""
    data = data_at(site, record, pin.tree)
    identity = run_identity(
        record.spec, site.code.of(pin.tree, record.spec.code, frozenset(record.bases)), data
    )
    return OtherCode(pin=pin, identity=identity, data=data)


def _notes(site: Site, records: Sequence[Record], pin: Pin) -> Iterator[str]:
    """What somebody who forgot to commit the fix would want to know."""
    if same := [record for record in records if record.pin.commit == pin.commit]:
        yield f"{', '.join(record.id for record in same)}: at {pin.commit[:12]} as before, so the code is the same"
    if pin.origin is Origin.HEAD and (changed := uncommitted_code(site)):
        yield f"uncommitted changes are not in it: {changed}"


def _at(
    site: Site,
    records: Sequence[Record],
    pin: Pin,
    start: str | None,
    environment: Mapping[str, str],
) -> dict[str, OtherCode]:
    """What these runs are at that commit, which is kept from now on, by their ids.

    Raises Refused with all that is wrong where a task that is still to run would not do there.
    """
    surroundings = Surroundings(site, environment)
    codes: dict[str, OtherCode] = {}
    problems: list[str] = []
    for alike in _together(records):
        try:
            problems += _look_over(site, alike, pin, start, surroundings)
            codes |= {record.id: _other_code(site, record, pin) for record in alike}
        except GitorchError as error:
            problems.append(f"{', '.join(record.id for record in alike)}: {error.message}")
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise Refused(
            f"commit {pin.commit[:12]} will not do, and nothing was changed:\n{lines}",
            "commit a fix, and name that commit with --at",
        )
    pins.keep(site.repository, pin.commit)
    return codes


def _together(records: Sequence[Record]) -> list[list[Record]]:
    """Those that can be looked over by one process in one worktree."""
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        spec = record.spec
        alike = (
            record.interpreter,
            spec.python,
            spec.path_to_tasks,
            spec.link,
            *sorted(spec.env.items()),
        )
        groups.setdefault(alike, []).append(record)
    return list(groups.values())


def _look_over(
    site: Site, records: Sequence[Record], pin: Pin, start: str | None, surroundings: Surroundings
) -> Iterator[str]:
    """What is wrong, by the code of that commit, with the tasks that are still to run."""
    spec = records[0].spec
    with scratch(site, pin.commit, link=spec.link) as tree:
        output = output_in(tree)
        found = look_over(
            site,
            tree,
            pin.commit,
            spec.path_to_tasks,
            [
                PreflightConfig(record.id, _still_to_run(record, start, output))
                for record in records
            ],
            interpreter=surroundings.interpreter(records[0].interpreter, spec.python),
            environment=surroundings.environment,
            declared=spec.env,
        )
    for record in records:
        for complaint in found[record.id].complaints:
            place = f"task {complaint.task}: " if complaint.task else ""
            hint = f" ({complaint.hint})" if complaint.hint else ""
            yield f"{record.label} ({record.id}): {place}{complaint.message}{hint}"


def _still_to_run(record: Record, start: str | None, output: str) -> list[PreflightTask]:
    anew = record.spec.with_dependents(start) if start else frozenset()
    tasks = []
    for spec in record.spec.tasks:
        is_pending = spec.id in anew or record.task(spec.id).status is not Status.COMPLETE
        if spec.method is not None and is_pending:
            tasks.append(
                PreflightTask(spec.id, spec.method, task_config(record.spec, spec, output))
            )
    return tasks
