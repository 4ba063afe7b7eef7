"""One look at a repository, which is passed from check to check, and what the checks find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.database.values import QueuedRun
from gitorch.errors import GitorchError
from gitorch.model.run.record import Record, RecordBroken
from gitorch.model.run.status import LIVE
from gitorch.runs.records import read_records
from gitorch.runs.site import Site

_FIX = "gitorch doctor --fix"


class Finding(Struct, frozen=True, kw_only=True):
    """Something that is wrong, or that was wrong until it was repaired.

    `hint` says how to repair what is not.
    """

    what: str
    message: str
    hint: str | None = None
    fixed: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"what": self.what, "message": self.message, "hint": self.hint, "fixed": self.fixed}


class Checkup:
    """One look at a repository. With `fix`, what can be repaired is."""

    def __init__(self, site: Site, environment: Mapping[str, str], *, fix: bool) -> None:
        self.site = site
        self.environment = environment
        self.fix = fix

    def repairable(self, what: str, message: str, *, repair: Callable[[], object]) -> Finding:
        """Return a finding that `repair` repairs; repair it at once if that is wanted."""
        finding = Finding(what=what, message=message, hint=_FIX)
        if not self.fix:
            return finding
        try:
            repair()
        except GitorchError as error:
            reason = f"{message}; not repaired: {error.message}"
            return replace(finding, message=reason, hint=error.hint)
        except OSError as error:
            return replace(finding, message=f"{message}; not repaired: {error}", hint=None)
        return replace(finding, hint=None, fixed=True)

    @cached_property
    def records(self) -> list[Record]:
        """The sound records of this clone's runs."""
        clone = self.site.repository.clone_id()
        sound = [record for record in self._all_records.values() if isinstance(record, Record)]
        return [record for record in sound if record.clone == clone]

    @cached_property
    def broken_records(self) -> dict[str, str]:
        """By run, why its record cannot be read."""
        broken = {}
        for run_id, record in self._all_records.items():
            if isinstance(record, RecordBroken):
                broken[run_id] = record.reason
        return broken

    def live(self) -> list[Record]:
        """Return the records of this clone's live runs."""
        return [record for record in self.records if record.status in LIVE]

    def queued(self) -> dict[str, QueuedRun]:
        """Return the runs in the queue by id. A queue that does not exist is not created."""
        if not self.site.queue_path.exists():
            return {}
        return {run.id: run for run in self.site.queue.runs()}

    @cached_property
    def _all_records(self) -> dict[str, Record | RecordBroken]:
        tip = self.site.results.tip()
        run_ids = self.site.results.run_ids(tip)
        records = read_records(self.site, run_ids, tip)
        missing = [run_id for run_id in run_ids if run_id not in records]
        return records | {run_id: RecordBroken(run_id, "it is missing") for run_id in missing}


def named(record: Record) -> str:
    return f"{record.label} ({record.id})"
