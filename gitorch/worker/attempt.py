"""The preparation of an attempt: from a claim to an order that an engine can carry out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitorch import runner
from gitorch.database.values import Running, Worker
from gitorch.engines.contract import Order
from gitorch.git import pins
from gitorch.git.worktree.links import restore_links
from gitorch.interpreter.environment import attempt_environment
from gitorch.interpreter.probe import Interpreter
from gitorch.model.run.command_line import command_line
from gitorch.model.run.locked_python import is_locked
from gitorch.model.run.shell import UNRECORDED
from gitorch.model.run.spec import TaskSpec, seen_params, task_config
from gitorch.model.workspace import OUTPUT_FROM_TREE
from gitorch.storage import output_files, output_restore
from gitorch.storage.attempt_owner import become_owner
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.fetched import described_in, place
from gitorch.storage.input_changes import require_unchanged
from gitorch.storage.site import Site
from gitorch.tools.files import write_over, write_small
from gitorch.tools.locks import create_directory, only_one_at
from gitorch.tools.untrusted import read_plain
from gitorch.worker.disk_space import require_space
from gitorch.worker.params_file import lay_params_over
from gitorch.worker.surroundings import Surroundings

_LARGEST_USERS = 1 << 20  # bytes
TASK_PROGRAM = Path(runner.__file__).with_name("task_program.py")


def is_quick_to_prepare(site: Site, attempt: ClaimedAttempt) -> bool:
    """Return True if `prepare` only has to write small files.

    That is the first attempt of a run whose worktree has been prefetched.
    """
    payload, task = attempt.payload, attempt.task
    spec = payload.spec
    if (
        attempt.claim.number > 1
        or task.reads
        or task.addresses
        or spec.beside(task)
        or spec.environment
        or spec.params_file
    ):
        return False
    if is_locked(spec.python) and not site.locked_environments.is_held(
        payload.interpreter
    ):
        return False
    return site.worktrees.is_made_for(attempt.run.tree, payload.pin.commit)


def prepare(
    site: Site,
    attempt: ClaimedAttempt,
    surroundings: Surroundings,
    worker: Worker,
    *,
    is_elsewhere: bool = False,
) -> Order:
    """Create the attempt's directory, bring the worktree to the pin, and return the order.

    `is_elsewhere`: an engine executes it on another machine, where `environment:` is examined.

    Raises OwnedByAnother if another worker executes the attempt, and GitorchError or OSError if the
    attempt cannot start.
    """
    run = attempt.run
    directory = attempt.directory
    spec = attempt.payload.spec
    interpreter = surroundings.interpreter(
        attempt.payload.interpreter, spec.python, attempt.payload.pin
    )
    is_used = run.log.exists()
    create_directory(run.path)
    require_space(run.path)
    become_owner(attempt, worker, site.home)
    _bring_to_pin(site, attempt, is_used=is_used)
    require_unchanged(site, attempt.payload, attempt.task, run.tree)
    place(site, run.tree, attempt.task.addresses)
    lay_params_over(attempt)
    if spec.environment and not is_elsewhere:
        surroundings.reported(attempt.payload, run.tree, interpreter)
    config = task_config(spec, attempt.task, str(run.output))
    # Only the attempt reads these files, and it starts later. So they need not be written aside.
    write_small(directory.config, json.dumps(config, ensure_ascii=False).encode())
    if attempt.task.addresses:
        described = described_in(run.tree, attempt.task.addresses)
        directory.inputs.write_text(json.dumps(described))
    params = seen_params(spec, attempt.task)
    write_small(directory.params, json.dumps(params, ensure_ascii=False).encode())
    return Order(
        token=attempt.claim.token,
        directory=directory.path,
        argv=_argv(attempt, interpreter, config),
        cwd=run.tree,
        env=_environment(site, attempt, surroundings, interpreter),
        reports=spec.environment,
        timeout_s=attempt.task.timeout_s,
        grace_s=site.settings.grace_s,
    )


def _environment(
    site: Site,
    attempt: ClaimedAttempt,
    surroundings: Surroundings,
    interpreter: Interpreter,
) -> Mapping[str, str]:
    """Return the environment variables of the attempt."""
    run = attempt.run
    directory = attempt.directory
    declared = dict(attempt.payload.spec.env)
    if attempt.gpus is not None:
        declared["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, attempt.gpus))
    recorder = {"GITORCH_USED": str(directory.used)} if site.settings.used else {}
    if attempt.task.addresses:
        declared["GITORCH_INPUTS"] = str(directory.inputs)
    return attempt_environment(
        surroundings.environment,
        interpreter=interpreter,
        tree=run.tree,
        main_root=site.repository.main_root,
        declared=declared,
        gitorch={
            "GITORCH_RUN_ID": attempt.claim.run,
            "GITORCH_TASK_ID": attempt.claim.task,
            "GITORCH_ATTEMPT": str(attempt.claim.number),
            "GITORCH_TOKEN": attempt.claim.token,
            "GITORCH_CONFIG": str(directory.config),
            "GITORCH_PARAMS": str(directory.params),
            "GITORCH_OUTPUT_DIR": str(run.output),
            "GITORCH_OUTPUT": OUTPUT_FROM_TREE,
            "GITORCH_EVENTS": str(directory.events),
            **recorder,
        },
    )


def _bring_to_pin(site: Site, attempt: ClaimedAttempt, *, is_used: bool) -> None:
    """Bring the worktree to the pin. `is_used`: an attempt may have changed it.

    Tasks that run side by side share a worktree. It is brought to the pin before the first of them
    starts, and is not changed while one of them runs.
    """
    if not attempt.payload.spec.beside(attempt.task):
        _make_exact(site, attempt, must_reset=is_used)
        return
    with only_one_at(attempt.run.users):
        is_alone = _is_first_user(site, attempt)
        _make_exact(site, attempt, must_reset=is_used and is_alone)


def _is_first_user(site: Site, attempt: ClaimedAttempt) -> bool:
    """Add the attempt to the users of the worktree. Return True if no other attempt uses it."""
    claim = attempt.claim
    users = attempt.run.users
    before = _tokens(users)
    running = _running_tokens(site, claim.run)
    others = [
        token for token in before if token in running and token != claim.token
    ]
    write_over(users, " ".join([*others, claim.token]).encode())
    return not others


def _tokens(users: Path) -> list[str]:
    """Return the tokens in the file. It counts as empty if a task has replaced it."""
    try:
        data = read_plain(users, _LARGEST_USERS, below=users.parents[2])
    except OSError:
        return []
    return data.decode("ascii", "replace").split()


def _running_tokens(site: Site, run_id: str) -> set[str]:
    """Return the tokens of the run's attempts that are running now."""
    queued = site.queue.run(run_id)
    if queued is None:
        return set()
    return {
        task.state.token for task in queued.tasks if isinstance(task.state, Running)
    }


