"""The differences between runs as text, for `compare`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from gitorch.actions.compare import Compared
from gitorch.cli.render_code import changed_files
from gitorch.cli.render_run import size
from gitorch.cli.style import (
    display_width,
    in_line,
    number,
    one_line,
    paint,
    paint_status,
    table,
)
from gitorch.model.run.by_value import ByValue
from gitorch.model.run.compare import (
    CodeDifference,
    Comparison,
    EnvironmentDifference,
    OutputDifference,
    ValueDifference,
)
from gitorch.model.run.spec import render_value
from gitorch.model.text.phrases import counted, some

Difference = CodeDifference | ValueDifference | OutputDifference

SECTIONS = ("code", "config", "environment", "data", "metrics", "outputs")

_COMMIT = 10
_DIGEST = 12  # as many digits tell two contents apart; --json prints all
_MOST_NAMED = 20  # commits, files and outputs; --code, --stat and --json print all
_MOST_KEYS = 100  # keys of one kind; an option for one kind prints all
_MOST_COLUMNS = (
    8  # runs; of more runs, those with the same value are listed together
)
_MOST_VALUES = 10  # of one key
_MOST_LETTERS = 5  # runs with the same value


class _Shown(NamedTuple):
    """The parts that all sections need: the letters of the runs, and how much is shown."""

    letters: Sequence[str]
    colors: bool
    most_keys: int
    width: int | None = None

    @property
    def is_wide(self) -> bool:
        return len(self.letters) > _MOST_COLUMNS


def render_comparison(
    compared: Compared,
    sections: Sequence[str],
    *,
    colors: bool,
    width: int | None = None,
) -> str:
    """Return the `sections` in which the runs differ, and the names of the others.

    `width` is that of the terminal. None: lines may be as long as they have to be.
    """
    comparison = compared.comparison
    letters = list(map(letter, range(len(compared.records))))
    rows = []
    for name, record in zip(letters, compared.records, strict=True):
        status = paint_status(record.status, on=colors)
        rows.append([name, record.id, status, in_line(record.label)])
    lines = table(rows, header=["", "id", "status", "run"], colors=colors)
    if "code" in sections:
        lines += _snapshots(compared, letters)
    most_keys = _MOST_KEYS if len(sections) > 1 else sys.maxsize
    shown = _Shown(letters, colors, most_keys, width)
    for name in with_machine(sections):
        if not difference_of(comparison, name).same:
            lines += ["", *_section(name, compared, shown)]
    notes = side_notes(compared, sections)
    if notes:
        lines.append("")
    lines += [paint(note, "dim", on=colors) for note in notes]
    return "\n".join(lines)


def section_text(name: str, compared: Compared) -> str:
    """Return one kind of differences without its title, "" if there are none."""
    if difference_of(compared.comparison, name).same:
        return ""
    letters = list(map(letter, range(len(compared.records))))
    _, *lines = _section(name, compared, _Shown(letters, False, _MOST_KEYS))
    return "\n".join(lines)


def with_machine(sections: Sequence[str]) -> list[str]:
    """Return the sections, with that of the machine after that of the environment."""
    names = list(sections)
    if "environment" in names:
        names.insert(names.index("environment") + 1, "machine")
    return names


def difference_of(comparison: Comparison, name: str) -> Difference:
    """Return the difference that a section shows."""
    if name == "environment":
        return comparison.environment.software
    difference: Difference = getattr(comparison, name)
    return difference


def letter(position: int) -> str:
    """Return the name of a column, as in a spreadsheet: A to Z, then AA, AB and so on."""
    name = ""
    rest = position + 1
    while rest:
        rest, last = divmod(rest - 1, 26)
        name = chr(ord("A") + last) + name
    return name


def _section(name: str, compared: Compared, shown: _Shown) -> list[str]:
    comparison = compared.comparison
    match name:
        case "code":
            return _code(comparison.code, shown)
        case "outputs":
            return _outputs(compared, shown.colors)
        case "metrics" if shown.is_wide:
            return _ranges(comparison.metrics, shown)
        case "metrics":
            return _metrics(comparison.metrics, shown)
        case "environment":
            lines = _values(name, comparison.environment.software, shown)
            return lines + _packages(comparison.environment)
        case _:
            return _values(name, getattr(comparison, name), shown)


def _packages(environment: EnvironmentDifference) -> list[str]:
    """Return a line with the number of packages that are changed, added and removed."""
    counts = []
    for kind, names in environment.packages.items():
        if names:
            counts.append(f"{len(names)} {kind}")
    return [f"  packages: {', '.join(counts)}"] if counts else []


def side_notes(compared: Compared, sections: Sequence[str]) -> list[str]:
    """Return what is the same in all runs, and what was not recorded or not compared."""
    comparison = compared.comparison
    unrecorded = [name for name in sections if name in comparison.empty]
    same = _same_kinds(compared, sections)
    notes = []
    if same:
        notes.append(f"the same: {', '.join(same)}")
    links = comparison.data.not_recorded if "data" in sections else ()
    if links:
        if "data" in unrecorded:
            unrecorded.remove("data")
        notes.append(f"data: not recorded (link: {in_line(', '.join(links))})")
    if unrecorded:
        notes.append(f"not recorded: {', '.join(unrecorded)}")
    volatile = comparison.outputs.volatile
    if volatile and "outputs" in sections:
        notes.append(f"not compared, since volatile: {in_line(some(volatile))}")
    return notes


def _same_kinds(compared: Compared, sections: Sequence[str]) -> list[str]:
    """Return the kinds of which something was compared, and is the same in all runs."""
    same = []
    for name in sections:
        difference = getattr(compared.comparison, name)
        if name == "outputs" and _are_all_volatile(compared):
            continue
        if difference.same and name not in compared.comparison.empty:
            same.append(name)
    return same


def _are_all_volatile(compared: Compared) -> bool:
    volatile = set(compared.comparison.outputs.volatile)
    for record in compared.records:
        if any(output.path not in volatile for output in record.outputs):
            return False
    return bool(volatile)


def _code(code: CodeDifference, shown: _Shown) -> list[str]:
    title = "code"
    if any(file.used is not None for file in code.files):
        title = f"code: {_files_used(code)}"
    lines = [paint(title, "bold", on=shown.colors)]
    for commit_id in code.missing:
        lines.append(
            f"  differs; commit {commit_id[:_COMMIT]} is not in this clone"
        )
    for commit in code.commits[:_MOST_NAMED]:
        lines.append(f"  {commit.oid[:_COMMIT]}  {in_line(commit.subject)}")
    lines += _more(len(code.commits), "commits")
    lines += changed_files(code.files, _MOST_NAMED)
    cells = {}
    for task, commits in code.tasks.items():
        cells[task] = list(map(_short_commit, commits))
    if cells:
        lines += _by_run("  at", cells, shown._replace(colors=False))
    return lines


def _files_used(code: CodeDifference) -> str:
    """Return how many of the changed files the runs used."""
    used = sum(file.used is True for file in code.files)
    unknown = sum(file.used is None for file in code.files)
    text = f"{counted(len(code.files), 'file')} changed, {used} used by these runs"
    if unknown:
        text += f", {unknown} perhaps"
    return text


def _snapshots(compared: Compared, letters: Sequence[str]) -> list[str]:
    """Return, for each snapshot, the runs that executed it and its changes.

    The changes are left out if a run of the parent is compared: they are part of the difference.
    """
    commits = {record.pin.commit for record in compared.records}
    lines = []
    for snapshot in compared.comparison.code.snapshots:
        runs = []
        for name, record in zip(letters, compared.records, strict=True):
            if record.pin.commit == snapshot.commit:
                runs.append(name)
        lines += [
            "",
            f"{some(runs, _MOST_LETTERS)}: a snapshot of uncommitted files on "
            f"{_short_commit(snapshot.parent)}",
        ]
        if snapshot.parent not in commits:
            lines += changed_files(snapshot.files, _MOST_NAMED)
    return lines


def _short_commit(commit_id: str | None) -> str:
    return commit_id[:_COMMIT] if commit_id else "-"


def _outputs(compared: Compared, colors: bool) -> list[str]:
    """Return the outputs that differ. If they are many, return the largest and count the others."""
    outputs = compared.comparison.outputs
    kinds = {
        "changed": outputs.changed,
        "added": outputs.added,
        "removed": outputs.removed,
    }
    sizes = _sizes(compared)
    title = "outputs"
    if any(len(paths) > _MOST_NAMED for paths in kinds.values()):
        counts = [f"{len(paths)} {kind}" for kind, paths in kinds.items() if paths]
        title = f"outputs: {', '.join(counts)}, the largest first"
    lines = [paint(title, "bold", on=colors)]
    for kind, paths in kinds.items():
        shown = list(paths)
        if len(paths) > _MOST_NAMED:
            shown.sort(key=lambda path: sizes[path], reverse=True)
        for path in shown[:_MOST_NAMED]:
            line = f"  {kind.ljust(7)}  {one_line(in_line(path))}"
            if len(paths) > _MOST_NAMED:
                line += f"  {size(sizes[path])}"
            lines.append(line)
        lines += _more(len(paths), kind)
    return lines


def places(found: ByValue) -> list[str]:
    """Return a line for each of the first places at which two files differ in value."""
    if found.note is not None:
        return [f"  not compared by value: {in_line(found.note)}"]
    if not found.count:
        return ["  the same values"]
    lines = []
    for place in found.beyond[:_MOST_VALUES]:
        at = in_line(place.at) or "the value"
        lines.append(
            f"  {at}: {value_text(place.before)} -> {value_text(place.after)}"
        )
    return lines + _more(found.count, "places", len(lines))


def _sizes(compared: Compared) -> dict[str, int]:
    """Return the size of each output, in the run in which it is largest."""
    sizes: dict[str, int] = {}
    for record in compared.records:
        for output in record.outputs:
            sizes[output.path] = max(output.size, sizes.get(output.path, 0))
    return sizes


def _more(count: int, what: str, most: int = _MOST_NAMED) -> list[str]:
    if count <= most:
        return []
    return [f"  and {count - most} more {what}"]


def _values(title: str, difference: ValueDifference, shown: _Shown) -> list[str]:
    """Return a table of the values that differ. Data is shown by the first digits of its digest."""
    cells = {}
    for key, values in list(difference.changed.items())[: shown.most_keys]:
        cells[key] = [
            value_text(value, is_digest=title == "data") for value in values
        ]
    more = _more(len(difference.changed), f"keys: --{title}", shown.most_keys)
    return _by_run(title, cells, shown) + more


def value_text(value: Any, *, is_digest: bool = False) -> str:
    """Return a value of a run in one line, or a dash if the run has none."""
    if value is None:
        return "-"
    return in_line(render_value(value[:_DIGEST] if is_digest else value))


def _by_run(
    title: str, cells: Mapping[str, Sequence[str]], shown: _Shown
) -> list[str]:
    """Return a table with a column for each run, or of many runs a line for each value of a key."""
    rows = []
    if not shown.is_wide:
        for key, values in cells.items():
            rows.append([f"  {in_line(key)}", *values])
        return _side_by_side(rows, [title, *shown.letters], shown)
    for key, values in cells.items():
        runs: dict[str, list[str]] = {}
        for name, value in zip(shown.letters, values, strict=True):
            runs.setdefault(value, []).append(name)
        frequent = sorted(runs.items(), key=lambda item: len(item[1]), reverse=True)
        for value, names in frequent[:_MOST_VALUES]:
            count = counted(len(names), "run")
            rows.append(
                [
                    f"  {in_line(key)}",
                    value,
                    f"{count}: {some(names, _MOST_LETTERS)}",
                ]
            )
        rest = len(frequent) - _MOST_VALUES
        if rest > 0:
            rows.append([f"  {in_line(key)}", f"and {rest} more values", ""])
    return table(rows, header=[title, "", ""], colors=shown.colors)


def _side_by_side(
    rows: Sequence[Sequence[str]], header: Sequence[str], shown: _Shown
) -> list[str]:
    """Return a table. A row that does not fit on the terminal follows it, a line for each run."""
    narrow, broad = list(rows), []
    while narrow and shown.width is not None:
        lines = table(narrow, header=header, colors=False)
        widths = list(map(display_width, lines[1:]))
        if max(widths) <= shown.width:
            break
        broad.append(narrow.pop(widths.index(max(widths))))
    lines = table(narrow, header=header, colors=shown.colors)
    if not narrow:
        lines = [paint(header[0], "bold", on=shown.colors)]
    for key, *values in sorted(broad, key=rows.index):
        lines.append(key)
        for name, value in zip(header[1:], values, strict=True):
            lines.append(f"    {name}  {value}")
    return lines


def _metrics(difference: ValueDifference, shown: _Shown) -> list[str]:
    """Return a table of the metrics that differ, with the change from the first run to the last."""
    rows = []
    for key, values in list(difference.changed.items())[: shown.most_keys]:
        cells = [_metric(value) for value in values]
        rows.append([f"  {in_line(key)}", *cells, change(values[0], values[-1])])
    header = ["metrics", *shown.letters, "change"]
    more = _more(len(difference.changed), "keys: --metrics", shown.most_keys)
    return _side_by_side(rows, header, shown) + more


def _ranges(difference: ValueDifference, shown: _Shown) -> list[str]:
    """Return the lowest and the highest value of each metric, and the runs that have them."""
    rows = []
    for key, values in list(difference.changed.items())[: shown.most_keys]:
        known = [
            (value, name)
            for value, name in zip(values, shown.letters, strict=True)
            if isinstance(value, int | float)
        ]
        ends = []
        for end in (min, max):
            if known:
                value, name = end(known, key=itemgetter(0))
                ends.append(f"{_metric(value)} ({name})")
            else:
                ends.append("-")
        rows.append([f"  {in_line(key)}", *ends, counted(len(known), "run")])
    header = ["metrics", "lowest", "highest", "in"]
    more = _more(len(difference.changed), "keys: --metrics", shown.most_keys)
    return table(rows, header=header, colors=shown.colors) + more


def _metric(value: Any) -> str:
    if value is None:
        return "-"
    return in_line(number(value))


def change(first: Any, last: Any) -> str:
    """Return by how much a metric changed, also in per cent unless it was 0."""
    if not isinstance(first, int | float) or not isinstance(last, int | float):
        return ""
    change = f"{last - first:+.6g}"
    if first:
        change += f", {(last - first) / abs(first):+.1%}"
    return change
