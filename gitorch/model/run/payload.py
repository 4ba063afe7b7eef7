"""The payload: the part of a run's record that the queue stores, because attempts need it."""

from __future__ import annotations

from gitorch.model.json_struct import JsonStruct
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Data, Record
from gitorch.model.run.spec import RunSpec


class Payload(JsonStruct, frozen=True, kw_only=True):
    """The part of a record that an attempt needs. `data` is the state of the inputs at `ready`."""

    spec: RunSpec
    pin: Pin
    interpreter: str
    data: tuple[Data, ...] = ()

    @classmethod
    def of(cls, record: Record) -> Payload:
        return cls(
            spec=record.spec,
            pin=record.pin,
            interpreter=record.interpreter,
            data=record.data,
        )
