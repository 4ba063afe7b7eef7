"""The class tasks of all runs of a config, handed to the preflight once each, and what it complains of told once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from msgspec import Struct

from gitorch.config.pipeline import LoadedConfig
from gitorch.interpreter.preflight import Complaint, PreflightConfig, PreflightTask
from gitorch.model.problem import Problem
from gitorch.model.run.spec import RunSpec, task_config

_ENOUGH = 20  # different complaints about one task


class LookOver(Struct, frozen=True):
    """`runs`: for each task handed over, by the key it was given, its id and the runs that it is of."""

    config: LoadedConfig
    request: PreflightConfig
    runs: dict[str, tuple[str, list[RunSpec]]]

    @classmethod
    def of(cls, config: LoadedConfig, output: str) -> LookOver:
        """Tasks of several runs that would be constructed with the same config are looked over once."""
        tasks: dict[tuple[str, str], PreflightTask] = {}
        runs: dict[str, tuple[str, list[RunSpec]]] = {}
        for spec in config.specs:
            for task in spec.tasks:
                if task.method is None:
                    continue
                values = task_config(spec, task, output)
                known = task.id, json.dumps(values, sort_keys=True)
                first = tasks.setdefault(known, PreflightTask(str(len(tasks)), task.method, values))
                runs.setdefault(first.id, (task.id, []))[1].append(spec)
        return cls(config, PreflightConfig(config.file, list(tasks.values())), runs)

    def problems(self, complaints: Sequence[Complaint]) -> Iterator[Problem]:
        """Equal complaints about many runs are one, which names the first of them."""
        found: dict[Complaint, list[RunSpec]] = {}
        for complaint in complaints:
            task, specs = self.runs[complaint.task] if complaint.task is not None else (None, [])
            found.setdefault(complaint._replace(task=task), []).extend(specs)
        told: dict[str | None, int] = {}
        for complaint, specs in found.items():
            told[complaint.task] = told.get(complaint.task, 0) + 1
            if told[complaint.task] <= _ENOUGH:
                yield self._problem(complaint, complaint.message + self._where(specs))
        for name, count in told.items():
            if count > _ENOUGH:
                yield self._problem(
                    Complaint(name, "", None, "task"), f"and {count - _ENOUGH} more complaints"
                )

    def _where(self, specs: Sequence[RunSpec]) -> str:
        """Which of several runs it is about."""
        if not specs or len(self.config.specs) == 1:
            return ""
        if len(specs) == len(self.config.specs):
            return f" (in all {len(specs)} runs)"
        more = f" and {len(specs) - 1} more" if len(specs) > 1 else ""
        return f" (in {specs[0].label}{more})"

    def _problem(self, complaint: Complaint, message: str) -> Problem:
        """At the place in the config that it is about."""
        ids = [task.id for task in self.config.specs[0].tasks]
        where: tuple[str | int, ...] = ("pathToTasks",)
        if complaint.task is not None:
            where = (
                "tasks",
                ids.index(complaint.task),
                *(("method",) if complaint.where == "method" else ()),
            )
        return self.config.problem(where, message, complaint.hint)
