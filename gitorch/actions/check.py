"""`gitorch check`: what `ready` would say of configs; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gitorch.actions.pinning import preview_pin
from gitorch.actions.validate import Validated, validate
from gitorch.runs.site import Site


def check(
    site: Site,
    paths: Sequence[Path],
    *,
    environment: Mapping[str, str],
    overrides: Sequence[str] = (),
) -> Validated:
    """Validate the configs at `paths` against HEAD, whatever is uncommitted. Raises NotFound, Refused (no commit)."""
    site.repository.require_commit()
    return validate(
        site,
        paths,
        environment=environment,
        choose_pin=lambda configs: preview_pin(site, configs),
        hashes_inputs=False,
        overrides=overrides,
    )
