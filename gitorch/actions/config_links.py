"""The links that configs ask for, in place of the globs, directories and inputs that they name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from gitorch.config.document import KeyPath
from gitorch.config.pipeline import LoadedConfig
from gitorch.errors import GitorchError
from gitorch.model.problem import Problem
from gitorch.model.run.pin import Pin
from gitorch.model.text.globs import is_glob, matcher
from gitorch.storage.contents import Unusable
from gitorch.storage.links import Links, any_is_above, topmost
from gitorch.storage.site import Site

_LINK: KeyPath = ("gitorch", "link")


def with_links(
    site: Site, pin: Pin, configs: Sequence[LoadedConfig]
) -> tuple[list[LoadedConfig], dict[str, list[Problem]]]:
    """Return the configs with the links that their runs get at a commit.

    Also return the problems with links by config. A config with a problem lacks some links.
    """
    links = Links(site, pin)
    resolved = []
    problems: dict[str, list[Problem]] = {}
    for config in configs:
        spec = config.specs[0]
        if not (spec.link or spec.reads):
            resolved.append(config)
            continue
        named, found = _named_by_config(links, config)
        if found:
            problems[config.file] = found
        for pattern in spec.reads:
            named += _of_input(links, pattern, named)
        link = tuple(topmost(named))
        if set(link) == set(spec.link):
            resolved.append(config)
            continue
        specs = tuple(replace(other, link=link) for other in config.specs)
        resolved.append(replace(config, specs=specs))
    return resolved, problems


def _named_by_config(
    links: Links, config: LoadedConfig
) -> tuple[list[str], list[Problem]]:
    """Return the links for the entries of `link`, and the problems of the entries without any."""
    named: list[str] = []
    problems = []
    for entry in config.specs[0].link:
        try:
            named += links.named_by(entry)
        except GitorchError as error:
            position = position_of_link(config, entry)
            problems.append(config.problem(position, error.message, error.hint))
    return named, problems


def _of_input(links: Links, pattern: str, named: Sequence[str]) -> list[str]:
    """Return the links for an input; none if it cannot be read, which is reported elsewhere."""
    try:
        return links.of_input(pattern, named)
    except (OSError, Unusable, RecursionError):
        return []


def position_of_link(config: LoadedConfig, name: str) -> KeyPath:
    """Return the position of the entry of `link` that a link comes from."""
    node = config.document.node(_LINK)
    entries = node.value if node else ()
    for index, entry in enumerate(entries):
        normal = os.path.normpath(entry)
        if PurePosixPath(name).is_relative_to(normal):
            return (*_LINK, index)
        if is_glob(normal) and matcher(normal).fullmatch(name):
            return (*_LINK, index)
    return _LINK


def make_links(
    site: Site, pin: Pin, tree: Path, configs: Sequence[LoadedConfig]
) -> Mapping[str, list[Problem]]:
    """Make the links of all these configs in one worktree. Return the problems by config.

    Configs whose links lie in each other's directories share the link to the directory.
    """
    failures: dict[str, tuple[str, str | None]] = {}
    sparse = configs[0].specs[0].sparse  # the same in all
    for name in links_of(configs):
        try:
            site.worktrees.materialise(
                pin.commit, tree, link=(name,), sparse=sparse
            )
        except GitorchError as error:
            failures[name] = error.message.removeprefix("link: "), error.hint
        except OSError as error:
            failures[name] = f"{name} cannot be linked: {error.strerror}", None
    return {config.file: list(_problems(config, failures)) for config in configs}


def links_of(configs: Sequence[LoadedConfig]) -> list[str]:
    """Return the links of all these configs, without those that lie behind another."""
    wanted: list[str] = []
    for config in configs:
        wanted += config.specs[0].link
    return topmost(wanted)


def _problems(
    config: LoadedConfig, failures: Mapping[str, tuple[str, str | None]]
) -> Iterator[Problem]:
    for name, (message, hint) in failures.items():
        if any(any_is_above([name], link) for link in config.specs[0].link):
            yield config.problem(position_of_link(config, name), message, hint)
