"""What the queue carries for a run: as much of its record as an attempt needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Data, Record
from gitorch.model.run.spec import RunSpec, given


class Payload(Struct, frozen=True, kw_only=True):
    spec: RunSpec
    pin: Pin
    interpreter: str
    data: tuple[Data, ...] = ()  # what its tasks read, as it was when the run was readied

    @classmethod
    def of(cls, record: Record) -> Payload:
        return cls(
            spec=record.spec, pin=record.pin, interpreter=record.interpreter, data=record.data
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "spec": self.spec.to_json(),
            "pin": self.pin.to_json(),
            "interpreter": self.interpreter,
            **given({"data": [entry.to_json() for entry in self.data]}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Payload:
        return cls(
            spec=RunSpec.from_json(value["spec"]),
            pin=Pin.from_json(value["pin"]),
            interpreter=value["interpreter"],
            data=tuple(map(Data.from_json, value.get("data", ()))),
        )
