"""The examination of configs in the pinned code, by the project's own interpreter.

Every mistake that can be detected in advance is reported here, before hours are spent on a run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field

from gitorch.actions import config_checks
from gitorch.actions.config_links import links_of, make_links, with_links
from gitorch.actions.configs import readable_configs
from gitorch.actions.pinning import ChosenPin
from gitorch.actions.preflight import ConfigPreflight, check_tasks
from gitorch.config.pipeline import LoadedConfig
from gitorch.errors import GitorchError, ProgramMissing, UserInterrupted
from gitorch.interpreter.probe import Interpreter, source_roots
from gitorch.model.problem import Problem, has_errors
from gitorch.model.run.locked_python import is_locked
from gitorch.model.run.pin import Pin
from gitorch.model.run.spec import Resources, RunSpec
from gitorch.model.text.masking import Masking
from gitorch.storage.contents import Notify, Unusable, ignore_notice
from gitorch.storage.inputs import Inputs, is_converted
from gitorch.storage.interpreters import find_interpreter
from gitorch.storage.scratch import output_in, scratch
from gitorch.storage.site import Site
from gitorch.worker.capacity import of_machine


class Validated(Struct, frozen=True, kw_only=True):
    """The result of the examination: `valid` are the configs without an error."""

    configs: tuple[LoadedConfig, ...]
    valid: tuple[LoadedConfig, ...]
    problems: tuple[Problem, ...]
    printed: Mapping[str, str] = field(
        default_factory=dict
    )  # by config file: by validate()
    interpreters: Mapping[str | None, str] = field(
        default_factory=dict
    )  # by `python:` key
    inputs: Mapping[tuple[str, ...], Inputs] = field(
        default_factory=dict
    )  # by links of the runs
    notes: tuple[str, ...] = ()  # about the pin

    @classmethod
    def by_text(cls, configs: Sequence[LoadedConfig]) -> Validated:
        """Return the result if no config is readable. No pin is needed for it."""
        problems: list[Problem] = []
        for config in configs:
            problems += config.problems
        return cls(configs=tuple(configs), valid=(), problems=_unique(problems))


def validate(
    site: Site,
    configs: Sequence[LoadedConfig],
    chosen: ChosenPin,
    *,
    environment: Mapping[str, str],
    hashes_inputs: bool,
    notify: Notify = ignore_notice,
) -> Validated:
    """Examine the readable configs in the pinned code.

    With `hashes_inputs`, read the inputs of the configs that have no error. Otherwise only look for
    the inputs. `notify` is called with a message before anything that takes long.
    """
    readable, unlinked = with_links(site, chosen.pin, readable_configs(configs))
    examination = _Examination(
        site,
        environment,
        chosen.pin,
        notify,
        reads_inputs=hashes_inputs,
        unlinked=unlinked,
    )
    problems_by_file = examination.examine(readable)
    for file, found in unlinked.items():
        problems_by_file[file] += found
    if hashes_inputs:
        for config in readable:
            if not has_errors(problems_by_file[config.file]):
                problems_by_file[config.file] += examination.hash_inputs(config)
    problems: list[Problem] = []
    for config in configs:
        problems += config.in_order(
            *config.problems, *problems_by_file[config.file]
        )
    valid = []
    for config in readable:
        if not has_errors(problems_by_file[config.file]):
            valid.append(config)
    return Validated(
        configs=tuple(configs),
        valid=tuple(valid),
        problems=_unique(problems),
        printed=examination.printed,
        interpreters=examination.interpreters,
        inputs=examination.inputs,
        notes=chosen.notes,
    )


def _unique(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return each problem once.

    A problem of `-S`, or of a file that several configs extend, occurs once for each config.
    """
    return tuple(dict.fromkeys(problems))


def _problem_of_python(config: LoadedConfig, error: GitorchError) -> Problem:
    """Return what keeps a config from having its interpreter, as a problem of the config.

    Raises the error itself if it is not about the config.
    """
    python = config.specs[0].python
    is_missing = isinstance(error, ProgramMissing) and is_locked(python)
    if is_missing or isinstance(error, UserInterrupted):
        raise error
    key = "conda" if config.document.node(("gitorch", "conda")) else "python"
    return config.problem(("gitorch", key), error.message, error.hint)


class _Group(NamedTuple):
    """Configs whose tasks can be checked by one process."""

    interpreter: str
    path_to_tasks: str
    env: frozenset[tuple[str, str]]
    sparse: tuple[str, ...]


