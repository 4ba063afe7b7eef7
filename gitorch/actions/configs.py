"""The configs that `check` and `ready` read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gitorch.config.discovery import find_configs, is_config, read_config
from gitorch.config.pipeline import ConfigContext, LoadedConfig, load_config
from gitorch.errors import NotFound
from gitorch.model.problem import has_errors
from gitorch.storage.site import Site
from gitorch.tools.files import resolved

DEFAULT_PATH = "experiments"


def load_configs(
    site: Site, paths: Sequence[Path], overrides: Sequence[str] = ()
) -> tuple[LoadedConfig, ...]:
    """Return the configs at `paths`, each once. The default is the repository's `experiments/`.

    `overrides` (`-S`) are applied to each config. A file without tasks that other configs extend is
    not a config, unless it is named itself.
    Raises NotFound if there is no config.
    """
    repository = site.repository
    context = ConfigContext(
        root=repository.root,
        remotes=repository.remotes(),
        sweep_limit=repository.settings.sweep_limit,
        python=repository.settings.python,
    )
    loaded: dict[Path, LoadedConfig] = {}  # by resolved path
    for path in paths or [_default_path(repository.root)]:
        for file in find_configs(path):
            real = resolved(file)
            if real not in loaded:
                loaded[real] = load_config(
                    read_config(file),
                    file=str(file),
                    context=context,
                    overrides=overrides,
                )
    bases: set[Path] = set()
    for config in loaded.values():
        bases.update(resolved(base.path) for base in config.bases)
    bases.difference_update(resolved(path) for path in paths)
    configs = []
    for real, config in loaded.items():
        if real not in bases or is_config(config.source):
            configs.append(config)
    return tuple(configs)


def readable_configs(configs: Sequence[LoadedConfig]) -> list[LoadedConfig]:
    """Return the configs whose text has no errors, so that their runs can be examined."""
    return [
        config
        for config in configs
        if config.specs and not has_errors(config.problems)
    ]


def _default_path(root: Path) -> Path:
    path = root / DEFAULT_PATH
    if not path.is_dir():
        raise NotFound(
            f"there is no {DEFAULT_PATH}/ in {root}",
            hint="name a config, or create a first one: gitorch init",
        )
    return Path(os.path.relpath(path))
