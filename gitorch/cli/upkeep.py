"""The results of `collect` and `doctor` as text, one line for each thing."""

from __future__ import annotations

from collections.abc import Iterator

from gitorch.actions.collect import Cleanup
from gitorch.cli.style import plain
from gitorch.health.checkup import Finding
from gitorch.model.text.phrases import counted


def render_cleanup(cleanup: Cleanup) -> str:
    return "\n".join(_cleanup_lines(cleanup))


def _cleanup_lines(cleanup: Cleanup) -> Iterator[str]:
    for record in cleanup.failed:
        yield f"{record.id}  ERROR -> FAILED  {plain(record.label)}"
    verb = "would remove" if cleanup.dry_run else "removed"
    for leftover in cleanup.removed:
        yield f"{verb} {plain(str(leftover.path))}  ({leftover.why})"
    if cleanup.trash and not cleanup.dry_run:
        yield f"emptied the trash, {counted(cleanup.trash, 'directory', 'directories')}"
    before, after = cleanup.packs
    if after < before:
        yield f"packed {counted(before, 'pack')} into {after}"


def render_finding(finding: Finding) -> str:
    if finding.fixed:
        return f"repaired: {plain(finding.message)}"
    hint = f"; {plain(finding.hint)}" if finding.hint else ""
    return f"found: {plain(finding.message)}{hint}"
