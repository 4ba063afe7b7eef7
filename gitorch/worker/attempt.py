"""From a claim to an order that an engine can carry out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitorch import runner
from gitorch.database.values import Running
from gitorch.engines.contract import Order
from gitorch.interpreter.environment import attempt_environment
from gitorch.interpreter.probe import Interpreter
from gitorch.model.run.spec import TaskSpec, task_config
from gitorch.model.text.placeholders import fill
from gitorch.runs import output_files, output_restore
from gitorch.runs.claimed_attempt import ClaimedAttempt
from gitorch.runs.input_changes import require_unchanged
from gitorch.runs.site import Site
from gitorch.tools.files import write_aside
from gitorch.tools.locks import only_one_at
from gitorch.worker.surroundings import Surroundings

TASK_PROGRAM = Path(runner.__file__).with_name("task_program.py")


def is_at_hand(site: Site, attempt: ClaimedAttempt) -> bool:
    """Whether all that `prepare` has to do is to write a small file or two: the run begins, its worktree is there."""
    payload, task = attempt.payload, attempt.task
    if attempt.claim.number > 1 or task.reads or payload.spec.beside(task):
        return False
    return site.worktrees.is_made_for(attempt.run.tree, payload.pin.commit)


def prepare(site: Site, attempt: ClaimedAttempt, surroundings: Surroundings) -> Order:
    """Make the worktree exactly the pin, lay out the attempt's directory, and give the order to run it.

    Raises GitorchError or OSError where that cannot be done: the attempt could not start.
    """
    run, directory, spec = attempt.run, attempt.directory, attempt.payload.spec
    interpreter = surroundings.interpreter(attempt.payload.interpreter, spec.python)
    require_unchanged(site, attempt.payload, attempt.task)
    _bring_to_pin(site, attempt)
    for place in (
        run.log,
        directory.path.parent,
        directory.path,
    ):  # each at once: `parents` tries the last one first
        place.mkdir(exist_ok=True)
    config = task_config(spec, attempt.task, str(run.output))
    directory.config.write_bytes(
        json.dumps(config, ensure_ascii=False).encode()
    )  # read by nobody but the attempt
    return Order(
        token=attempt.claim.token,
        directory=directory.path,
        argv=_argv(attempt, interpreter, config),
        cwd=run.tree,
        env=attempt_environment(
            surroundings.environment,
            interpreter=interpreter,
            tree=run.tree,
            main_root=site.repository.main_root,
            declared={**spec.env, **_gpus(attempt)},
            gitorch={
                "GITORCH_RUN_ID": attempt.claim.run,
                "GITORCH_TASK_ID": attempt.claim.task,
                "GITORCH_ATTEMPT": str(attempt.claim.number),
                "GITORCH_TOKEN": attempt.claim.token,
                "GITORCH_CONFIG": str(directory.config),
                "GITORCH_OUTPUT_DIR": str(run.output),
                "GITORCH_EVENTS": str(directory.events),
            },
        ),
        timeout_s=attempt.task.timeout_s,
        grace_s=site.settings.grace_s,
    )


def _gpus(attempt: ClaimedAttempt) -> dict[str, str]:
    return (
        {} if attempt.gpus is None else {"CUDA_VISIBLE_DEVICES": ",".join(map(str, attempt.gpus))}
    )


def _bring_to_pin(site: Site, attempt: ClaimedAttempt) -> None:
    """Before the first of the tasks that share it begins, and not while one of them is at work in it."""
    if not attempt.payload.spec.beside(attempt.task):
        _make_exact(site, attempt, is_alone=True)
        return
    with only_one_at(attempt.run.users):
        _make_exact(site, attempt, is_alone=_joins_nobody(site, attempt))


def _joins_nobody(site: Site, attempt: ClaimedAttempt) -> bool:
    """Whether no other task of the run is at work in the worktree; from now on this one is."""
    claim, users = attempt.claim, attempt.run.users
    queued = site.queue.run(claim.run)
    current = set()
    for task in queued.tasks if queued else ():
        if isinstance(task.state, Running):
            current.add(task.state.token)
    known = users.read_text().split() if users.exists() else []
    others = [token for token in known if token in current and token != claim.token]
    write_aside(users, " ".join([*others, claim.token]).encode())
    return not others


def _make_exact(site: Site, attempt: ClaimedAttempt, *, is_alone: bool) -> None:
    """A worktree that something ran in is reset; one of another commit, which the run was at before a `retry --at`, is
    brought to this one.

    What earlier attempts left carries over; where the workspace no longer has it, it comes from the branch.
    """
    commit, run = attempt.payload.pin.commit, attempt.run
    state = site.worktrees.state(run.tree)
    made = state is None
    emptied = state is not None and not state.is_of_this_boot
    if state is None or state.commit != commit:
        site.worktrees.materialise(commit, run.tree, link=attempt.payload.spec.link)
    elif emptied or (is_alone and run.log.exists()):
        site.worktrees.reset(run.tree, commit)
    output_files.remove_replacement(run)
    if made or emptied or not run.output.exists():
        if _is_begun(site, attempt):
            output_restore.bring_back(site, run, with_tree=made or emptied)
        else:
            run.output.mkdir(exist_ok=True)


def _is_begun(site: Site, attempt: ClaimedAttempt) -> bool:
    """Whether another attempt of the run was made before; told by the queue alone, which is quick."""
    if attempt.claim.number == 1 and len(attempt.payload.spec.tasks) == 1:
        return False
    queued = site.queue.run(attempt.claim.run)
    unfinished = queued.tasks if queued else ()
    return (
        len(unfinished) < len(attempt.payload.spec.tasks)
        or sum(task.attempts for task in unfinished) > 1
    )


def _argv(
    attempt: ClaimedAttempt, interpreter: Interpreter, config: Mapping[str, Any]
) -> tuple[str, ...]:
    match attempt.task:
        case TaskSpec(method=str(method)):
            tasks = attempt.run.tree / attempt.payload.spec.path_to_tasks
            return (
                interpreter.executable,
                str(TASK_PROGRAM),
                str(tasks),
                method,
                str(attempt.directory.result),
            )
        case TaskSpec(command=str(command)):
            return ("sh", "-c", fill(command, config))
        case TaskSpec(command=tuple(words)):
            return fill(words, config)
    raise ValueError(f"task {attempt.claim.task} has neither method nor command")
