"""Checks of one config against the pinned commit, the data and this machine.

The checks do not run any code of the project.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

from msgspec.structs import replace

from gitorch.config.document import KeyPath
from gitorch.config.dvc_file import SUFFIX
from gitorch.config.params_file import BadParamsFile, overlaid
from gitorch.config.pipeline import LoadedConfig
from gitorch.errors import GitorchError
from gitorch.git.command import call_git
from gitorch.git.pins import ignored_paths
from gitorch.model.problem import Problem, Severity
from gitorch.model.run.locked_python import parse_locked
from gitorch.model.run.pin import Pin
from gitorch.model.run.spec import Resources, RunSpec
from gitorch.model.text.globs import is_in_cone, literal_head, matcher
from gitorch.model.text.masking import Masking
from gitorch.model.text.secret_values import find_secrets
from gitorch.model.text.spelling import nearest_path
from gitorch.storage.contents import CommittedFile, Notify, Unusable
from gitorch.storage.fetched import fetch
from gitorch.storage.inputs import Inputs
from gitorch.storage.missing_files import link_line
from gitorch.storage.site import Site

_LONGEST_PATH = 4096  # PATH_MAX on Linux


def check_code_globs(
    site: Site, pin: Pin, config: LoadedConfig
) -> Iterator[Problem]:
    """Yield a problem for each glob of code that matches no file of the pinned commit."""
    for position, globs in _code_globs(config).items():
        # Without `code`, `sparse` says what is code, and `check_sparse` has looked at it.
        is_written = config.document.node(position) is not None
        for index, glob in enumerate(globs):
            paths = [file.path for file in site.code.files(pin.tree)]
            if any(map(matcher(glob).fullmatch, paths)) or not is_written:
                continue
            message = f"'{glob}' matches nothing in commit {pin.commit[:12]}"
            near = nearest_path(glob, paths)
            hint = "is it committed? git ls-files lists the committed files"
            if near:
                hint = f"did you mean '{near}'?"
            yield config.problem((*position, index), message, hint)


def check_params_file(
    site: Site, pin: Pin, config: LoadedConfig
) -> Iterator[Problem]:
    """Yield a problem if the commit does not have the `paramsFile`, or it cannot be overlaid."""
    name = config.specs[0].params_file
    if name is None:
        return
    position = ("gitorch", "paramsFile")
    files = {file.path: file for file in site.code.files(pin.tree)}
    if name not in files:
        message = f"commit {pin.commit[:12]} does not contain {name}"
        near = nearest_path(name, files)
        hint = (
            f"did you mean '{near}'?"
            if near
            else f"git add {shlex.quote(name)}; git commit"
        )
        yield config.problem(position, message, hint)
    elif not files[name].is_link:
        data = call_git(site.repository.root, "cat-file", "blob", files[name].oid)
        try:
            overlaid(data, name, {})
        except BadParamsFile as error:
            yield config.problem(position, f"{name}: {error}")


def check_sparse(site: Site, pin: Pin, config: LoadedConfig) -> Iterator[Problem]:
    """Yield a problem for each path of `sparse` that is not a directory of the pinned commit."""
    sparse = config.specs[0].sparse
    if not sparse:
        return
    paths = [file.path for file in site.code.files(pin.tree)]
    for index, directory in enumerate(sparse):
        if any(path.startswith(f"{directory}/") for path in paths):
            continue
        if any(
            f.path == directory for f in site.code.files(pin.tree) if f.is_submodule
        ):
            continue
        position = ("gitorch", "sparse", index)
        message = f"there is no directory {directory} in commit {pin.commit[:12]}"
        hint = "git ls-files lists the committed files"
        if directory in paths:
            message = f"{directory} is a file, and sparse names directories"
            hint = "name its directory; the files beside it come with it"
        yield config.problem(position, message, hint)


def check_inputs(inputs: Inputs, config: LoadedConfig) -> Iterator[Problem]:
    """Yield a problem for each input that is missing, here or in the worktree of a run."""
    for position, pattern in _inputs(config).items():
        try:
            found = inputs.find(pattern)
        except Unusable as error:
            yield config.problem(position, error.message, error.hint)
            continue
        outside = [
            name
            for name, location in found.files.items()
            if isinstance(location, CommittedFile)
            and not is_in_cone(location.path, config.specs[0].sparse)
        ]
        if outside:
            message = f"{outside[0]} is outside sparse, so a run's worktree will not have it"
            hint = f"add {posixpath.dirname(outside[0])} to sparse"
            yield config.problem(position, message, hint)
        if found.is_absent:
            message = f"{pattern} is not on this machine; {pattern}{SUFFIX} says which data it is"
            hint = f"dvc pull {shlex.quote(pattern + SUFFIX)}, unless the task fetches it"
            yield config.problem(position, message, hint, Severity.WARNING)
        if found.is_out_of_sight:
            message = (
                f"{pattern} is neither committed nor linked, "
                "so a run's worktree will not have it"
            )
            hint = f"commit it; or {link_line(literal_head(pattern))}"
            yield config.problem(position, message, hint, Severity.WARNING)


def hash_inputs(inputs: Inputs, config: LoadedConfig) -> Iterator[Problem]:
    """Hash the inputs of the config; yield a problem for each input that cannot be read."""
    patterns = _inputs(config)
    inputs.hash(patterns.values())
    for position, pattern in patterns.items():
        try:
            inputs.data(pattern)
        except Unusable as error:
            yield config.problem(position, error.message, error.hint)


def fetch_inputs(
    site: Site, pin: Pin, config: LoadedConfig, notify: Notify
) -> Iterator[Problem]:
    """Fetch the addresses that gitorch is to fetch; yield a problem for each that it cannot."""
    committed = {file.path for file in site.code.files(pin.tree)}
    for index, task in enumerate(config.specs[0].tasks):
        position = _position_of_setting(config, index, "inputs")
        for address in task.addresses:
            if not address.fetch:
                continue
            if address.path in committed:
                message = f"commit {pin.commit[:12]} has {address.path} itself"
                yield config.problem(
                    position, message, "name another path with 'to'"
                )
                continue
            try:
                fetch(site, address, notify)
            except (GitorchError, OSError) as error:
                hint = getattr(error, "hint", None)
                yield config.problem(position, str(error), hint)


def check_resources(
    machine: Resources, config: LoadedConfig, engine: str
) -> Iterator[Problem]:
    """Yield a problem for each task that wants more of a resource than this machine has.

    `engine` executes the tasks that name none. Other engines than `local` have other machines.
    """
    for index, task in enumerate(config.specs[0].tasks):
        if (task.engine or engine) != "local":
            continue
        wanted = task.resources
        for name, wanted_amount, total in (
            ("cpus", wanted.cpus, machine.cpus),
            ("gpus", wanted.gpus, machine.gpus),
            ("memory", wanted.memory_bytes, machine.memory_bytes),
        ):
            if wanted_amount > total:
                message = (
                    f"task {task.id} wants {wanted_amount:g} {name}, "
                    f"and this machine has {total:g}"
                )
                hint = f"ask for less, or say how much there is: git config gitorch.{name} N"
                yield config.problem(("tasks", index), message, hint)


def check_secrets(masking: Masking, config: LoadedConfig) -> Iterator[Problem]:
    """Yield a problem for each value that is a secret, because every value is recorded.

    What may be a secret gives a warning. The problem does not show the value.
    """
    for suspect in find_secrets(config.document.value, masking):
        name = _last_name(suspect.position)
        severity, what = Severity.WARNING, "may be a secret"
        if suspect.is_certain:
            severity, what = Severity.ERROR, "is a secret"
        problem = config.problem(
            suspect.position,
            f"{name} {what} ({suspect.reason}), and the record has all values",
            "leave it out of the config, and let the task read it from its environment; "
            "git config gitorch.secrets allow records such values without a word",
            key=isinstance(suspect.position[-1], str),
        )
        yield replace(problem, excerpt="", severity=severity)


def _last_name(position: KeyPath) -> str:
    """Return the last key of a position: an item of a list has the name of the list."""
    names = [step for step in position if isinstance(step, str)]
    return f"'{names[-1]}'"


def suggest_links(site: Site, config: LoadedConfig) -> Iterator[Problem]:
    """Yield a warning for each parameter that names a git-ignored path.

    The worktree of a run does not contain such a path.
    """
    keys = _keys_of_unlinked_texts(config)
    paths = []
    for text in keys:
        if _is_inside(site.repository.main_root, text):
            paths.append(text)
    if not paths:
        return
    for path in ignored_paths(site.repository, paths):
        yield config.problem(
            config.position_of(keys[path]),
            f"{path} is ignored by git, so a run's worktree will not have it",
            hint=link_line(path),
            severity=Severity.WARNING,
        )


def _code_globs(config: LoadedConfig) -> Mapping[KeyPath, Sequence[str]]:
    """Return the lists of globs of code in a config, by their positions."""
    spec = config.specs[0]
    written = ("gitorch", "code")
    globs: dict[KeyPath, Sequence[str]] = {written: _written(spec, spec.code)}
    for index, task in enumerate(spec.tasks):
        if task.cache and task.cache.code:
            globs[_position_of_setting(config, index, "cache", "code")] = _written(
                spec, task.cache.code
            )
    return globs


def _written(spec: RunSpec, globs: Sequence[str] | None) -> list[str]:
    """Return the globs without those of the lock, which the config does not name."""
    locked = parse_locked(spec.python)
    of_lock = locked.code if locked else ()
    return [glob for glob in globs or () if glob not in of_lock]


def _inputs(config: LoadedConfig) -> dict[KeyPath, str]:
    """Return the patterns of inputs in a config, by their positions.

    A pattern among the file's settings applies to all tasks. It is returned once.
    """
    patterns: dict[KeyPath, str] = {}
    for index, task in enumerate(config.specs[0].tasks):
        position = _position_of_setting(config, index, "inputs")
        patterns |= _with_positions(config, position, task.inputs)
        if task.cache:
            position = _position_of_setting(config, index, "cache", "inputs")
            patterns |= _with_positions(config, position, task.cache.inputs)
    return patterns


def _with_positions(
    config: LoadedConfig, position: KeyPath, items: Iterable[str]
) -> dict[KeyPath, str]:
    """Return the paths and globs of a list by their positions. Addresses may be between them."""
    node = config.document.node(position)
    written = node.value if node is not None else None
    addresses = set()
    if isinstance(written, list):
        for index, entry in enumerate(written):
            if isinstance(entry, Mapping):
                addresses.add(index)
    places = (index for index in count() if index not in addresses)
    return {(*position, next(places)): item for item in items}


def _position_of_setting(config: LoadedConfig, index: int, *path: str) -> KeyPath:
    """Return the position of a task's setting: in the task, or else among the file's settings."""
    own: KeyPath = ("tasks", index, "gitorch", *path)
    return own if config.document.node(own) else ("gitorch", *path)


def _keys_of_unlinked_texts(config: LoadedConfig) -> dict[str, str]:
    """Return the text parameters that are not below a link: each text with its parameter's name.

    If several runs have the same text, the first of these runs determines the name.
    """
    keys: dict[str, str] = {}
    for spec in reversed(config.specs):
        for key, value in spec.params.items():
            if isinstance(value, str) and not _is_linked(value, spec):
                keys[value] = key
    return keys


def _is_linked(path: str, spec: RunSpec) -> bool:
    """Return True if the path is behind a link, or a link is in this directory."""
    below = any(Path(path).is_relative_to(name) for name in spec.link)
    return below or any(Path(name).is_relative_to(path) for name in spec.link)


def _is_inside(root: Path, text: str) -> bool:
    """Return True if the text is the path of something that exists below `root`."""
    if (
        not text
        or text.startswith(("/", "~"))
        or "\0" in text
        or len(text) > _LONGEST_PATH
    ):
        return False
    path = Path(text)
    if path == Path() or ".." in path.parts:
        return False
    try:
        return (root / path).exists()
    except OSError:
        return False
