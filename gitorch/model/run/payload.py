"""The payload: the part of a run's record that the queue stores, because attempts need it."""

from __future__ import annotations

from gitorch.model.json_struct import JsonStruct, without_empty
from gitorch.model.run.identity import digest
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

    @property
    def digest(self) -> str:
        """Return a SHA-256, in hex, of everything that decides what the tasks execute.

        The address of the repository is left out. A record has it without its password.
        Fields that are empty are left out, so that a field that a later version adds does not
        change the digests of earlier runs.
        """
        values = without_empty(self.to_json())
        spec = without_empty(values["spec"])
        spec["document"] = {**spec.get("document", {}), "githubRepository": None}
        spec["tasks"] = [without_empty(task) for task in spec["tasks"]]
        return digest({**values, "spec": spec, "pin": self.pin.commit})
