"""The runs that `ready` makes anew because files other than their configs have changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gitorch.actions.ready_plan import New
from gitorch.database.run_index import Earlier
from gitorch.git import pins
from gitorch.model.run.identity import run_identity
from gitorch.model.run.used import usage
from gitorch.storage.catalog import Catalog
from gitorch.storage.new_record import RunDefinition
from gitorch.storage.records import read_sound_records
from gitorch.storage.site import Site
from gitorch.storage.used_lists import read_used_lists

_MOST_COMMITS = 5  # those with the most runs; the files of each are listed
_MOST_RUNS = 100  # of a commit, whose lists of used files are read


class MadeAnew(Struct, frozen=True, kw_only=True):
    """New runs that exist at an earlier commit, and the files by which their code differs.

    `ran` is False if the earlier runs have not run yet. `used` are those of the files that the
    earlier runs used, None if that is not known.
    """

    commit: str
    ran: bool
    count: int
    files: tuple[str, ...]
    used: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "commit": self.commit,
            "ran": self.ran,
            "count": self.count,
            "files": list(self.files),
            "used": None if self.used is None else list(self.used),
        }


def made_anew(site: Site, new: Sequence[New]) -> tuple[MadeAnew, ...]:
    """Return the new runs that are the same as an earlier run in everything except the code.

    A new run is compared with the newest one that has its label. They are grouped by the commits of
    the earlier runs, most runs first. This must be called before the new runs are recorded.
    """
    definitions = [one.candidate.definition for one in new]
    labels = {definition.spec.label for definition in definitions}
    earlier = Catalog.of(site).newest_labelled(labels) if labels else {}
    if not earlier:
        return ()
    groups: dict[tuple[str, bool], list[RunDefinition]] = {}
    for definition in definitions:
        run = earlier.get(definition.spec.label)
        if run is not None:
            groups.setdefault((run.commit, run.ran), []).append(definition)
    commits = {commit for commit, _ in groups}
    here = pins.present_commits(site.repository, commits)
    by_size = sorted(groups.items(), key=lambda group: -len(group[1]))
    found = []
    for (commit, ran), group in by_size[:_MOST_COMMITS]:
        same = []
        if commit in here:
            same = [*_same_but_for_code(site, commit, group, earlier)]
        if same:
            found.append(_explained(site, commit, ran, same, earlier))
    return tuple(found)


def _explained(
    site: Site,
    commit: str,
    ran: bool,
    same: Sequence[RunDefinition],
    earlier: Mapping[str, Earlier],
) -> MadeAnew:
    """Return why the runs are made anew that exist at this commit."""
    files = _differing_files(site, commit, same)
    used = None
    if ran:
        runs = [earlier[definition.spec.label].run for definition in same]
        used = _used_files(site, runs, files)
    return MadeAnew(commit=commit, ran=ran, count=len(same), files=files, used=used)


def _same_but_for_code(
    site: Site,
    commit: str,
    definitions: Sequence[RunDefinition],
    earlier: Mapping[str, Earlier],
) -> Iterator[RunDefinition]:
    """Yield the runs that would be the earlier ones if they had the code of the commit."""
    for definition in definitions:
        spec = definition.spec
        code = site.code.of(_tree(commit), spec.code, frozenset(definition.bases))
        identity = run_identity(spec, code, definition.data)
        if identity == earlier[spec.label].identity:
            yield definition


def _differing_files(
    site: Site, commit: str, definitions: Sequence[RunDefinition]
) -> tuple[str, ...]:
    """Return the paths in which the code of the runs differs from that of the commit, sorted."""
    paths: set[str] = set()
    kinds = {
        (definition.pin.tree, definition.spec.code, definition.bases)
        for definition in definitions
    }
    for tree, code, bases in kinds:
        differing = site.code.differing(_tree(commit), tree, code)
        paths.update(set(differing).difference(bases))
    return tuple(sorted(paths))


def _used_files(
    site: Site, runs: Sequence[str], files: Sequence[str]
) -> tuple[str, ...] | None:
    """Return those of the files that a task of the runs used, None if that is not known."""
    if len(runs) > _MOST_RUNS:
        return None
    records = list(read_sound_records(site, runs).values())
    lists = read_used_lists(site, records)
    if len(records) < len(runs):
        return None
    use = usage(files, lists.values())
    if None in use.values():
        return None
    return tuple(path for path in files if use[path])


def _tree(commit: str) -> str:
    return f"{commit}^{{tree}}"
