"""The commit that a run executes, and how it was chosen."""

from __future__ import annotations

from enum import StrEnum

from msgspec.structs import force_setattr

from gitorch.model.json_struct import JsonStruct, always


class Origin(StrEnum):
    """How the commit was chosen."""

    HEAD = "head"  # HEAD, without uncommitted changes
    REVISION = "revision"  # a commit that `--at` names
    SNAPSHOT = "snapshot"  # a commit made of the working tree
    UNSAFE = "unsafe"  # HEAD; the uncommitted changes are not part of the run


class Pin(JsonStruct, frozen=True, kw_only=True):
    """The commit and the tree of a run, as full hex oids.

    `snapshot` follows from `origin`. It is repeated for readers of the JSON.
    """

    commit: str
    tree: str
    snapshot: bool = always(False)
    origin: Origin = always(Origin.HEAD)

    def __post_init__(self) -> None:
        force_setattr(self, "snapshot", self.origin is Origin.SNAPSHOT)
