"""`gitorch retry`: continue failed runs, with their own or with fixed code.

A run continues at the task that failed, or at an earlier one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from gitorch.actions.change_status import Changed, apply_change
from gitorch.actions.changeable import refusal_of_unqueued_run, select_changeable
from gitorch.actions.environment_check import Restart, check_environments
from gitorch.actions.pinning import uncommitted_code
from gitorch.actions.preflight import check_tasks
from gitorch.actions.records import read_records
from gitorch.actions.selection import Selection
from gitorch.errors import GitorchError, NotFound, Refused, UsageError
from gitorch.git import pins
from gitorch.interpreter.preflight import Complaint, PreflightConfig, PreflightTask
from gitorch.model.run.continuation import OtherCode
from gitorch.model.run.identity import run_identity
from gitorch.model.run.locked_python import is_locked
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Data, Record
from gitorch.model.run.record_changes import ChangeRequest, retried
from gitorch.model.run.spec import task_config
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.model.text.spelling import did_you_mean
from gitorch.storage.catalog import Catalog
from gitorch.storage.input_changes import data_at
from gitorch.storage.inputs import is_converted
from gitorch.storage.recording import catch_up
from gitorch.storage.scratch import output_in, scratch
from gitorch.storage.site import Site
from gitorch.worker.surroundings import Surroundings

if TYPE_CHECKING:
    from gitorch.actions.retry_config import NewConfig


class _CodeAt(NamedTuple):
    """The code of the runs that can continue at a pin, and the problems of the others, by run."""

    codes: dict[str, OtherCode]
    problems: dict[str, list[str]]


def retry(
    site: Site,
    selection: Selection,
    *,
    environment: Mapping[str, str],
    at: str | None = None,
    config: bool = False,
    start: str | None = None,
    strict: bool = False,
    why: str | None = None,
) -> Changed:
    """Let the selected runs continue.

    The notes say how the environment differs from that of the earlier attempts. With `strict`,
    Refused is raised if it does. With `at`, the tasks that are not finished run at that revision.
    With `config`, they run as the config says now, if the parameters are the same. With `start`,
    that task and all tasks that need it run again.
    Raises NotFound, UsageError, and Refused if a task of a named run that is still to run would
    fail the preflight at that revision. In all of these cases nothing is changed. If one of several
    named runs cannot be retried, none is. Of runs that were selected by properties, those that can
    be retried are.
    """
    catch_up(site)
    chosen, refused = select_changeable(site, "retry", selection)
    if start is not None:
        chosen, without_task = _split_by_task(chosen, start, selection)
        refused += without_task
    news = _News({}, {}, ())
    if config:
        news = _configs_now(site, selection, chosen, at, start, environment)
    elif at is not None:
        news = _code_now(site, selection, chosen, at, start, environment)
    if at is None:
        chosen, without_code = _split_by_code(site, chosen, selection)
        refused += without_code
    chosen = [row for row in chosen if row.id not in news.problems]
    for run_id, found in news.problems.items():
        refused += ((run_id, "; ".join(found)),)
    notes = (*news.notes, *_on_environments(site, chosen, environment, strict))

    def change(record: Record, request: ChangeRequest) -> Record:
        new = news.configs.get(record.id)
        return retried(
            record,
            request,
            code=news.codes.get(record.id),
            config=new.config if new else None,
            start=start,
        )

    files = {run_id: new.files for run_id, new in news.configs.items()}
    changed = apply_change(
        site, "retry", selection, chosen, change, why=why, files=files
    )
    return replace(changed, refused=refused + changed.refused, notes=notes)


def _on_environments(
    site: Site,
    rows: Sequence[Row],
    environment: Mapping[str, str],
    strict: bool,
) -> list[str]:
    """Return notes on how the environment differs from that of the earlier attempts."""
    starts = []
    for record in read_records(site, Catalog(site), [row.id for row in rows]):
        starts.append(Restart(record, record.spec, record.interpreter, record.pin))
    return check_environments(site, starts, environment, strict=strict)


class _News(NamedTuple):
    """The code and the config with which each run continues, by run id, and notes for the user.

    `problems` are those of the runs that cannot continue.
    """

    codes: Mapping[str, OtherCode]
    configs: Mapping[str, NewConfig]
    notes: tuple[str, ...]
    problems: Mapping[str, list[str]] = {}


def _code_now(
    site: Site,
    selection: Selection,
    chosen: Sequence[Row],
    at: str,
    start: str | None,
    environment: Mapping[str, str],
) -> _News:
    pin = _pin_at(site, at)
    # The preflight executes code as the records say, so this clone must have queued them.
    records = _queued_here(site, selection, chosen)
    other_commit = [record for record in records if record.pin.commit != pin.commit]
    codes, problems = _code_at(site, other_commit, pin, start, environment)
    if problems and selection.is_named:
        raise _cannot_continue(pin, problems)
    records = [record for record in records if record.id not in problems]
    notes = (*_notes(records, pin), *_texts(problems))
    return _News(codes, {}, notes, problems)


def _configs_now(
    site: Site,
    selection: Selection,
    chosen: Sequence[Row],
    at: str | None,
    start: str | None,
    environment: Mapping[str, str],
) -> _News:
    from gitorch.actions.retry_config import (  # noqa: PLC0415  with YAML: 60 ms
        configs_now,
    )

    pin = None if at is None else _pin_at(site, at)
    records = _queued_here(site, selection, chosen)
    configs = configs_now(site, records, pin, start, environment)
    if pin is not None:
        pins.keep(site.repository, pin.commit)
    codes = {run_id: new.code for run_id, new in configs.items()}
    return _News(codes, configs, tuple(_notes_on_configs(configs)))


def _pin_at(site: Site, revision: str) -> Pin:
    """Return the pin of a revision. Raises Refused if HEAD lacks uncommitted changes."""
    pin = pins.resolve(site.repository, revision)
    if revision in ("HEAD", "@"):
        changed = uncommitted_code(site)
        if changed:
            raise Refused(
                f"uncommitted changes would not be in the run: {changed}",
                f"git commit -a, or --at {pin.commit[:12]} to retry without them",
            )
    return pin


def _notes_on_configs(configs: Mapping[str, NewConfig]) -> Iterator[str]:
    """Yield a note for a user who may have forgotten to save the config."""
    for run_id, new in configs.items():
        if not new.config.changes:
            yield f"{run_id}: its config says the same as before"


def _queued_here(
    site: Site, selection: Selection, rows: Sequence[Row]
) -> list[Record]:
    """Return the records of the runs that this clone has queued as their records are now.

    Raises Refused if another run was named.
    """
    queued = []
    for record in read_records(site, Catalog(site), [row.id for row in rows]):
        unqueued = refusal_of_unqueued_run(site, record)
        if unqueued is None:
            queued.append(record)
        elif selection.is_named:
            raise Refused(*unqueued)
    return queued


def _split_by_task(
    rows: Sequence[Row], task_id: str, selection: Selection
) -> tuple[list[Row], tuple[tuple[str, str], ...]]:
    """Return the rows of runs that have the task; refuse the others.

    Raises UsageError if a run that was named has no such task.
    """
    having = []
    refused = []
    for row in rows:
        task_ids = [task.id for task in row.tasks]
        if task_id in task_ids:
            having.append(row)
            continue
        message = f"{row.label} ({row.id}) has no task {task_id!r}{did_you_mean(task_id, task_ids)}"
        if selection.is_named:
            raise UsageError(message, f"its tasks are: {', '.join(task_ids)}")
        refused.append((row.id, message))
    return having, tuple(refused)


def _split_by_code(
    site: Site, rows: Sequence[Row], selection: Selection
) -> tuple[list[Row], tuple[tuple[str, str], ...]]:
    """Return the rows of runs whose commit this clone has, and pin it; refuse the others.

    Raises NotFound if a run that was named has lost its commit.
    """
    having = []
    refused = []
    lost: dict[str, NotFound] = {}
    for commit in {row.commit for row in rows}:
        try:
            pins.secure(site.repository, commit)
        except NotFound as error:
            if selection.is_named:
                raise
            lost[commit] = error
    for row in rows:
        if row.commit in lost:
            refused.append((row.id, lost[row.commit].message))
        else:
            having.append(row)
    return having, tuple(refused)


def _notes(records: Sequence[Record], pin: Pin) -> Iterator[str]:
    """Yield notes for a user who may have forgotten to commit the fix."""
    same = []
    for record in records:
        if record.pin.commit == pin.commit:
            same.append(record.id)
    if same:
        yield f"{', '.join(same)}: at {pin.commit[:12]} as before, so the code is the same"


def _code_at(
    site: Site,
    records: Sequence[Record],
    pin: Pin,
    start: str | None,
    environment: Mapping[str, str],
) -> _CodeAt:
    """Return the code with which each run continues at `pin`, by run id, and keep the commit.

    A run has problems instead if a task that is still to run would fail the preflight there.
    """
    surroundings = Surroundings(site, environment)
    codes: dict[str, OtherCode] = {}
    problems: dict[str, list[str]] = {}
    for group in _groups(records):
        try:
            for run_id, found in _problems(site, group, pin, start, surroundings):
                problems.setdefault(run_id, []).append(found)
            for record in group:
                codes[record.id] = _other_code(site, record, pin, surroundings)
        except GitorchError as error:
            names = ", ".join(record.id for record in group)
            for record in group:
                problems[record.id] = [f"{names}: {error.message}"]
    if len(problems) < len(records):
        pins.keep(site.repository, pin.commit)
    return _CodeAt(codes, problems)


def _texts(problems: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return each problem once: it can be that of several runs."""
    texts: dict[str, None] = {}
    for found in problems.values():
        texts.update(dict.fromkeys(found))
    return tuple(texts)


