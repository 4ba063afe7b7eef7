"""The preflight, which constructs and validates class tasks in the pinned code."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from gitorch.config.document import KeyPath
from gitorch.config.pipeline import LoadedConfig
from gitorch.interpreter.environment import attempt_environment
from gitorch.interpreter.preflight import (
    Complaint,
    Findings,
    PreflightConfig,
    PreflightTask,
    preflight,
)
from gitorch.interpreter.probe import Interpreter, verify
from gitorch.model.problem import Problem
from gitorch.model.run.spec import RunSpec, task_config
from gitorch.storage.missing_files import hint_on_missing
from gitorch.storage.site import Site
from gitorch.tools.files import resolved

_MOST_COMPLAINTS = 20  # different complaints about one task that are shown
_VALIDATE_LIMIT_S = 60.0


def check_tasks(
    site: Site,
    tree: Path,
    commit: str,
    path_to_tasks: str,
    configs: Sequence[PreflightConfig],
    *,
    interpreter: Interpreter,
    environment: Mapping[str, str],
    declared: Mapping[str, str],
    link: Sequence[str],
    sparse: Sequence[str],
) -> dict[str, Findings]:
    """Return the complaints about the tasks of these configs, by the key of the config.

    `tree` is a worktree of `commit`, with the links `link` and the directories `sparse`. `declared`
    are the environment variables that the configs set.
    Raises GitorchError if the interpreter imports the project's code from another directory.
    """
    misplaced = _complain_about_path(tree, commit, path_to_tasks)
    if misplaced:
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
    findings = preflight(
        interpreter,
        tree,
        path_to_tasks,
        configs,
        env=env,
        time_limit_s=_VALIDATE_LIMIT_S,
    )

    @cache
    def hint_on(message: str) -> str | None:
        return hint_on_missing(
            site,
            message,
            tree=tree,
            link=link,
            sparse=sparse,
            interpreter=interpreter.executable,
        )

    for found in findings.values():
        found.complaints = [
            _with_hint(complaint, hint_on(complaint.message))
            for complaint in found.complaints
        ]
    return findings


def _with_hint(complaint: Complaint, hint: str | None) -> Complaint:
    """Add a hint to a complaint, before the line of the code."""
    if hint is None:
        return complaint
    if complaint.hint:
        hint = f"{hint} ({complaint.hint})"
    return complaint._replace(hint=hint)


def _complain_about_path(
    tree: Path, commit: str, path_to_tasks: str
) -> Complaint | None:
    """Return a complaint if pathToTasks cannot be used in the commit."""
    directory = tree / path_to_tasks
    if not resolved(directory).is_relative_to(resolved(tree)):
        message = "pathToTasks leads out of the repository through a symbolic link"
        return Complaint(None, message, None, where="pathToTasks")
    if not directory.is_dir():
        message = f"pathToTasks: there is no directory {path_to_tasks} in commit {commit[:12]}"
        return Complaint(None, message, "is it committed?", where="pathToTasks")
    return None


class TaskRuns(NamedTuple):
    """A task of a config, and the runs that construct it with the same values."""

    task_id: str
    specs: list[RunSpec]


class ConfigPreflight(Struct, frozen=True):
    """The preflight of all runs of one config.

    A task that several runs construct with the same values is sent to the preflight once.
    """

    config: LoadedConfig
    request: PreflightConfig
    runs: dict[str, TaskRuns]  # by the id of the task in the request

    @classmethod
    def of(cls, config: LoadedConfig, output: str) -> ConfigPreflight:
        """Return the preflight of the config; tasks receive `output` as their output directory."""
        requested: dict[tuple[str, str], PreflightTask] = {}
        runs: dict[str, TaskRuns] = {}
        for spec in config.specs:
            for task in spec.tasks:
                if task.method is None:
                    continue
                values = task_config(spec, task, output)
                distinct = (task.id, json.dumps(values, sort_keys=True))
                if distinct not in requested:
                    request_id = str(len(requested))
                    requested[distinct] = PreflightTask(
                        request_id, task.method, values
                    )
                    runs[request_id] = TaskRuns(task.id, [])
                runs[requested[distinct].id].specs.append(spec)
        return cls(
            config, PreflightConfig(config.file, list(requested.values())), runs
        )

    def problems(self, complaints: Sequence[Complaint]) -> Iterator[Problem]:
        """Yield each complaint once, however many runs it is about."""
        shown: Counter[str | None] = Counter()
        for complaint, specs in self._merged(complaints).items():
            shown[complaint.task] += 1
            if shown[complaint.task] <= _MOST_COMPLAINTS:
                yield self._problem(
                    complaint, complaint.message + self._runs_in_words(specs)
                )
        for task_id, count in shown.items():
            if count > _MOST_COMPLAINTS:
                about_task = Complaint(task_id, "", None, "task")
                yield self._problem(
                    about_task, f"and {count - _MOST_COMPLAINTS} more complaints"
                )

    def _merged(
        self, complaints: Sequence[Complaint]
    ) -> dict[Complaint, list[RunSpec]]:
        """Return the distinct complaints, each with the runs that it is about."""
        merged: dict[Complaint, list[RunSpec]] = {}
        for complaint in complaints:
            if complaint.task is None:
                merged.setdefault(complaint, [])
            else:
                task_id, specs = self.runs[complaint.task]
                merged.setdefault(complaint._replace(task=task_id), []).extend(
                    specs
                )
        return merged

    def _runs_in_words(self, specs: Sequence[RunSpec]) -> str:
        """Return the end of a message that says which of several runs it is about."""
        if not specs or len(self.config.specs) == 1:
            return ""
        if len(specs) == len(self.config.specs):
            return f" (in all {len(specs)} runs)"
        if len(specs) == 1:
            return f" (in {specs[0].label})"
        return f" (in {specs[0].label} and {len(specs) - 1} more)"

    def _problem(self, complaint: Complaint, message: str) -> Problem:
        """Return the complaint as a problem at the position in the config that it is about."""
        position: KeyPath = ("pathToTasks",)
        if complaint.task is not None:
            task_ids = [task.id for task in self.config.specs[0].tasks]
            position = ("tasks", task_ids.index(complaint.task))
            if complaint.where == "method":
                position = (*position, "method")
        return self.config.problem(position, message, complaint.hint)
