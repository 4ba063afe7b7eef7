"""Everything that can be known to be wrong with configs before hours are spent.

First their text; then, in a worktree of the pinned commit and by the project's own interpreter, their tasks and what
these say themselves.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from gitorch.actions.lookover import LookOver
from gitorch.actions.scratch import look_over, output_in, scratch
from gitorch.config.discovery import find_configs, is_config
from gitorch.config.document import KeyPath
from gitorch.config.pipeline import ConfigContext, LoadedConfig, load_config
from gitorch.errors import GitorchError, NotFound
from gitorch.git.pins import ignored_paths
from gitorch.interpreter.choose import choose
from gitorch.interpreter.probe import Interpreter, probe, source_roots
from gitorch.model.problem import Problem, Severity, has_errors
from gitorch.model.run.pin import Pin
from gitorch.model.run.spec import Resources, RunSpec
from gitorch.model.text.globs import literal_head, matcher
from gitorch.model.text.spelling import nearest_path
from gitorch.runs.contents import Tell, Unusable, unheard
from gitorch.runs.inputs import Inputs
from gitorch.runs.site import Site
from gitorch.worker.capacity import of_machine

DEFAULT_PATH = "experiments"
SCHEMA = ".gitorch.schema.json"  # beside the configs, so that an editor finds it on every machine

ChoosePin = Callable[[Sequence[LoadedConfig]], tuple[Pin, tuple[str, ...]]]


class Validated(Struct, frozen=True, kw_only=True):
    """`valid` are the configs without an error; `printed` is what validate() printed, by config file."""

    configs: tuple[LoadedConfig, ...]
    valid: tuple[LoadedConfig, ...]
    problems: tuple[Problem, ...]
    printed: Mapping[str, str]
    interpreters: Mapping[
        str | None, str
    ]  # what each `python:` key stands for; None: none was given
    pin: Pin | None
    notes: tuple[str, ...]
    inputs: Mapping[tuple[str, ...], Inputs] = field(
        default_factory=dict
    )  # as runs see them that have these links


def validate(
    site: Site,
    paths: Sequence[Path],
    *,
    environment: Mapping[str, str],
    choose_pin: ChoosePin,
    hashes_inputs: bool,
    overrides: Sequence[str] = (),
    tell: Tell = unheard,
) -> Validated:
    """Load and check all configs at `paths`, with `overrides` (`-S`) laid over each.

    `choose_pin` is asked, with all of them, once one is worth pinning for.

    `hashes_inputs`: read the data that the runs read, of configs that are sound otherwise; else only look for it.
    `tell` hears of what takes long.
    Raises NotFound where there is no config, and what `choose_pin` raises.
    """
    configs = load_all(site, paths, overrides)
    readable = [config for config in configs if config.specs and not has_errors(config.problems)]
    if not readable:
        return Validated(
            configs=configs,
            valid=(),
            problems=_once(problem for config in configs for problem in config.problems),
            printed={},
            interpreters={},
            pin=None,
            notes=(),
        )
    pin, notes = choose_pin(configs)
    examination = _Examination(site, environment, pin, tell)
    found = examination.examine(readable)
    if hashes_inputs:
        for config in readable:
            if not has_errors(found[config.file]):
                found[config.file] += examination.unreadable_inputs(config)
    return Validated(
        configs=configs,
        valid=tuple(config for config in readable if not has_errors(found[config.file])),
        problems=_once(
            problem
            for config in configs
            for problem in config.in_order(*config.problems, *found[config.file])
        ),
        printed=examination.printed,
        interpreters=examination.interpreters,
        pin=pin,
        notes=notes,
        inputs=examination.inputs,
    )


def _once(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """What is wrong with a file that several configs extend, or with `-S`, is said once."""
    return tuple(dict.fromkeys(problems))


def load_all(
    site: Site, paths: Sequence[Path], overrides: Sequence[str] = ()
) -> tuple[LoadedConfig, ...]:
    """The configs at `paths`, each once; by default those of the repository's experiments/. Raises NotFound.

    A file without tasks that is there only for others to extend is no config, unless it is named itself.
    """
    repository = site.repository
    context = ConfigContext(
        root=repository.root,
        remotes=repository.remotes(),
        sweep_limit=repository.settings.sweep_limit,
    )
    files: dict[Path, Path] = {}
    for path in paths or [_default_path(repository.root)]:
        for file in find_configs(path):
            files.setdefault(file.resolve(), file)
    loaded = [
        load_config(file.read_bytes(), file=str(file), context=context, overrides=overrides)
        for file in files.values()
    ]
    extended = {base.path.resolve() for config in loaded for base in config.bases} - {
        path.resolve() for path in paths
    }
    return tuple(
        config
        for config, place in zip(loaded, files, strict=True)
        if place not in extended or is_config(config.source)
    )


def _default_path(root: Path) -> Path:
    path = root / DEFAULT_PATH
    if not path.is_dir():
        raise NotFound(
            f"there is no {DEFAULT_PATH}/ in {root}",
            hint="name a config, or make a first one: gitorch init",
        )
    return Path(os.path.relpath(path))


class _Examination:
    """The second half: what only the pinned code and its interpreter can tell."""

    def __init__(self, site: Site, environment: Mapping[str, str], pin: Pin, tell: Tell) -> None:
        self._site = site
        self._tell = tell
        self._main_root = site.repository.main_root
        self._environment = environment
        self._pin = pin
        self._probed: dict[str, Interpreter] = {}
        self._links: set[str] = set()
        self.interpreters: dict[str | None, str] = {}
        self.inputs: dict[tuple[str, ...], Inputs] = {}
        self.printed: dict[str, str] = {}

    def examine(self, configs: Sequence[LoadedConfig]) -> dict[str, list[Problem]]:
        """What is wrong with each, by its file."""
        found: defaultdict[str, list[Problem]] = defaultdict(list)
        groups: dict[tuple[Any, ...], list[LoadedConfig]] = {}
        for config in configs:
            spec = config.specs[0]  # in what is asked here all runs of a config are alike
            try:
                interpreter = self._interpreter(spec)
            except GitorchError as error:
                found[config.file].append(
                    config.problem(("gitorch", "python"), error.message, error.hint)
                )
                continue
            found[config.file] += [
                *self._unnamed_code(config),
                *self._missing_inputs(config),
                *self._suggested_links(config),
                *self._too_large(config),
            ]
            is_in_the_code = spec.path_to_tasks != "." or _has_methods(spec)
            if is_in_the_code or spec.link or source_roots(interpreter, self._main_root):
                together = interpreter.executable, spec.path_to_tasks, frozenset(spec.env.items())
                groups.setdefault(together, []).append(config)
        if groups:
            with scratch(self._site, self._pin.commit) as tree:
                for (python, path_to_tasks, _), members in groups.items():
                    unlinked = {
                        config.file: list(self._unlinked(tree, config)) for config in members
                    }
                    linked = [config for config in members if not unlinked[config.file]]
                    in_the_code = self._in_the_code(
                        tree, self._probed[python], path_to_tasks, linked
                    )
                    for file, problems in (*unlinked.items(), *in_the_code.items()):
                        found[file] += problems
        return found

    def _interpreter(self, spec: RunSpec) -> Interpreter:
        """The interpreter of a config, asked once. Raises GitorchError where it cannot be one."""
        if spec.python not in self.interpreters:
            chosen = choose(spec.python, self._site.repository.root, self._environment)
            memory = self._site.interpreters
            interpreter = probe(chosen, cwd=self._main_root, env=self._environment, memory=memory)
            self._probed[interpreter.executable] = interpreter
            self.interpreters[spec.python] = interpreter.executable
        return self._probed[self.interpreters[spec.python]]

    @cached_property
    def _machine(self) -> Resources:
        return of_machine(self._site.repository)

    def _unlinked(self, tree: Path, config: LoadedConfig) -> Iterator[Problem]:
        """Make the links of a config; those that cannot be made are its problems."""
        for position, name in enumerate(config.specs[0].link):
            place = ("gitorch", "link", position)
            if os.path.lexists(tree / name) and name not in self._links:
                message = f"commit {self._pin.commit[:12]} has {name} itself"
                yield config.problem(
                    place, message, "leave it out of link: a run has it as it is in its commit"
                )
                continue
            try:
                self._site.worktrees.materialise(self._pin.commit, tree, link=(name,))
                self._links.add(name)
            except GitorchError as error:
                yield config.problem(place, error.message.removeprefix("link: "), error.hint)
            except OSError as error:
                yield config.problem(place, f"{name} cannot be linked: {error.strerror}")

    def _in_the_code(
        self,
        tree: Path,
        interpreter: Interpreter,
        path_to_tasks: str,
        configs: Sequence[LoadedConfig],
    ) -> Mapping[str, list[Problem]]:
        if not configs:
            return {}
        looks = [LookOver.of(config, output_in(tree)) for config in configs]
        found = look_over(
            self._site,
            tree,
            self._pin.commit,
            path_to_tasks,
            [look.request for look in looks],
            interpreter=interpreter,
            environment=self._environment,
            declared=configs[0].specs[0].env,
        )
        self.printed |= {
            file: findings.printed for file, findings in found.items() if findings.printed
        }
        return {
            look.config.file: list(look.problems(found[look.config.file].complaints))
            for look in looks
        }

    def _too_large(self, config: LoadedConfig) -> list[Problem]:
        """Tasks that this machine can never run."""
        problems = []
        for index, task in enumerate(config.specs[0].tasks):
            wanted = task.resources
            for name, asked, there in (
                ("cpus", wanted.cpus, self._machine.cpus),
                ("gpus", wanted.gpus, self._machine.gpus),
                ("memory", wanted.memory_bytes, self._machine.memory_bytes),
            ):
                if asked > there:
                    message = (
                        f"task {task.id} wants {asked:g} {name}, and this machine has {there:g}"
                    )
                    hint = f"ask for less, or say what there is: git config gitorch.{name} N"
                    problems.append(config.problem(("tasks", index), message, hint))
        return problems

    def _unnamed_code(self, config: LoadedConfig) -> Iterator[Problem]:
        """Globs of code that name no file of the pinned commit."""
        for place, globs in _code_globs(config).items():
            for position, glob in enumerate(globs):
                paths = [file.path for file in self._site.code.files(self._pin.tree)]
                if any(map(matcher(glob).fullmatch, paths)):
                    continue
                message = f"'{glob}' names nothing in commit {self._pin.commit[:12]}"
                near = nearest_path(glob, paths)
                hint = (
                    f"did you mean '{near}'?"
                    if near
                    else "is it committed? git ls-files lists what is"
                )
                yield config.problem((*place, position), message, hint)

    def _missing_inputs(self, config: LoadedConfig) -> Iterator[Problem]:
        """Inputs that are not there, or that a run's worktree does not have."""
        link = config.specs[0].link
        inputs = self.inputs.setdefault(link, Inputs(self._site, self._pin.tree, link, self._tell))
        for place, pattern in _inputs(config):
            try:
                found = inputs.find(pattern)
            except Unusable as error:
                yield config.problem(place, error.message, error.hint)
                continue
            if found.is_out_of_sight:
                message = f"{pattern} is neither committed nor linked, so a run's worktree will not have it"
                hint = f"gitorch: {{link: [{literal_head(pattern)}]}} makes it a symbolic link to yours"
                yield config.problem(place, message, hint, Severity.WARNING)

    def unreadable_inputs(self, config: LoadedConfig) -> Iterator[Problem]:
        """Hash what the runs of a config read; what cannot be is its problem."""
        inputs = self.inputs[config.specs[0].link]
        inputs.hash(pattern for _, pattern in _inputs(config))
        for place, pattern in _inputs(config):
            try:
                inputs.data(pattern)
            except Unusable as error:
                yield config.problem(place, error.message, error.hint)

    def _suggested_links(self, config: LoadedConfig) -> list[Problem]:
        """Parameters that name a git-ignored path: a worktree does not have it."""
        root = self._main_root
        texts = {
            value: key
            for spec in reversed(config.specs)
            for key, value in spec.params.items()
            if isinstance(value, str) and not _is_linked(value, spec.link)
        }
        named = {
            value: config.position_of(key)
            for value, key in texts.items()
            if _is_inside(root, value)
        }
        if not named:
            return []
        ignored = ignored_paths(self._site.repository, list(named))
        return [
            config.problem(
                named[path],
                f"{path} is ignored by git, so a run's worktree will not have it",
                hint=f"gitorch: {{link: [{path}]}} makes it a symbolic link to yours",
                severity=Severity.WARNING,
            )
            for path in ignored
        ]


