"""The decision which of the runs that configs describe are new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct

from gitorch.actions.validate import Validated
from gitorch.config.pipeline import LoadedConfig
from gitorch.model.run.identity import run_identity
from gitorch.model.run.pin import Pin
from gitorch.model.run.shell import with_shell
from gitorch.model.run.status import Status
from gitorch.storage.new_record import Creation, RunDefinition
from gitorch.storage.site import Site


class Candidate(Struct, frozen=True, kw_only=True):
    """A run that a config describes. It is queued if no run with its identity exists."""

    definition: RunDefinition
    config: LoadedConfig


class New(Struct, frozen=True, kw_only=True):
    """The candidate becomes a new run."""

    candidate: Candidate
    creation: Creation


class SameAs(Struct, frozen=True, kw_only=True):
    """The candidate is equal to an earlier candidate, which becomes the new run `run_id`."""

    candidate: Candidate
    run_id: str


class AlreadyThere(Struct, frozen=True, kw_only=True):
    """A run with the candidate's identity exists."""

    candidate: Candidate
    run_id: str
    status: Status


Decision = New | SameAs | AlreadyThere


class Plan(Struct, frozen=True):
    """The decision about each candidate, in the order of the configs."""

    decisions: tuple[Decision, ...]

    @classmethod
    def of(
        cls,
        candidates: Sequence[Candidate],
        creations: Sequence[Creation],
        existing: Mapping[str, tuple[str, Status]],
    ) -> Plan:
        """Decide which of the candidates are new.

        `existing` maps the identities of existing runs to their ids and statuses. There is one
        creation for each candidate, which is used if the candidate is new.
        """
        decisions: list[Decision] = []
        new_run_ids: dict[str, str] = {}  # by identity
        for candidate, creation in zip(candidates, creations, strict=True):
            identity = candidate.definition.identity
            if identity in existing:
                run_id, status = existing[identity]
                decisions.append(
                    AlreadyThere(candidate=candidate, run_id=run_id, status=status)
                )
            elif identity in new_run_ids:
                decisions.append(
                    SameAs(candidate=candidate, run_id=new_run_ids[identity])
                )
            else:
                new_run_ids[identity] = creation.id
                decisions.append(New(candidate=candidate, creation=creation))
        return cls(tuple(decisions))

    @classmethod
    def of_new_runs(
        cls, candidates: Sequence[Candidate], creations: Sequence[Creation]
    ) -> Plan:
        """Return the plan of `ready --again`, in which every candidate becomes a new run."""
        pairs = zip(candidates, creations, strict=True)
        return cls(
            tuple(
                New(candidate=candidate, creation=new) for candidate, new in pairs
            )
        )

    @property
    def new(self) -> list[New]:
        return [
            decision for decision in self.decisions if isinstance(decision, New)
        ]


def find_candidates(
    site: Site, validated: Validated, pin: Pin, shell: tuple[str, ...]
) -> list[Candidate]:
    """Return the runs that the valid configs describe, in the order of the configs.

    `shell` is the shell of the commands for which the config names none.
    """
    root = site.repository.root
    resolved = cache(Path.resolve)  # most configs are in the same directory
    candidates = []
    for config in validated.valid:
        # The path that was given in a subdirectory begins with `..`.
        file = Path(config.file)
        source = _relative_to_root(resolved(file.parent) / file.name, root)
        bases = tuple(_relative_to_root(base.path, root) for base in config.bases)
        code = site.code.of(pin.tree, config.specs[0].code, frozenset(bases))
        for spec in config.specs:
            data = validated.inputs[spec.link].data_of(spec)
            definition = RunDefinition(
                spec=with_shell(spec, shell),
                source=source,
                pin=pin,
                identity=run_identity(spec, code, data),
                interpreter=validated.interpreters[spec.python],
                data=data,
                overrides=config.overrides,
                bases=bases,
            )
            candidates.append(Candidate(definition=definition, config=config))
    return candidates


def _relative_to_root(path: Path, root: Path) -> str:
    """Return the path relative to the root of the repository, or as it is if it lies outside."""
    if path.is_relative_to(root):
        path = path.relative_to(root)
    return str(path)
