"""The environments of runs, which the results branch has apart from the records."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gitorch.model.branch_layout import environment_path
from gitorch.model.run.environment import parse_environment
from gitorch.model.run.record import Record
from gitorch.storage.site import Site


def with_environments(site: Site, records: Sequence[Record]) -> list[Record]:
    """Return the records with their environments, as far as these can be read."""
    digests: dict[str, None] = {}
    for record in records:
        if record.environment_sha256 is not None:
            digests[record.environment_sha256] = None
    environments = {}
    texts = site.results.read_all([environment_path(digest) for digest in digests])
    for digest, text in zip(digests, texts, strict=True):
        environment = None if text is None else parse_environment(text, digest)
        if environment is not None:
            environments[digest] = environment
    whole = []
    for record in records:
        environment = environments.get(record.environment_sha256 or "")
        if environment is not None:
            record = replace(record, environment=environment)
        whole.append(record)
    return whole
