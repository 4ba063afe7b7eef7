"""The surroundings of attempts outside their worktree: environment, interpreters and machine."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct

from gitorch.engines.order_files import Began
from gitorch.errors import GitorchError, ProgramMissing
from gitorch.git.lock_files import lock_files
from gitorch.interpreter.choose import BROKEN_HINT, choose
from gitorch.interpreter.environment import DEFAULTS, attempt_environment
from gitorch.interpreter.probe import Interpreter, probe
from gitorch.model.run.environment import (
    digest_of,
    recorded_variables,
    render_environment,
)
from gitorch.model.run.locked_python import is_locked
from gitorch.model.run.payload import Payload
from gitorch.model.run.pin import Pin
from gitorch.model.run.spec import RunSpec
from gitorch.model.text.masking import Masking
from gitorch.model.text.secret_values import secret_texts
from gitorch.storage.interpreters import find_interpreter
from gitorch.storage.site import Site
from gitorch.tools import machine
from gitorch.tools.reported import report


class Described(Struct, frozen=True):
    """The environment that a record has, and the digest of its text.

    `masking` has removed the secrets from `facts`, which gives `environment`.
    """

    environment: dict[str, Any]
    digest: str
    facts: dict[str, Any]
    masking: Masking


class Surroundings:
    """The environment, the interpreters and the machine; each is examined once. For any thread."""

    def __init__(self, site: Site, environment: Mapping[str, str]) -> None:
        self.environment = dict(
            environment
        )  # os.environ decodes a variable at every access
        self._site = site
        self._interpreters: dict[str, Interpreter] = {}
        # The interpreters of locks, with the trees that they were looked up for.
        self._locked: dict[str, tuple[Interpreter, str]] = {}
        self._maskings: dict[frozenset[object], Masking] = {}
        self._secrets_of_others: tuple[str, ...] = ()
        self._used: dict[tuple[object, ...], bool] = {}
        self._lock = threading.Lock()
        self._lock_files: dict[tuple[str, str], dict[str, str]] = {}
        self._reports: dict[tuple[object, ...], dict[str, str]] = {}
        self._reports_lock = threading.Lock()
        self._processes: dict[frozenset[tuple[str, str]], dict[str, Any]] = {}
        self._last_described: Described | None = None

    def interpreter(self, python: str, wanted: str | None, pin: Pin) -> Interpreter:
        """Return the interpreter that a run was readied with, to run the code at `pin`.

        That interpreter is gone if the repository was moved, or if the record is from another
        machine. It is then replaced by the one that `wanted`, the config's `python:` key, now
        stands for. An interpreter in this repository is not replaced: it was removed or broken.
        The environment of a lock belongs to the pin, and is built again if it is gone.
        Raises GitorchError if the interpreter cannot be started.
        """
        if is_locked(wanted):
            return self._of_lock(python, wanted, pin)
        with self._lock:
            if python not in self._interpreters:
                repository = self._site.repository
                executable = python
                if not Path(python).exists():
                    _require_elsewhere(Path(python), wanted, repository.main_root)
                    executable = choose(wanted, repository.root, self.environment)
                self._interpreters[python] = probe(
                    executable,
                    cwd=repository.main_root,
                    env=self.environment,
                    memory=self._site.interpreters,
                )
            return self._interpreters[python]

    def _of_lock(self, python: str, wanted: str | None, pin: Pin) -> Interpreter:
        """Return the interpreter of a lock's environment. It may be removed between two tasks."""
        if python in self._locked and self._site.locked_environments.is_held(
            python
        ):
            found, tree = self._locked[python]
            if tree == pin.tree:
                return found
        found = find_interpreter(
            self._site, wanted, pin, self.environment, recorded=python
        )
        self._locked[python] = found, pin.tree
        return found

    @property
    def secrets(self) -> list[str]:
        """Return the secrets of the environment."""
        return Masking(
            self.environment, globs=self._site.settings.secret
        ).of_variables

    def remember(self, secrets: Iterable[str]) -> None:
        """Mask the secrets of another worker too, whose attempts this process gathers."""
        with self._lock:
            self._secrets_of_others += tuple(secrets)
            self._maskings.clear()

    def masking(self, spec: RunSpec) -> Masking:
        """Return what masks the secrets of the environment, and of a config."""
        own = secret_texts(spec.values)
        key: frozenset[object] = frozenset((*spec.env.items(), *own))
        with self._lock:
            if key not in self._maskings:
                self._maskings[key] = Masking(
                    self.environment,
                    spec.env,
                    globs=self._site.settings.secret,
                    secrets=(*own, *self._secrets_of_others),
                )
            return self._maskings[key]

    def describe(
        self,
        payload: Payload,
        tree: Path,
        masking: Masking,
        place: Began | None = None,
    ) -> Described:
        """Return what a record says about what a run's tasks ran with, and about the machine.

        `place` is where they ran, None if here. `masking` removes the secrets. An interpreter that
        no task used, or that does not start, is left out. `interpreter` is in the result if the
        tasks ran in another interpreter than the record names.
        """
        spec = payload.spec
        described: dict[str, Any] = {}
        interpreter = None
        with suppress(GitorchError):
            interpreter = self.interpreter(
                payload.interpreter, spec.python, payload.pin
            )
        if interpreter is not None and self._is_used(interpreter, payload, tree):
            described = _python(interpreter, payload.interpreter)
        if place is not None and place.commands:
            described["commands"] = dict(place.commands)
        elif spec.environment and interpreter is not None and tree.is_dir():
            described["commands"] = self.reported(payload, tree, interpreter)
        if locks := self._locks(payload.pin.commit, spec.path_to_tasks):
            described["locks"] = locks
        return self._with_machine(described, spec, masking, place)

    def describe_now(
        self, spec: RunSpec, python: str, pin: Pin, *, with_python: bool
    ) -> dict[str, Any]:
        """Return what `describe` would say if a task of this config started now.

        The facts that depend on the pinned code are left out. Raises GitorchError if the
        interpreter cannot be started.
        """
        described = {}
        if with_python:
            interpreter = self.interpreter(python, spec.python, pin)
            described = _python(interpreter, python)
        masking = self.masking(spec)
        return self._with_machine(described, spec, masking).environment

    def _with_machine(
        self,
        described: Mapping[str, Any],
        spec: RunSpec,
        masking: Masking,
        place: Began | None = None,
    ) -> Described:
        """Add the facts about the machine and the process. Most attempts have the same facts."""
        if place is not None and place.machine is not None:
            of_machine = place.machine.to_json()
        else:
            of_machine = self._machine
        facts = {**described, **self._process(spec), **of_machine}
        last = self._last_described
        if last is None or last.masking is not masking or last.facts != facts:
            environment = masking.value(facts)
            digest = digest_of(render_environment(environment))
            last = Described(environment, digest, facts, masking)
            self._last_described = last
        return last

    def _process(self, spec: RunSpec) -> dict[str, Any]:
        """Return the facts that depend on the variables. Each environment is examined once."""
        key = frozenset(spec.env.items())
        if key not in self._processes:
            variables = {**DEFAULTS, **self.environment, **spec.env}
            settings = self._site.settings
            recorded = recorded_variables(
                variables, settings.record_env, settings.secret
            )
            self._processes[key] = {
                "variables": recorded,
                "locale": machine.locale_name(variables),
                "timezone": machine.timezone_name(variables),
            }
        return self._processes[key]

    def _locks(self, commit: str, directory: str) -> dict[str, str]:
        """Return the digests of the lock files that a run's code has."""
        key = (commit, directory)
        with self._lock:
            if key not in self._lock_files:
                self._lock_files[key] = lock_files(
                    self._site.repository, commit, directory
                )
            return self._lock_files[key]

    def _is_used(
        self, interpreter: Interpreter, payload: Payload, tree: Path
    ) -> bool:
        """Return True if tasks use the interpreter. Each config is examined once at each pin."""
        commands = tuple(task.command for task in payload.spec.tasks)
        key = (payload.pin.commit, commands, interpreter.executable)
        if key not in self._used:
            from gitorch.interpreter.usage import uses_python  # noqa: PLC0415  for a new config

            self._used[key] = uses_python(payload.spec, interpreter, tree)
        return self._used[key]

    def reported(
        self, payload: Payload, tree: Path, interpreter: Interpreter
    ) -> dict[str, str]:
        """Return the output of the commands of `environment:`, which are run once for each pin."""
        spec = payload.spec
        env = tuple(sorted(spec.env.items()))
        key = (payload.pin.commit, spec.environment, interpreter.executable, env)
        with self._reports_lock:
            if key not in self._reports:
                self._reports[key] = report(
                    spec.environment,
                    tree=tree,
                    env=attempt_environment(
                        self.environment,
                        interpreter=interpreter,
                        tree=tree,
                        main_root=self._site.repository.main_root,
                        declared=spec.env,
                        gitorch={},
                    ),
                )
            return self._reports[key]

    @cached_property
    def _machine(self) -> dict[str, Any]:
        return machine.facts()


def _python(interpreter: Interpreter, recorded: str) -> dict[str, Any]:
    """Return the facts about an interpreter, with its path if the record has another one."""
    described: dict[str, Any] = {
        "python": interpreter.version,
        "implementation": interpreter.implementation,
        "packages": dict(interpreter.packages),
    }
    if interpreter.sources:
        described["sources"] = dict(interpreter.sources)
    if interpreter.executable != recorded:
        described["interpreter"] = interpreter.executable
    return described


def _require_elsewhere(python: Path, wanted: str | None, main_root: Path) -> None:
    """Raise ProgramMissing if an interpreter that is gone was in this repository."""
    if not python.is_relative_to(main_root):
        return
    if wanted is None:
        message = (
            f"{python}, with which the run was readied, is not a Python any more"
        )
    else:
        message = (
            f"there is no Python interpreter {wanted!r} any more "
            f"(the run was readied with {python})"
        )
    raise ProgramMissing(message, BROKEN_HINT)