def _cannot_continue(pin: Pin, problems: Mapping[str, Sequence[str]]) -> Refused:
    lines = "\n".join(f"  {text}" for text in _texts(problems))
    return Refused(
        f"the runs cannot continue at {pin.commit[:12]}; nothing was changed:\n{lines}",
        "commit a fix, and name that commit with --at",
    )


def _other_code(
    site: Site, record: Record, pin: Pin, surroundings: Surroundings
) -> OtherCode:
    """Return the code at `pin` with the identity that `ready` would compute there.

    A later `ready` at that commit therefore finds that the run already exists.
    """
    data = _data_at(site, record, pin)
    code = site.code.of(pin.tree, record.spec.code, frozenset(record.bases))
    interpreter = None
    if is_locked(record.spec.python):
        found = surroundings.interpreter(
            record.interpreter, record.spec.python, pin
        )
        interpreter = found.executable
    return OtherCode(
        pin=pin,
        identity=run_identity(record.spec, code, data),
        data=data,
        interpreter=interpreter,
    )


def _data_at(site: Site, record: Record, pin: Pin) -> tuple[Data, ...]:
    if not (record.data and is_converted(site, pin.tree)):
        return data_at(site, record, pin.tree)
    with scratch(
        site, pin.commit, link=record.spec.link, sparse=record.spec.sparse
    ) as tree:
        return data_at(site, record, pin.tree, tree)


