"""The commit a run executes, and how it was chosen."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct


class Origin(StrEnum):
    HEAD = "head"  # HEAD, nothing uncommitted
    REVISION = "revision"  # named with --at
    SNAPSHOT = "snapshot"  # a commit made of the working tree
    UNSAFE = "unsafe"  # HEAD, in spite of uncommitted changes that are not in the run


class Pin(Struct, frozen=True, kw_only=True):
    """`commit` and `tree` are full hex oids."""

    commit: str
    tree: str
    origin: Origin = Origin.HEAD

    def to_json(self) -> dict[str, Any]:
        return {
            "commit": self.commit,
            "tree": self.tree,
            "snapshot": self.origin is Origin.SNAPSHOT,
            "origin": str(self.origin),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Pin:
        return cls(commit=value["commit"], tree=value["tree"], origin=Origin(value["origin"]))