def _make_exact(site: Site, attempt: ClaimedAttempt, *, must_reset: bool) -> None:
    """Create the worktree, or undo what earlier attempts changed in it.

    The worktree is at another commit if the run was there before a `retry --at`. The outputs of
    earlier attempts stay. If the workspace has lost them, they are restored from the branch.
    """
    commit = attempt.payload.pin.commit
    # The worktree alone keeps the commit only until the run ends.
    pins.secure(site.repository, commit)
    run = attempt.run
    state = site.worktrees.state(run.tree)
    is_missing = state is None
    # Files are not flushed to disk, so a restart of the machine may have emptied them.
    may_be_emptied = state is not None and not state.is_of_this_boot
    if state is None or state.commit != commit:
        spec = attempt.payload.spec
        site.worktrees.materialise(
            commit, run.tree, link=spec.link, sparse=spec.sparse
        )
    elif may_be_emptied or must_reset:
        site.worktrees.reset(run.tree, commit)
        restore_links(site.repository, run.tree, attempt.payload.spec.link)
    output_files.remove_replacement(run)
    is_lost = is_missing or may_be_emptied
    if is_lost or not run.output.exists():
        if _has_earlier_attempts(site, attempt):
            output_restore.bring_back(site, run, with_tree=is_lost)
        else:
            run.output.mkdir(exist_ok=True)


def _has_earlier_attempts(site: Site, attempt: ClaimedAttempt) -> bool:
    """Return True if the run has had another attempt. Read only the queue, which is quick."""
    if attempt.claim.number == 1 and len(attempt.payload.spec.tasks) == 1:
        return False
    queued = site.queue.run(attempt.claim.run)
    unfinished = queued.tasks if queued else ()
    if len(unfinished) < len(attempt.payload.spec.tasks):
        return True
    return sum(task.attempts for task in unfinished) > 1


def _argv(
    attempt: ClaimedAttempt, interpreter: Interpreter, config: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the command that runs the attempt's task."""
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
        case TaskSpec(command=None):
            message = f"task {attempt.claim.task} has neither method nor command"
            raise ValueError(message)
    match command_line(attempt.payload.spec, attempt.task, config):
        case str(command):
            return (*(attempt.task.shell or UNRECORDED), command)
        case words:
            return words
