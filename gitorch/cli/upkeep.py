"""What `collect` and `doctor` did, one line each."""

from __future__ import annotations

from collections.abc import Iterator

from gitorch.actions.collect import Cleanup
from gitorch.cli.style import plain
from gitorch.health.checkup import Finding
from gitorch.model.text.phrases import counted


def render_collected(done: Cleanup) -> str:
    return "\n".join(_lines_of(done))


def _lines_of(done: Cleanup) -> Iterator[str]:
    for record in done.failed:
        yield f"{record.id}  ERROR -> FAILED  {plain(record.label)}"
    verb = "would remove" if done.dry_run else "removed"
    for left in done.removed:
        yield f"{verb} {plain(str(left.path))}  ({left.why})"
    if done.trash and not done.dry_run:
        yield f"emptied the trash, {counted(done.trash, 'directory', 'directories')}"
    before, after = done.packs
    if after < before:
        yield f"packed {counted(before, 'pack')} into {after}"


def render_finding(finding: Finding) -> str:
    if finding.fixed:
        return f"mended: {plain(finding.message)}"
    return f"found: {plain(finding.message)}" + (f"; {plain(finding.hint)}" if finding.hint else "")
