"""`gitorch doctor`: find and, with `--fix`, repair problems.

It checks the queue, records, worktrees, pins, locks and large files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gitorch.health import branch, files, moved, run_queue
from gitorch.health.checkup import Checkup, Finding
from gitorch.storage.site import Site

Check = Callable[[Checkup], Iterator[Finding]]

# The checks are in the order in which the later ones need the earlier ones repaired.
OF_THE_BRANCH: tuple[Check, ...] = (branch.check_git_locks, branch.check_branch)
OF_RECORDS: tuple[Check, ...] = (
    branch.check_checkout,
    branch.check_records,
    branch.check_attempts,
    branch.check_environments,
    files.check_pins,
    files.check_large_files,
    run_queue.check_file,
    run_queue.check_origin,
)
OF_THE_QUEUE: tuple[Check, ...] = (
    run_queue.check_workers,
    run_queue.check_agreement,
    moved.check_moved,
    files.check_worktrees,
    files.check_leftovers,
)


class Health(Struct, frozen=True, kw_only=True):
    """The problems that were found."""

    findings: tuple[Finding, ...]

    @property
    def is_well(self) -> bool:
        """Return True if no problem is left to be fixed."""
        return all(finding.fixed for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/doctor/v1",
            "findings": [finding.to_json() for finding in self.findings],
        }


def doctor(
    site: Site, *, environment: Mapping[str, str], fix: bool = False
) -> Health:
    """Check everything. Nothing is changed without `fix`.

    The later checks are skipped if the results branch or the queue, which they read, is broken.
    Raises GitorchError if a check is impossible.
    """
    findings = _run_checks(site, OF_THE_BRANCH, environment, fix=fix)
    if branch.is_readable(site):
        findings += _run_checks(site, OF_RECORDS, environment, fix=fix)
        if run_queue.is_usable(site):
            findings += _run_checks(site, OF_THE_QUEUE, environment, fix=fix)
    return Health(findings=tuple(findings))


def _run_checks(
    site: Site,
    checks: Sequence[Check],
    environment: Mapping[str, str],
    *,
    fix: bool,
) -> list[Finding]:
    """Return the findings of these checks. Each check sees the repairs of the checks before it."""
    findings: list[Finding] = []
    for check in checks:
        findings += check(Checkup(site, environment, fix=fix))
    return findings
