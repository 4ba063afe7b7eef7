"""A worktree to look tasks over in: nothing that their validate() writes there reaches a run."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from gitorch.interpreter.environment import attempt_environment
from gitorch.interpreter.preflight import Complaint, Findings, PreflightConfig, preflight
from gitorch.interpreter.probe import Interpreter, verify
from gitorch.runs.site import Site

_VALIDATE_LIMIT_S = 60.0


@contextmanager
def scratch(site: Site, commit: str, *, link: Sequence[str] = ()) -> Iterator[Path]:
    """A worktree at `commit`, gone afterwards. Raises GitorchError, OSError where it cannot be made."""
    tree = site.workspace / "scratch" / secrets.token_hex(6) / "tree"
    try:
        site.worktrees.materialise(commit, tree, link=link)
        yield tree
    finally:
        site.worktrees.discard(tree)
        shutil.rmtree(tree.parent, ignore_errors=True)
        site.worktrees.empty_trash()


def output_in(tree: Path) -> str:
    """The output directory that tasks are told of there."""
    return str(tree.parent / "output")


def look_over(
    site: Site,
    tree: Path,
    commit: str,
    path_to_tasks: str,
    configs: Sequence[PreflightConfig],
    *,
    interpreter: Interpreter,
    environment: Mapping[str, str],
    declared: Mapping[str, str],
) -> dict[str, Findings]:
    """What is wrong with these tasks in the code of `commit`, which is at `tree`; `declared` is their own environment.

    Raises GitorchError where their interpreter takes its code from elsewhere.
    """
    if misplaced := _misplaced(tree, commit, path_to_tasks):
        return {config.key: Findings([misplaced]) for config in configs}
    main_root = site.repository.main_root
    env = attempt_environment(
        environment,
        interpreter=interpreter,
        tree=tree,
        main_root=main_root,
        declared=declared,
        gitorch={},
    )
    verify(interpreter, tree, main_root, env)
    return preflight(
        interpreter, tree, path_to_tasks, configs, env=env, time_limit_s=_VALIDATE_LIMIT_S
    )


def _misplaced(tree: Path, commit: str, path_to_tasks: str) -> Complaint | None:
    """What is wrong with pathToTasks in the commit."""
    directory = tree / path_to_tasks
    if not directory.resolve().is_relative_to(tree.resolve()):
        return Complaint(
            None,
            "pathToTasks leads out of the repository through a symbolic link",
            None,
            where="pathToTasks",
        )
    if not directory.is_dir():
        message = f"pathToTasks: there is no directory {path_to_tasks} in commit {commit[:12]}"
        return Complaint(None, message, "is it committed?", where="pathToTasks")
    return None