class _Examination:
    """The checks that need the pinned code and its interpreter.

    All runs of a config have the same values for everything that is checked here.
    """

    def __init__(
        self,
        site: Site,
        environment: Mapping[str, str],
        pin: Pin,
        notify: Notify,
        *,
        reads_inputs: bool,
        unlinked: Container[str],
    ) -> None:
        """`unlinked` are the configs that lack links, so that their tasks cannot be checked."""
        self._site = site
        self._notify = notify
        self._main_root = site.repository.main_root
        self._environment = environment
        self._pin = pin
        self._reads_inputs = reads_inputs
        self._probed: dict[str, Interpreter] = {}  # by executable
        self._unlinked = unlinked
        self.interpreters: dict[str | None, str] = {}
        self.inputs: dict[tuple[str, ...], Inputs] = {}
        self.printed: dict[str, str] = {}

    def examine(
        self, configs: Sequence[LoadedConfig]
    ) -> defaultdict[str, list[Problem]]:
        """Return the problems of each config, by its file."""
        problems: defaultdict[str, list[Problem]] = defaultdict(list)
        groups: defaultdict[_Group, list[LoadedConfig]] = defaultdict(list)
        for config in configs:
            spec = config.specs[0]
            try:
                interpreter = self._interpreter(spec)
            except GitorchError as error:
                problems[config.file].append(_problem_of_python(config, error))
                continue
            problems[config.file] += self._check_outside_worktree(config)
            if self._needs_worktree(spec, interpreter):
                env = frozenset(spec.env.items())
                groups[
                    _Group(
                        interpreter.executable, spec.path_to_tasks, env, spec.sparse
                    )
                ].append(config)
        converted = self._with_converted_inputs(configs)
        in_worktrees = {group.sparse for group in groups}
        in_worktrees.update(config.specs[0].sparse for config in converted)
        for sparse in sorted(in_worktrees):
            with scratch(self._site, self._pin.commit, sparse=sparse) as tree:
                for config in converted:
                    if config.specs[0].sparse == sparse:
                        self._read_inputs(config, tree)
                for group, members in groups.items():
                    if group.sparse == sparse:
                        self._check_group(tree, group, members, problems)
        return problems

    def _check_group(
        self,
        tree: Path,
        group: _Group,
        members: Sequence[LoadedConfig],
        problems: defaultdict[str, list[Problem]],
    ) -> None:
        for file, found in self._check_in_worktree(tree, group, members).items():
            problems[file] += found

    def hash_inputs(self, config: LoadedConfig) -> Iterator[Problem]:
        """Hash and fetch the inputs of the config; yield a problem for each that is not there."""
        inputs = self.inputs[config.specs[0].link]
        yield from config_checks.hash_inputs(inputs, config)
        yield from config_checks.fetch_inputs(
            self._site, self._pin, config, self._notify
        )

    def _interpreter(self, spec: RunSpec) -> Interpreter:
        """Return the interpreter that a config asks for. Raises GitorchError if it is unusable."""
        if spec.python not in self.interpreters:
            interpreter = find_interpreter(
                self._site,
                spec.python,
                self._pin,
                self._environment,
                notify=self._notify,
            )
            self._probed[interpreter.executable] = interpreter
            self.interpreters[spec.python] = interpreter.executable
        return self._probed[self.interpreters[spec.python]]

    @cached_property
    def _masking(self) -> Masking:
        return Masking(self._environment, globs=self._site.settings.secret)

    def _check_outside_worktree(self, config: LoadedConfig) -> Iterator[Problem]:
        if self._site.settings.secrets == "refuse":
            yield from config_checks.check_secrets(self._masking, config)
        yield from config_checks.check_sparse(self._site, self._pin, config)
        yield from config_checks.check_code_globs(self._site, self._pin, config)
        yield from config_checks.check_params_file(self._site, self._pin, config)
        yield from config_checks.check_inputs(self._inputs_of(config), config)
        yield from config_checks.suggest_links(self._site, config)
        yield from config_checks.check_resources(
            self._machine, config, self._site.settings.engine
        )

    def _with_converted_inputs(
        self, configs: Sequence[LoadedConfig]
    ) -> list[LoadedConfig]:
        """Return the configs whose committed inputs must be read in a worktree."""
        with_inputs = [config for config in configs if config.specs[0].reads]
        if not (self._reads_inputs and with_inputs):
            return []
        if not is_converted(self._site, self._pin.tree):
            return []
        return with_inputs

    def _read_inputs(self, config: LoadedConfig, tree: Path) -> None:
        """Hash the inputs of a config; `hash_inputs` reports those that cannot be read."""
        inputs = self._inputs_of(config)
        for pattern in config.specs[0].reads:
            with suppress(Unusable):
                inputs.hash([pattern], tree)

    def _inputs_of(self, config: LoadedConfig) -> Inputs:
        link = config.specs[0].link
        if link not in self.inputs:
            self.inputs[link] = Inputs(
                self._site, self._pin.tree, link, self._notify
            )
        return self.inputs[link]

    @cached_property
    def _machine(self) -> Resources:
        return of_machine(self._site.repository)

    def _needs_worktree(self, spec: RunSpec, interpreter: Interpreter) -> bool:
        """Return True if a worktree is needed to check the config.

        It is needed for links, for code that the config names, and for an interpreter that imports
        code of the project.
        """
        has_methods = any(task.method is not None for task in spec.tasks)
        if has_methods or spec.path_to_tasks != "." or spec.link:
            return True
        return bool(source_roots(interpreter, self._main_root))

    def _check_in_worktree(
        self, tree: Path, group: _Group, configs: Sequence[LoadedConfig]
    ) -> dict[str, list[Problem]]:
        """Make the links of the configs, and check the tasks of the configs that have all links."""
        problems = dict(make_links(self._site, self._pin, tree, configs))
        linked = []
        for config in configs:
            if not (problems[config.file] or config.file in self._unlinked):
                linked.append(config)
        if linked:
            problems |= self._check_tasks(tree, group, linked)
        return problems

    def _check_tasks(
        self, tree: Path, group: _Group, configs: Sequence[LoadedConfig]
    ) -> dict[str, list[Problem]]:
        """Return the complaints of the project's code about the tasks of the configs, by file."""
        preflights = [
            ConfigPreflight.of(config, output_in(tree)) for config in configs
        ]
        findings = check_tasks(
            self._site,
            tree,
            self._pin.commit,
            group.path_to_tasks,
            [preflight.request for preflight in preflights],
            interpreter=self._probed[group.interpreter],
            environment=self._environment,
            declared=configs[0].specs[0].env,
            link=links_of(configs),
            sparse=configs[0].specs[0].sparse,
        )
        problems = {}
        for preflight in preflights:
            file = preflight.config.file
            problems[file] = list(preflight.problems(findings[file].complaints))
            if findings[file].printed:
                self.printed[file] = findings[file].printed
        return problems
