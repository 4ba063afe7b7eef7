"""`gitorch env`: the environment that a run had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from gitorch.actions.records import find_record
from gitorch.errors import NotFound
from gitorch.model.branch_layout import environment_path
from gitorch.storage.environments import with_environments
from gitorch.storage.site import Site


class RunEnvironment(Struct, frozen=True, kw_only=True):
    """The recorded environment of a run."""

    id: str
    label: str
    interpreter: str  # the path of the Python that ran
    hosts: Sequence[str]
    environment: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/env/v1",
            "id": self.id,
            "hosts": self.hosts,
            "environment": self.environment,
        }


def env(site: Site, reference: str) -> RunEnvironment:
    """Return the environment of the run that `reference` means.

    Raises UsageError, and NotFound if there is no such run, or if its environment is not known.
    """
    [record] = with_environments(site, [find_record(site, reference)])
    environment = record.environment
    if not environment and record.environment_sha256 is not None:
        path = environment_path(record.environment_sha256)
        raise NotFound(
            f"the environment of {record.id} cannot be read: {path}",
            f"git log {site.results.name} -- {path} shows earlier ones",
        )
    if not environment:
        raise NotFound(
            f"no environment is recorded for {record.label} ({record.id})",
            "it is recorded when a task of the run ends: gitorch run",
        )
    return RunEnvironment(
        id=record.id,
        label=record.label,
        interpreter=str(environment.get("interpreter", record.interpreter)),
        hosts=record.hosts,
        environment=environment,
    )
