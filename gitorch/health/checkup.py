"""One look at everything: what is found, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.database.values import QueuedRun
from gitorch.errors import GitorchError
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.record import Record, RecordBroken
from gitorch.model.run.status import LIVE
from gitorch.runs.site import Site

_FIX = "gitorch doctor --fix"


class Finding(Struct, frozen=True, kw_only=True):
    """Something that is not as it should be, or was not until it was mended. `hint`: what to do, where it is not."""

    what: str
    message: str
    hint: str | None = None
    fixed: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"what": self.what, "message": self.message, "hint": self.hint, "fixed": self.fixed}


class Checkup:
    """Passed from check to check; `fix`: what is found is to be mended."""

    def __init__(self, site: Site, environment: Mapping[str, str], *, fix: bool) -> None:
        self.site = site
        self.environment = environment
        self.fix = fix

    def found(self, what: str, message: str, *, mend: Callable[[], object]) -> Finding:
        """What can be mended; it is, if it is to be."""
        finding = Finding(what=what, message=message, hint=_FIX)
        if not self.fix:
            return finding
        try:
            mend()
        except GitorchError as error:
            return replace(
                finding, message=f"{message}; not mended: {error.message}", hint=error.hint
            )
        except OSError as error:
            return replace(finding, message=f"{message}; not mended: {error}", hint=None)
        return replace(finding, hint=None, fixed=True)

    @cached_property
    def records(self) -> list[Record]:
        """Return the records of this clone's runs that can be read."""
        clone = self.site.repository.clone_id()
        records = [found for found in self._read.values() if isinstance(found, Record)]
        return [record for record in records if record.clone == clone]

    @cached_property
    def unreadable(self) -> dict[str, str]:
        """Return by run id why a record cannot be read."""
        return {run_id: found for run_id, found in self._read.items() if isinstance(found, str)}

    def live(self) -> list[Record]:
        return [record for record in self.records if record.status in LIVE]

    def queued(self) -> dict[str, QueuedRun]:
        """By id; looking makes no queue where there is none."""
        return (
            {run.id: run for run in self.site.queue.runs()} if self.site.queue_path.exists() else {}
        )

    @cached_property
    def _read(self) -> dict[str, Record | str]:
        results = self.site.results
        tip = results.tip()
        runs = results.run_ids(tip)
        data = results.read_all([RunPaths.of(run).record for run in runs], tip)
        return {run: _parsed(found) for run, found in zip(runs, data, strict=True)}


def _parsed(data: bytes | None) -> Record | str:
    """Return the record, or why it cannot be read."""
    try:
        return Record.from_json(json.loads(data or b""))
    except RecordBroken as error:
        return error.reason
    except ValueError as error:
        return str(error)


def named(record: Record) -> str:
    return f"{record.label} ({record.id})"