def _groups(records: Sequence[Record]) -> list[list[Record]]:
    """Group the records whose tasks one process in one worktree can check."""
    groups: defaultdict[tuple[object, ...], list[Record]] = defaultdict(list)
    for record in records:
        spec = record.spec
        env = frozenset(spec.env.items())
        group = (
            record.interpreter,
            spec.python,
            spec.path_to_tasks,
            spec.link,
            spec.sparse,
            env,
        )
        groups[group].append(record)
    return list(groups.values())


def _problems(
    site: Site,
    records: Sequence[Record],
    pin: Pin,
    start: str | None,
    surroundings: Surroundings,
) -> Iterator[tuple[str, str]]:
    """Yield the complaints of the code at `pin` about the tasks that are still to run.

    Each is the id of the run and the complaint.
    """
    spec = records[0].spec
    with scratch(site, pin.commit, link=spec.link, sparse=spec.sparse) as tree:
        output = output_in(tree)
        configs = []
        for record in records:
            tasks = _tasks_to_run(record, start, output)
            configs.append(PreflightConfig(record.id, tasks))
        findings = check_tasks(
            site,
            tree,
            pin.commit,
            spec.path_to_tasks,
            configs,
            interpreter=surroundings.interpreter(
                records[0].interpreter, spec.python, pin
            ),
            environment=surroundings.environment,
            declared=spec.env,
            link=spec.link,
            sparse=spec.sparse,
        )
    for record in records:
        for complaint in findings[record.id].complaints:
            yield record.id, _in_words(record, complaint)


def _in_words(record: Record, complaint: Complaint) -> str:
    text = f"{record.label} ({record.id}): "
    if complaint.task:
        text += f"task {complaint.task}: "
    text += complaint.message
    if complaint.hint:
        text += f" ({complaint.hint})"
    return text


def _tasks_to_run(
    record: Record, start: str | None, output: str
) -> list[PreflightTask]:
    """Return the class tasks that are not complete, or that run again because of `start`."""
    repeated = record.spec.with_dependents(start) if start else frozenset()
    tasks = []
    for spec in record.spec.tasks:
        is_pending = (
            spec.id in repeated
            or record.task(spec.id).status is not Status.COMPLETE
        )
        if spec.method is not None and is_pending:
            config = task_config(record.spec, spec, output)
            tasks.append(PreflightTask(spec.id, spec.method, config))
    return tasks
