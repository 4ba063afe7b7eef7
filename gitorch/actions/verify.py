"""`gitorch verify` and `rerun --verify`: runs are repeated, and compared with the first of them.

The repetition is an ordinary rerun, which computes everything anew. A program that dies before the
verdict is recorded leaves a complete rerun without one, and `verify` repeats the run again.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.compare import compare_code
from gitorch.actions.evidence import gather_evidence
from gitorch.actions.records import read_records
from gitorch.actions.repeated import first_alike
from gitorch.actions.selection import Selection, select_rows
from gitorch.errors import Refused, UsageError
from gitorch.model.run.compare import compare_records
from gitorch.model.run.labels import VERDICTS_KEPT, RecordedVerdict
from gitorch.model.run.record import Record
from gitorch.model.run.status import Status
from gitorch.model.run.tolerance import Tolerance
from gitorch.model.run.verdict import Verdict, verdict_on
from gitorch.model.table.row import Row
from gitorch.storage.catalog import Catalog
from gitorch.storage.environments import with_environments
from gitorch.storage.recording import recording, repeated_if_runs_change
from gitorch.storage.site import Site
from gitorch.tools.clock import now

_SAMPLE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(%?)")


class Sample(Struct, frozen=True):
    """The number of selected runs to draw: a share of them, or a number; at least one.

    The choice is reproducible: the runs with the smallest SHA-256 of `seed` and id are drawn.
    Runs that are added later do not change the order of the others.
    """

    amount: float
    is_share: bool
    seed: str = ""

    @classmethod
    def parse(cls, text: str, seed: str = "") -> Sample:
        """Return the sample that `5%` or `3` means. Raises UsageError."""
        match = _SAMPLE.fullmatch(text.strip())
        amount = float(match[1]) if match else 0.0
        is_share = bool(match and match[2])
        is_whole = is_share or amount.is_integer()
        if not is_whole or amount <= 0 or (is_share and amount > 100):
            raise UsageError(
                f"--sample {text!r} is neither a share nor a number of runs",
                "gitorch verify --sample 5%, or --sample 3",
            )
        return cls(amount, is_share, seed)

    def drawn(self, rows: Sequence[Row]) -> list[Row]:
        """Return the chosen rows, in their order."""
        count = self.amount
        if self.is_share:
            # Rounded first: 7 % of 100 are 7, although 0.07 * 100 is more than 7.
            count = math.ceil(round(len(rows) * self.amount / 100, 6))
        ids = sorted((row.id for row in rows), key=self._rank)
        chosen = set(ids[: max(1, int(count))])
        return [row for row in rows if row.id in chosen]

    def _rank(self, run_id: str) -> str:
        return hashlib.sha256(f"{self.seed}:{run_id}".encode()).hexdigest()


class Verifiable(Struct, frozen=True, kw_only=True):
    """The runs to repeat, as a selection, and the id and reason of each run that is not."""

    selection: Selection
    count: int
    refused: tuple[tuple[str, str], ...] = ()


def select_verifiable(
    site: Site, selection: Selection, sample: Sample | None = None
) -> Verifiable:
    """Return the selected runs that a repetition can be compared with.

    Of runs selected by properties, those that repeat the same run count once.
    Raises NotFound, UsageError, and Refused if a run that was named cannot be verified.
    """
    catalog = Catalog.of(site)
    if selection.is_empty and sample is not None:
        selection = replace(selection, everything=True)
    chosen: dict[str, Row] = {}
    refused = []
    for row in select_rows(catalog, selection, "verify"):
        first = first_alike(catalog, row.id)
        reason = _refusal(row, first)
        if reason is None:
            # Newest first: of several, the oldest stays.
            chosen[row.id if selection.is_named else first.id] = row
            continue
        if selection.is_named:
            raise Refused(
                f"{reason}; there is nothing to compare a repetition with",
                f"gitorch rerun {row.id} repeats it without a comparison",
            )
        refused.append((row.id, reason))
    rows = list(chosen.values())
    if sample is not None and rows:
        rows = sample.drawn(rows)
    ids = [row.id for row in rows]
    if selection.is_named:
        selection = replace(selection, references=ids)
    else:
        selection = replace(selection, among=frozenset(ids))
    return Verifiable(selection=selection, count=len(ids), refused=tuple(refused))


def _refusal(row: Row, first: Row) -> str | None:
    """Return why a repetition of the run cannot be compared, None if it can."""
    if first.status is Status.COMPLETE:
        return None
    if first.id == row.id:
        return f"{row.label} ({row.id}) is {row.status}, not COMPLETE"
    return (
        f"{row.label} ({row.id}) repeats {first.id}, which is {first.status}, "
        "not COMPLETE"
    )


def verify(site: Site, rerun_id: str, tolerance: Tolerance) -> Verdict:
    """Compare a COMPLETE rerun with the first run that it repeats. Raises NotFound."""
    catalog = Catalog.of(site)
    first = first_alike(catalog, rerun_id)
    found = read_records(site, catalog, [first.id, rerun_id])
    original, repetition = with_environments(site, found)
    records = (original, repetition)
    comparison = compare_records(records, compare_code(site, records))
    evidence = gather_evidence(site, records, comparison, tolerance)
    return verdict_on(original, repetition, comparison, evidence, tolerance)


@repeated_if_runs_change
def record_verdicts(site: Site, verdicts: Sequence[Verdict]) -> None:
    """Commit the verdicts to the records of the repetitions and of the runs that they repeat.

    A run that was removed meanwhile gets no verdict.
    """
    if not verdicts:
        return
    at = now()
    by = site.repository.signature().name
    with recording(site) as changes:
        for verdict in verdicts:
            recorded = RecordedVerdict(
                id=verdict.id,
                of=verdict.of,
                verdict=str(verdict.kind),
                at=at,
                by=by,
                differs=len(verdict.differs),
                also=tuple(cause.kind for cause in verdict.causes),
            )
            for run_id in (verdict.of, verdict.id):
                record = changes.record(run_id)
                if record is not None:
                    changes.put(_with_verdict(record, recorded))
        changes.commit(_subject(verdicts))


def _with_verdict(record: Record, verdict: RecordedVerdict) -> Record:
    verdicts = (*record.verdicts, verdict)
    return replace(record, verdicts=verdicts[-VERDICTS_KEPT:])


def _subject(verdicts: Sequence[Verdict]) -> str:
    """Return the subject of the commit that records the verdicts."""
    if len(verdicts) == 1:
        [verdict] = verdicts
        return f"verify: {verdict.id} repeats {verdict.of}, {verdict.kind}"
    reproduced = sum(verdict.is_reproduced for verdict in verdicts)
    return f"verify: {reproduced} of {len(verdicts)} runs reproduced"
