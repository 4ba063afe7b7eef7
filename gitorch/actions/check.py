"""`gitorch check`: the problems that `ready` would report, without changing anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gitorch.actions.configs import load_configs, readable_configs
from gitorch.actions.pinning import preview_pin
from gitorch.actions.validate import Validated, validate
from gitorch.storage.site import Site


def check(
    site: Site,
    paths: Sequence[Path],
    *,
    environment: Mapping[str, str],
    overrides: Sequence[str] = (),
) -> Validated:
    """Validate the configs at `paths` against HEAD, without uncommitted changes.

    Raises NotFound. Raises Refused if there is no commit.
    """
    site.repository.require_commit()
    configs = load_configs(site, paths, overrides)
    if not readable_configs(configs):
        return Validated.by_text(configs)
    pin = preview_pin(site, configs)
    return validate(
        site, configs, pin, environment=environment, hashes_inputs=False
    )
