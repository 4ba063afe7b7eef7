"""The union of two contents of the results branch.

One content is that of the tip, which another git program may have set to anything. The other one is
what this clone knows that the branch had. The union has every run of both, apart from the runs that
have a mark under `killed/` in one of them, every label of both, and every environment of both. Only
directories that differ are read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from msgspec import Struct

from gitorch.git.modes import DIRECTORY
from gitorch.git.store.trees import Edits, Read, TreeEntry, find, parse_tree
from gitorch.model.branch_layout import (
    ENVIRONMENTS,
    KILLED,
    RECORD,
    RUNS,
    RunPaths,
    killed_mark,
)
from gitorch.model.run.ids import is_run_id

# Return True if the known version of a run replaces the one at the tip. The arguments are the path
# of the run's record and the oids of the record at the tip and of the known record.
ChooseKnown = Callable[[bytes, bytes, bytes], bool]
# Return the text of a record with the labels that only another version of it has, None if there are
# none. The arguments are the oids of the two.
UniteLabels = Callable[[bytes, bytes], bytes | None]


class Choice(NamedTuple):
    """The rules for records that differ."""

    known: ChooseKnown
    labels: UniteLabels


class Union(Struct, frozen=True):
    """The edits that make the tip's content the union, and the runs that they restore.

    `records` has the records, by their paths, that are to be put after the edits.
    """

    edits: Edits
    restored: tuple[str, ...]
    records: dict[bytes, bytes]


class _Difference(Struct, frozen=True):
    """A name that is two levels below `runs/`, for example, with its two entries."""

    name: str
    path: bytes
    at_tip: TreeEntry | None
    known: TreeEntry | None


def unite(tip: bytes, known: bytes, read: Read, choice: Choice) -> Union:
    """Return what the tree `tip` lacks of the tree `known`.

    All files of a run come from one version of it. If both trees have the same record of a run, the
    files at the tip stay, and those that it lacks are added. `choice` decides about records
    that differ. Everything outside of `runs/`, `killed/` and `environments/` stays as it is at the
    tip.
    """
    edits = Edits()
    restored: list[str] = []
    records: dict[bytes, bytes] = {}
    for path, entry in _lost_environments(tip, known, read):
        edits.put(path, entry)
    for mark in _differences(KILLED, tip, known, read):
        if mark.known is not None and mark.at_tip is None:
            edits.put(mark.path, mark.known)
            if is_run_id(mark.name):
                edits.remove(os.fsencode(RunPaths.of(mark.name).directory))
    for run in _differences(RUNS, tip, known, read):
        if not is_run_id(run.name):
            continue
        mark_path = os.fsencode(killed_mark(run.name))
        if find(mark_path, tip, edits, read) is not None:
            continue
        if _restore(run, read, choice, edits, records):
            restored.append(run.name)
    return Union(edits, tuple(restored), records)


def _restore(
    run: _Difference,
    read: Read,
    choice: Choice,
    edits: Edits,
    records: dict[bytes, bytes],
) -> bool:
    """Add what the tip lacks of a run to the edits and records.

    Return True if it lacks more than labels.
    """
    lost = _lost_of(run, read, choice.known)
    text = _united_record(run, read, choice.labels, is_known_better=bool(lost))
    if text is not None:
        records[run.path + b"/" + RECORD.encode()] = text
        if lost:
            # The directory is put file by file, so that its record can be replaced.
            edits.remove(run.path)
            lost = list(_files_of(run, read))
    for path, entry in lost:
        edits.put(path, entry)
    return bool(lost)


def _united_record(
    run: _Difference, read: Read, labels: UniteLabels, *, is_known_better: bool
) -> bytes | None:
    """Return the record of a run with the labels of its other version, if it lacks some."""
    name = RECORD.encode()
    better = _directory(run.at_tip, read).get(name)
    other = _directory(run.known, read).get(name)
    if better is None or other is None or better.oid == other.oid:
        return None
    if is_known_better:
        better, other = other, better
    return labels(better.oid, other.oid)


def _lost_environments(
    tip: bytes, known: bytes, read: Read
) -> Iterator[tuple[bytes, TreeEntry]]:
    """Yield the environments that the tip lacks. Their names are the digests of their contents."""
    for environment in _differences(ENVIRONMENTS, tip, known, read):
        if environment.known is not None and environment.at_tip is None:
            yield environment.path, environment.known


def runs_in(tree: bytes, read: Read) -> list[str]:
    """Return the ids of the runs in a content of the branch."""
    return [
        run.name
        for run in _differences(RUNS, None, tree, read)
        if is_run_id(run.name)
    ]


def _lost_of(
    run: _Difference, read: Read, choose_known: ChooseKnown
) -> list[tuple[bytes, TreeEntry]]:
    """Return what the tip lacks of a run: all of it, files beside the same record, or nothing."""
    if run.known is None:
        return []
    if _has_same_record(run, read):
        return list(_lacking(run.path, run.at_tip, run.known, read))
    if _is_known_better(run, read, choose_known):
        return [(run.path, run.known)]
    return []


def _files_of(run: _Difference, read: Read) -> Iterator[tuple[bytes, TreeEntry]]:
    """Yield what is directly below the directory that is known of a run."""
    for name, entry in _directory(run.known, read).items():
        yield run.path + b"/" + name, entry


def _has_same_record(run: _Difference, read: Read) -> bool:
    name = RECORD.encode()
    known = _directory(run.known, read).get(name)
    return known is not None and _directory(run.at_tip, read).get(name) == known


def _lacking(
    path: bytes, at_tip: TreeEntry | None, known: TreeEntry | None, read: Read
) -> Iterator[tuple[bytes, TreeEntry]]:
    """Yield the entries below `path` that the known directory has and that at the tip lacks."""
    below_tip, below_known = _directory(at_tip, read), _directory(known, read)
    for name in _differing(below_tip, below_known):
        entry, inner = below_known.get(name), path + b"/" + name
        if entry is None:
            continue
        if name not in below_tip:
            yield inner, entry
        elif below_tip[name].mode == DIRECTORY:
            yield from _lacking(inner, below_tip[name], entry, read)


def _is_known_better(
    run: _Difference, read: Read, choose_known: ChooseKnown
) -> bool:
    """Return True if the known version of a run is to replace what the tip has of the run."""
    name = RECORD.encode()
    at_tip = _directory(run.at_tip, read).get(name)
    known = _directory(run.known, read).get(name)
    if known is None:
        return run.at_tip is None
    if at_tip is None:
        return True
    return choose_known(run.path + b"/" + name, at_tip.oid, known.oid)


def _differences(
    area: str, tip: bytes | None, known: bytes, read: Read
) -> Iterator[_Difference]:
    """Yield the names two levels below the directory `area` whose entries differ."""
    area_path = os.fsencode(area.removesuffix("/"))
    at_tip = _directory(find(area_path, tip, Edits(), read), read)
    in_known = _directory(find(area_path, known, Edits(), read), read)
    for prefix in _differing(at_tip, in_known):
        below_tip = _directory(at_tip.get(prefix), read)
        below_known = _directory(in_known.get(prefix), read)
        for name in _differing(below_tip, below_known):
            yield _Difference(
                name=os.fsdecode(name),
                path=b"/".join((area_path, prefix, name)),
                at_tip=below_tip.get(name),
                known=below_known.get(name),
            )


def _differing(
    first: dict[bytes, TreeEntry], second: dict[bytes, TreeEntry]
) -> list[bytes]:
    names = sorted(first.keys() | second.keys())
    return [name for name in names if first.get(name) != second.get(name)]


def _directory(entry: TreeEntry | None, read: Read) -> dict[bytes, TreeEntry]:
    """Return the entries of a directory, none if it is a file or does not exist."""
    if entry is None or entry.mode != DIRECTORY:
        return {}
    return parse_tree(read(entry.oid))
