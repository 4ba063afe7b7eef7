"""`gitorch checkout-run`: a worktree at a run's commit, with its config, logs and outputs in it."""

from __future__ import annotations

import posixpath
from pathlib import Path

from gitorch.actions.records import find_record
from gitorch.git import pins
from gitorch.git.checkout import checkout_run as make_checkout
from gitorch.git.store import artifacts
from gitorch.model.branch_layout import CONFIG, LOG, RunPaths
from gitorch.model.run.record import Record
from gitorch.runs.site import Site


def checkout_run(site: Site, reference: str, directory: Path | None = None) -> tuple[Record, Path]:
    """Give the worktree's path; a second call gives the same, untouched.

    In `run-<id>/` are `config.yaml`, `outputs/` and `logs/<task>/<attempt>.txt`, large files included, and of a run
    whose tasks ran at several commits `commits.txt`: the worktree is at the newest.
    Raises NotFound (also where a large file is not in this clone), Refused where something is in the way, and where the
    run has gone on at another commit since it was checked out.
    """
    record = find_record(site, reference)
    pins.require(site.repository, record.pin.commit)
    path = (directory or site.workspace / "checkouts" / record.id).absolute()
    make_checkout(
        site.repository,
        site.worktrees,
        record.id,
        record.pin.commit,
        path,
        lambda kept: _fill(site, record, kept),
        link=record.spec.link,
    )
    return record, path


_SEVERAL = """\
The tasks of this run ran at several commits, and this worktree is at the newest of them. For a worktree at another:
git worktree add --detach DIRECTORY COMMIT

"""


def _write_config(site: Site, record: Record, directory: Path) -> None:
    """The config as it was; what it extends is in `bases/`, and is named there, so that it can be readied again."""
    from gitorch.config.extending import with_bases_at  # noqa: PLC0415  with YAML: 60 ms

    files = {record.source: CONFIG, **record.base_files}
    found = site.results.read_all([RunPaths.of(record.id).file(name) for name in files.values()])
    for (path, name), data in zip(files.items(), found, strict=True):

        def place_of(written: str, path: str = path, name: str = name) -> str | None:
            kept = record.base_files.get(
                posixpath.normpath(posixpath.join(posixpath.dirname(path), written))
            )
            return kept and posixpath.relpath(kept, posixpath.dirname(name) or ".")

        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(
            with_bases_at(data or b"", place_of) if record.bases else data or b""
        )


def _fill(site: Site, record: Record, directory: Path) -> None:
    paths = RunPaths.of(record.id)
    _write_config(site, record, directory)
    if record.several_pins:
        lines = [f"{task.pin.commit}  {task.id}\n" for task in record.tasks]
        (directory / "commits.txt").write_text(_SEVERAL + "".join(lines))
    (directory / "outputs").mkdir()
    stored = site.results.read_all([paths.output(output.path) for output in record.outputs])
    for output, data in zip(record.outputs, stored, strict=True):
        artifacts.restore(site.repository, output, data, directory / "outputs")
    (directory / "logs").mkdir()
    for path in site.results.files(paths.tasks):
        task, attempt, name = path.removeprefix(f"{paths.tasks}/").split("/", 2)
        data = site.results.read(path) if name == LOG else None
        if data is not None:
            target = directory / "logs" / task / f"{attempt}.txt"
            target.parent.mkdir(exist_ok=True)
            with artifacts.open_kept(site.repository, data) as log, target.open("wb") as copy:
                copy.writelines(iter(lambda: log.read(1 << 20), b""))