def _code_globs(config: LoadedConfig) -> Mapping[KeyPath, Sequence[str]]:
    """The lists of globs of code in a config, by their places."""
    spec = config.specs[0]
    found: dict[KeyPath, Sequence[str]] = {("gitorch", "code"): spec.code or ()}
    for index, task in enumerate(spec.tasks):
        if task.cache and task.cache.code:
            found[_of_task(config, index, "cache", "code")] = task.cache.code
    return found


def _inputs(config: LoadedConfig) -> Iterator[tuple[KeyPath, str]]:
    """The inputs in a config, each with its place; what stands among the file's settings once."""
    found: dict[KeyPath, str] = {}
    for index, task in enumerate(config.specs[0].tasks):
        lists = {
            ("inputs",): task.inputs,
            ("cache", "inputs"): task.cache.inputs if task.cache else (),
        }
        for path, patterns in lists.items():
            place = _of_task(config, index, *path)
            found |= {(*place, position): pattern for position, pattern in enumerate(patterns)}
    return iter(found.items())


def _of_task(config: LoadedConfig, index: int, *path: str) -> KeyPath:
    """Where a setting of a task stands: with the task, else among the file's."""
    own: KeyPath = ("tasks", index, "gitorch", *path)
    return own if config.document.node(own) else ("gitorch", *path)


def _has_methods(spec: RunSpec) -> bool:
    return any(task.method is not None for task in spec.tasks)


def _is_inside(root: Path, value: str) -> bool:
    """Whether a parameter's value names something that is there, below the root and not the root itself."""
    if (
        not value
        or value.startswith(("/", "~"))
        or len(value) > 4096
        or "\0" in value
        or ".." in Path(value).parts
    ):
        return False
    try:
        return Path(value) != Path() and (root / value).exists()
    except OSError:
        return False


def _is_linked(value: str, link: Sequence[str]) -> bool:
    return any(Path(value).is_relative_to(name) for name in link)
