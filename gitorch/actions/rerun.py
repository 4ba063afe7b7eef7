"""`gitorch rerun`: repeat runs, with the same pin, config and parameters, as new runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.environment_check import Restart, check_environments
from gitorch.actions.records import read_records
from gitorch.actions.rerun_changes import changed_definitions
from gitorch.actions.selection import Selection, select_rows
from gitorch.git import pins
from gitorch.model.branch_layout import CONFIG, RunPaths
from gitorch.model.json_struct import without_empty
from gitorch.model.run.identity import run_identity
from gitorch.model.run.locked_python import is_locked
from gitorch.model.run.record import Record
from gitorch.model.table.row import Row
from gitorch.model.text.phrases import some
from gitorch.storage import ledger
from gitorch.storage.catalog import Catalog
from gitorch.storage.interpreters import find_interpreter
from gitorch.storage.new_record import RunDefinition, new_creations, new_record
from gitorch.storage.recording import catch_up, queue_records
from gitorch.storage.site import Site

_NAMED = 10  # runs in the subject of a commit


class Rerun(Struct, frozen=True, kw_only=True):
    """The new runs, and the runs that could not be repeated."""

    runs: tuple[Record, ...]
    notes: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()  # id and reason

    def to_json(self) -> dict[str, Any]:
        runs = [
            {"id": record.id, "rerun_of": record.rerun_of} for record in self.runs
        ]
        refused = [{"id": run_id, "why": why} for run_id, why in self.refused]
        return {
            "schema": "gitorch/rerun/v1",
            "runs": runs,
            "refused": refused,
            **without_empty({"notes": list(self.notes)}),
        }


class _Repetition(NamedTuple):
    """A run to repeat, what the new run does, and the files of its config."""

    original: Record
    definition: RunDefinition
    files: dict[str, bytes]

    @property
    def restart(self) -> Restart:
        spec, python = self.definition.spec, self.definition.interpreter
        return Restart(self.original, spec, python, self.original.pin)


def rerun(
    site: Site,
    selection: Selection,
    *,
    environment: Mapping[str, str],
    as_recorded: bool = False,
    strict: bool = False,
    overrides: Sequence[str] = (),
    why: str | None = None,
) -> Rerun:
    """Queue the selected runs again. Runs selected by properties are queued oldest first.

    With `overrides` (`-S`), they are queued with these parameters, once for each point of a sweep.

    A run that another clone has queued is repeated with this clone's interpreter and without the
    variables that its config sets, except with `as_recorded`.
    The notes say how the environment differs from the recorded one. With `strict`, Refused is
    raised if it does.
    Raises UsageError, and NotFound if a named run, or the commit that it is pinned to, is not in
    this clone.
    """
    catch_up(site)
    catalog = Catalog.of(site)
    rows, refused = _repeatable_rows(site, catalog, selection)
    if not rows:
        return Rerun(runs=(), refused=refused)
    originals = read_records(site, catalog, [row.id for row in rows])
    for commit in {original.pin.commit for original in originals}:
        pins.require(site.repository, commit)
    own = ledger.queued_here(site, originals)
    foreign = [original for original in originals if original.id not in own]
    adapted = () if as_recorded else foreign
    repetitions, notes = _repetitions(
        site, originals, adapted, environment, overrides
    )
    restarts = [repetition.restart for repetition in repetitions]
    notes += check_environments(site, restarts, environment, strict=strict)
    records = _queue(site, repetitions, why)
    repeated = [repetition.original for repetition in repetitions]
    notes = [*dict.fromkeys(notes), *_notes_on_pins(repeated, records)]
    notes += _notes_on_origin(site, foreign, as_recorded=as_recorded)
    return Rerun(runs=tuple(records), notes=tuple(notes), refused=refused)


def _repetitions(
    site: Site,
    originals: Sequence[Record],
    adapted: Sequence[Record],
    environment: Mapping[str, str],
    overrides: Sequence[str],
) -> tuple[list[_Repetition], list[str]]:
    """Return the runs to make of each original, and notes.

    Those in `adapted` get the interpreter and the variables of this clone.
    """
    repetitions: list[_Repetition] = []
    notes: list[str] = []
    for original, files in zip(
        originals, _config_files(site, originals), strict=True
    ):
        if original in adapted:
            definition = own_definition(site, original, environment)
        else:
            definition = _with_environment(site, original, environment)
        definitions, found = changed_definitions(site, definition, overrides)
        notes += found
        for definition in definitions:
            repetitions.append(_Repetition(original, definition, files))
    return repetitions, notes


def _with_environment(
    site: Site, original: Record, environment: Mapping[str, str]
) -> RunDefinition:
    """Return the definition of a run. The environment of its lock is built if it is gone."""
    definition = RunDefinition.of(original)
    if not is_locked(definition.spec.python):
        return definition
    interpreter = find_interpreter(
        site,
        definition.spec.python,
        definition.pin,
        environment,
        recorded=definition.interpreter,
    )
    return replace(definition, interpreter=interpreter.executable)


def _queue(
    site: Site, repetitions: Sequence[_Repetition], why: str | None
) -> list[Record]:
    """Queue the new runs, and return their records."""
    records = []
    creations = new_creations(site, len(repetitions))
    for repetition, creation in zip(repetitions, creations, strict=True):
        record = new_record(
            repetition.definition,
            creation,
            rerun_of=repetition.original.id,
            why=why,
        )
        records.append(record)
    files = [repetition.files for repetition in repetitions]
    queue_records(site, records, files, _subject(records))
    return records


def _subject(records: Sequence[Record]) -> str:
    """Return the subject of the commit that records the new runs."""
    names = [
        f"{record.name} {record.id} of {record.rerun_of}" for record in records
    ]
    return f"rerun: {some(names, _NAMED)}"


class _Repeatable(NamedTuple):
    rows: list[Row]
    refused: tuple[tuple[str, str], ...]


def _repeatable_rows(
    site: Site, catalog: Catalog, selection: Selection
) -> _Repeatable:
    """Return the selected runs whose commits are in this clone, and refuse the others.

    Runs that were named are all returned.
    """
    rows = select_rows(catalog, selection, "rerun")
    if selection.is_named:
        return _Repeatable(rows, ())
    commits_here = pins.present_commits(
        site.repository, {row.commit for row in rows}
    )
    repeatable = []
    refused = []
    for row in rows:
        if row.commit in commits_here:
            repeatable.append(row)
        else:
            refused.append((row.id, f"{row.commit} is not in this clone"))
    repeatable.reverse()
    return _Repeatable(repeatable, tuple(refused))


def _config_files(site: Site, records: Sequence[Record]) -> list[dict[str, bytes]]:
    """Return the config of each run and its bases, by their names beside the record."""
    paths = []
    for record in records:
        for name in _config_names(record):
            paths.append(RunPaths.of(record.id).file(name))
    stored = dict(zip(paths, site.results.read_all(paths), strict=True))
    files = []
    for record in records:
        run_paths = RunPaths.of(record.id)
        names = _config_names(record)
        files.append({name: stored[run_paths.file(name)] or b"" for name in names})
    return files


def _config_names(record: Record) -> list[str]:
    return [CONFIG, *record.base_files.values()]


def own_definition(
    site: Site, record: Record, environment: Mapping[str, str]
) -> RunDefinition:
    """Return the definition of a run from elsewhere without the programs that its record chooses.

    The class tasks run in the interpreter that `ready` would choose here. The variables of `env:`
    are left out, because some of them (PATH, LD_PRELOAD, PYTHONPATH) choose programs too.
    """
    # A lock is part of the commit, so the record chooses no program with it.
    python = record.spec.python if is_locked(record.spec.python) else None
    interpreter = find_interpreter(site, python, record.pin, environment)
    spec = replace(record.spec, python=python, env={})
    identity = record.identity
    if spec != record.spec:
        code = site.code.of(record.pin.tree, spec.code, frozenset(record.bases))
        identity = run_identity(spec, code, record.data)
    return replace(
        RunDefinition.of(record),
        spec=spec,
        identity=identity,
        interpreter=interpreter.executable,
    )


def _notes_on_origin(
    site: Site, foreign: Sequence[Record], *, as_recorded: bool
) -> Iterator[str]:
    """Yield a note for each original that another clone queued, with what is not taken from it."""
    clone = site.repository.clone_id()
    for record in foreign:
        queued_by = f"the clone {record.clone}"
        if record.clone == clone:
            queued_by = "another clone, although its record has the id of this one"
        by = record.history[0].by if record.history else "somebody"
        note = f"{record.id} was queued by {queued_by} ({by})"
        left_out = [f"interpreter ({record.interpreter})"]
        if record.spec.env:
            left_out.append(f"variables ({', '.join(record.spec.env)})")
        taken = "used as recorded"
        if not as_recorded:
            taken = "not used without --as-recorded"
        note += f"; {taken}: its {' and '.join(left_out)}"
        yield note


def _notes_on_pins(
    originals: Sequence[Record], records: Sequence[Record]
) -> Iterator[str]:
    """Yield a note for each original that ran at several commits: its rerun has only one."""
    for original, record in zip(originals, records, strict=True):
        if original.several_pins:
            commit = record.pin.commit[:12]
            yield (
                f"{original.id} ran at several commits ({original.several_pins}): "
                f"{record.id} runs all of it at {commit}"
            )
