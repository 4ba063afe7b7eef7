"""The state of a repository, which all checks of `gitorch doctor` share, and their findings."""

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
from gitorch.storage import ledger
from gitorch.storage.records import read_records
from gitorch.storage.site import Site

_FIX = "gitorch doctor --fix"


class Finding(Struct, frozen=True, kw_only=True):
    """A problem that a check found. `hint` says how to repair it, unless it has been repaired."""

    what: str
    message: str
    hint: str | None = None
    fixed: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "message": self.message,
            "hint": self.hint,
            "fixed": self.fixed,
        }


class Checkup:
    """The state of a repository. With `fix`, problems that can be repaired are repaired."""

    def __init__(
        self, site: Site, environment: Mapping[str, str], *, fix: bool
    ) -> None:
        self.site = site
        self.environment = environment
        self.fix = fix

    def repairable(
        self, what: str, message: str, *, repair: Callable[[], object]
    ) -> Finding:
        """Return the finding of a problem that `repair` can repair. With `fix`, call `repair`."""
        finding = Finding(what=what, message=message, hint=_FIX)
        if not self.fix:
            return finding
        try:
            repair()
        except GitorchError as error:
            reason = f"{message}; not repaired: {error.message}"
            return replace(finding, message=reason, hint=error.hint)
        except OSError as error:
            return replace(
                finding, message=f"{message}; not repaired: {error}", hint=None
            )
        return replace(finding, hint=None, fixed=True)

    @cached_property
    def records(self) -> list[Record]:
        """The sound records of this clone's runs."""
        clone = self.site.repository.clone_id()
        return [record for record in self.sound_records if record.clone == clone]

    @property
    def sound_records(self) -> list[Record]:
        """The sound records of the runs of all clones."""
        records = self._all_records.values()
        return [record for record in records if isinstance(record, Record)]

    @cached_property
    def broken_records(self) -> dict[str, RecordBroken]:
        """The records that cannot be read, by run id."""
        broken = {}
        for run_id, record in self._all_records.items():
            if isinstance(record, RecordBroken):
                broken[run_id] = record
        return broken

    def live(self) -> list[Record]:
        """Return the records of the live runs that this clone has queued."""
        return [record for record in self._live if record.id in self._queued_here]

    def not_queued_here(self) -> list[Record]:
        """Return the live records that bear this clone's id, but were not queued by it."""
        return [
            record for record in self._live if record.id not in self._queued_here
        ]

    def queued(self) -> dict[str, QueuedRun]:
        """Return the runs in the queue by id. A queue that does not exist is not created."""
        if not self.site.queue_path.exists():
            return {}
        return {run.id: run for run in self.site.queue.runs()}

    @cached_property
    def _live(self) -> list[Record]:
        return [record for record in self.records if record.status in LIVE]

    @cached_property
    def _queued_here(self) -> set[str]:
        return ledger.queued_here(self.site, self._live)

    @cached_property
    def _all_records(self) -> dict[str, Record | RecordBroken]:
        return read_records(self.site)


def named(record: Record) -> str:
    return f"{record.label} ({record.id})"
