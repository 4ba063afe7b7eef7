"""`gitorch plot`: the curves of the metrics of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.records import read_records
from gitorch.actions.selection import Selection, select_rows
from gitorch.actions.series import POINTS, SeriesReader
from gitorch.errors import NotFound
from gitorch.model.plot.curves import Curve, Panel, curve_of, has_curve
from gitorch.model.run.record import Record
from gitorch.model.run.series import Series
from gitorch.model.table.fields import metric_named
from gitorch.model.text.phrases import some
from gitorch.model.text.spelling import did_you_mean
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site

MOST_RUNS = 200
MOST_PANELS = 6
LATEST = "@"


class Plot(Struct, frozen=True, kw_only=True):
    """The plots of some runs, one for each metric. `notes` says what is not drawn."""

    panels: tuple[Panel, ...]
    notes: tuple[str, ...]


def find_curves(
    site: Site,
    selection: Selection,
    names: Sequence[str],
    *,
    by_time: bool,
    environment: Mapping[str, str],
) -> Plot:
    """Return the curves of the metrics `names` of the selected runs, by default the latest run.

    By default, every metric with a curve is drawn. `environment` is the caller's.
    Raises NotFound if no run has such a curve, and UsageError.
    """
    if selection.is_empty:
        selection = replace(selection, references=(LATEST,))
    catalog = Catalog.of(site)
    run_ids = [row.id for row in select_rows(catalog, selection, "plot")]
    notes = []
    if len(run_ids) > MOST_RUNS:
        notes.append(f"the first {MOST_RUNS} of {len(run_ids)} runs are drawn")
        run_ids = run_ids[:MOST_RUNS]
    records = read_records(site, catalog, run_ids)
    found: list[tuple[Record, Mapping[str, Series]]] = []
    for record in records:
        reader = SeriesReader(site, record.id, environment, points=POINTS)
        read = reader.read(record)
        notes += read.notes
        found.append((record, read.series))
    chosen = _chosen(found, names, notes)
    labels = _labels(records)
    panels = []
    for name in chosen:
        curves = []
        for record, series in found:
            if name in series and has_curve(series[name]):
                label = labels[record.id]
                curves.append(curve_of(series[name], label, by_time=by_time))
        panels.append(_panel(name, curves, by_time=by_time))
        if len(curves) < len(found):
            missing = len(found) - len(curves)
            notes.append(f"{missing} of the runs have no curve of {name}")
    return Plot(panels=tuple(panels), notes=tuple(dict.fromkeys(notes)))


def _panel(name: str, curves: Sequence[Curve], *, by_time: bool) -> Panel:
    return Panel(name, "seconds" if by_time else "step", curves)


def _chosen(
    found: Sequence[tuple[Record, Mapping[str, Series]]],
    names: Sequence[str],
    notes: list[str],
) -> Sequence[str]:
    """Return the names of the metrics to draw. A name may be the end of one, as in `list --sort`.

    Raises NotFound if one has no curve, and UsageError if one is ambiguous.
    """
    drawable: dict[str, None] = {}
    for _, series in found:
        for name, one in series.items():
            if has_curve(one):
                drawable[name] = None
    whole_names: dict[str, None] = {}
    for name in names:
        whole = metric_named(name, drawable)
        if whole is None:
            hint = f"there are curves of {some(list(drawable))}"
            if not drawable:
                hint = "a curve needs two values: see gitorch help from-scripts"
            raise NotFound(
                f"there is no curve of {name!r}{did_you_mean(name, drawable)}", hint
            )
        whole_names[whole] = None
    if whole_names:
        return list(whole_names)
    if found and not drawable:
        raise NotFound(
            "no metric of these runs has a curve",
            "a curve needs two values: see gitorch help from-scripts",
        )
    chosen = list(drawable)
    if len(chosen) > MOST_PANELS:
        others = some(chosen[MOST_PANELS:])
        notes.append(f"not drawn, unless --metric names them: {others}")
    return chosen[:MOST_PANELS]


def _labels(records: Sequence[Record]) -> dict[str, str]:
    """Return the label of each run by its id, with the id if another run has the same label."""
    counts: dict[str, int] = {}
    for record in records:
        counts[record.label] = counts.get(record.label, 0) + 1
    labels = {}
    for record in records:
        label = record.label
        if counts[label] > 1:
            label = f"{label} {record.id}"
        labels[record.id] = label
    return labels
