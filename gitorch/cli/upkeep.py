"""The results of `collect` and `doctor` as text, one line for each thing."""

from __future__ import annotations

from collections.abc import Iterator

from gitorch.actions.collect import Cleanup
from gitorch.cli.style import in_line
from gitorch.health.checkup import Finding
from gitorch.model.text.phrases import counted


def render_cleanup(cleanup: Cleanup) -> str:
    return "\n".join(_cleanup_lines(cleanup))


def _cleanup_lines(cleanup: Cleanup) -> Iterator[str]:
    for record in cleanup.failed:
        yield f"{record.id}  ERROR -> FAILED  {in_line(record.label)}"
    verb = "would remove" if cleanup.dry_run else "removed"
    for leftover in cleanup.removed:
        yield f"{verb} {in_line(str(leftover.path))}  ({leftover.why})"
    if cleanup.trash and not cleanup.dry_run:
        yield f"emptied the trash, {counted(cleanup.trash, 'directory', 'directories')}"
    before, after = cleanup.packs
    if after < before:
        yield f"packed {counted(before, 'pack')} into {after}"


def render_finding(finding: Finding) -> str:
    if finding.fixed:
        return f"repaired: {in_line(finding.message)}"
    hint = f"; {in_line(finding.hint)}" if finding.hint else ""
    return f"found: {in_line(finding.message)}{hint}"
