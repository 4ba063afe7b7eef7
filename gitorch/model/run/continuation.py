"""The code and the config with which `retry` lets a run continue, if they are not its own."""

from __future__ import annotations

from msgspec import Struct

from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Data
from gitorch.model.run.spec import RunSpec


class OtherCode(Struct, frozen=True, kw_only=True):
    """The commit at which a run continues, with the run's identity and data at this commit."""

    pin: Pin
    identity: str
    data: tuple[Data, ...]
    interpreter: str | None = None  # that of the commit's lock; None: the run's own


class OtherConfig(Struct, frozen=True, kw_only=True):
    """The parts that a run takes from its config as it is now; `changes` names the differences."""

    spec: RunSpec
    interpreter: str
    bases: tuple[str, ...]
    changes: tuple[str, ...]
