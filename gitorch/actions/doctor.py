"""`gitorch doctor`: what is wrong with queue, records, worktrees, pins, locks and large files; `--fix` mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gitorch.health import branch, files, run_queue
from gitorch.health.checkup import Checkup, Finding
from gitorch.runs.site import Site

Check = Callable[[Checkup], Iterator[Finding]]

# In the order in which one needs the other mended.
OF_THE_BRANCH: tuple[Check, ...] = (branch.check_git_locks, branch.check_branch)
OF_RECORDS: tuple[Check, ...] = (
    branch.check_checkout,
    branch.check_records,
    files.check_pins,
    files.check_large_files,
    run_queue.check_file,
)
OF_THE_QUEUE: tuple[Check, ...] = (
    run_queue.check_workers,
    run_queue.check_agreement,
    files.check_worktrees,
    files.check_leftovers,
)


class Health(Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing is left to be mended."""
        return all(finding.fixed for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/doctor/v1",
            "findings": [finding.to_json() for finding in self.findings],
        }


def doctor(site: Site, *, environment: Mapping[str, str], fix: bool = False) -> Health:
    """Look at everything; nothing is changed unless `fix`. Raises GitorchError where it cannot be looked at."""
    findings = _made(site, OF_THE_BRANCH, environment, fix=fix)
    if branch.is_readable(site):
        findings += _made(site, OF_RECORDS, environment, fix=fix)
        if run_queue.is_usable(site):
            findings += _made(site, OF_THE_QUEUE, environment, fix=fix)
    return Health(findings=tuple(findings))


def _made(
    site: Site, checks: Sequence[Check], environment: Mapping[str, str], *, fix: bool
) -> list[Finding]:
    """What these checks find; each sees what those before it have mended."""
    return [finding for check in checks for finding in check(Checkup(site, environment, fix=fix))]
