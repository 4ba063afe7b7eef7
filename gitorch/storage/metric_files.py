"""The files that `metrics:` of a task names, and the metrics in them.

JSON files are read here. A process of its own reads the others (see `runner/metrics_program.py`).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gitorch import runner
from gitorch.model.numbers import measured
from gitorch.model.run import metrics
from gitorch.model.run.metrics import Measured
from gitorch.model.run.series import Series, SeriesPoint, bounded
from gitorch.model.run.spec import MetricSource
from gitorch.model.text.globs import flaw, matcher
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.json_files import LARGEST_METRICS, JsonReader
from gitorch.storage.output_files import WORKTREE, files_at, files_of_worktree
from gitorch.tools.files import is_replaced
from gitorch.tools.globbing import named
from gitorch.tools.programs import TookTooLong, run_program
from gitorch.tools.untrusted import open_plain, reason

# Of one attempt. If there are more, those with the last names are read.
MOST_FILES = 200
_PROGRAM = Path(runner.__file__).with_name("metrics_program.py")
_TIME_LIMIT_S = 60.0  # the program itself stops after 10 s of processor time


class MetricFile(NamedTuple):
    """One file with metrics. `kind` is that of a MetricSource, and says how the file is read."""

    source: MetricSource
    kind: str
    name: str
    path: Path
    below: Path


class DeclaredMetrics(NamedTuple):
    """The last values in each file, and the series of all files by name."""

    measured: list[Measured]
    series: dict[str, Series]


def read_declared_metrics(
    attempt: ClaimedAttempt, reader: JsonReader, *, has_succeeded: bool
) -> DeclaredMetrics:
    """Return the metrics of each file that the task declares, in the order of the declarations.

    What is not read becomes a note of the reader. If the attempt `has_succeeded`, so does each
    declaration without a file or a number.
    """
    sources = attempt.task.declared_metrics
    files: list[MetricFile] = []
    for source in sources:
        files += _files_of(attempt, source)
    if len(files) > MOST_FILES:
        left_out = len(files) - MOST_FILES
        reader.notes.append(
            f"metrics: {left_out} files are not read: at most {MOST_FILES} are"
        )
        files = files[-MOST_FILES:]
    answers = _told_apart(_ask(files, reader))
    measured_by_file = {}
    for file in files:
        if file.kind == "json":
            content = reader.read(file.path, file.below, file.name, LARGEST_METRICS)
            measured_by_file[file] = Measured(metrics.of_file(content))
        else:
            measured_by_file[file] = _measured(answers.get(file, _NOTHING))
    if has_succeeded:
        for source in sources:
            lack = _lack(source, measured_by_file)
            if lack and _is_due(attempt, source):
                reader.notes.append(f"metrics: {lack}")
    return DeclaredMetrics(list(measured_by_file.values()), _series(answers))


def _told_apart(
    answers: Mapping[MetricFile, dict[str, Any]],
) -> dict[MetricFile, dict[str, Any]]:
    """Return the answers, with the directory before a name that several directories have.

    Keras, for example, writes `epoch_loss` to event files in `train` and in `validation`.
    TensorBoard names them by their directories, too.
    """
    directories: dict[MetricSource, set[str]] = {}
    places: dict[tuple[MetricSource, str], set[str]] = {}
    for file, answer in answers.items():
        if file.kind == "tensorboard":
            directory = str(Path(file.name).parent)
            directories.setdefault(file.source, set()).add(directory)
            for name in answer["points"]:
                places.setdefault((file.source, name), set()).add(directory)
    told_apart = dict(answers)
    for file, answer in answers.items():
        if file.source not in directories:
            continue
        prefix = _prefix(file, directories[file.source])
        new_names = {}
        for name in answer["points"]:
            is_shared = len(places.get((file.source, name), ())) > 1
            new_names[name] = f"{prefix}{name}" if is_shared else name
        told_apart[file] = answer | {
            part: _renamed(answer[part], new_names) for part in ("points", "series")
        }
    return told_apart


def _prefix(file: MetricFile, directories: Iterable[str]) -> str:
    """Return the directory of a file, below the one that all directories share."""
    common = os.path.commonpath(list(directories))
    below = os.path.relpath(Path(file.name).parent, common)
    return "" if below == "." else f"{below}/"


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}


def _series(answers: Mapping[MetricFile, dict[str, Any]]) -> dict[str, Series]:
    """Return the series of all files. If several files have a metric, the last file's counts.

    The event files in one directory are parts of one series: TensorBoard begins a new file when a
    program continues.
    """
    found: dict[str, Series] = {}
    directories: dict[str, str] = {}
    for file, answer in answers.items():
        directory = f"{file.kind}:{file.name.rpartition('/')[0]}"
        for name, (total, steps, times, values) in answer["series"].items():
            parts = zip(steps, values, times, strict=True)
            points = [SeriesPoint(*map(bounded, part)) for part in parts]
            is_part = directories.get(name) == directory
            if is_part and file.kind == "tensorboard":
                before = found[name]
                points = [*before.points, *points]
                total += before.total
            directories[name] = directory
            if name in found or len(found) < metrics.MOST_NAMES:
                found[name] = Series.of(name, points, total=total, source=file.kind)
    return found


def _lack(
    source: MetricSource, measured_by_file: Mapping[MetricFile, Measured]
) -> str | None:
    """Return what is missing if the source has no metric."""
    files = [file for file in measured_by_file if file.source == source]
    if any(measured_by_file[file].metrics for file in files):
        return None
    match source.kind:
        case "log":
            return f"no line of the log matches {source.pattern}"
        case _ if files:
            return f"{source.pattern} has no number"
        case "dvclive":
            return f"there is no directory {source.pattern} with files of DVCLive"
        case _:
            return f"there is no file {source.pattern}"


def _ask(
    files: Sequence[MetricFile], reader: JsonReader
) -> dict[MetricFile, dict[str, Any]]:
    """Let the program read the files that are not JSON, and return its answers."""
    opened: dict[MetricFile, int] = {}
    try:
        for file in files:
            if file.kind == "json":
                continue
            try:
                opened[file] = open_plain(file.path, below=file.below)
            except OSError as error:
                reader.notes.append(f"{file.name} is not read: {reason(error)}")
        answers = _answers(opened)
    finally:
        for descriptor in opened.values():
            os.close(descriptor)
    for file in opened:
        note = "reading all metrics takes too long"
        if file in answers:
            note = answers[file]["note"]
        if note:
            reader.notes.append(f"metrics: {file.name}: {note}")
    return answers


_NOTHING: dict[str, Any] = {"points": {}, "series": {}, "left_out": 0, "note": None}


def _answers(opened: Mapping[MetricFile, int]) -> dict[MetricFile, dict[str, Any]]:
    """Return the answers of the program. If it was ended before its end, some are missing."""
    if not opened:
        return {}
    requests = []
    for file, descriptor in opened.items():
        source = file.source
        requests.append(
            {
                "kind": file.kind,
                "descriptor": descriptor,
                "pattern": source.pattern,
                "step": source.step,
            }
        )
    try:
        ended = run_program(
            [sys.executable, "-I", "-S", str(_PROGRAM)],
            env={},
            awaited="the metrics of a task to be read",
            input=json.dumps(requests).encode(),
            bound_s=_TIME_LIMIT_S,
            pass_fds=tuple(opened.values()),
        )
    except TookTooLong:
        return {}
    lines = ended.stdout.splitlines()
    return dict(zip(opened, map(json.loads, lines), strict=False))


def _measured(answer: dict[str, Any]) -> Measured:
    values: metrics.Metrics = {}
    for name, (value, _, _) in answer["points"].items():
        values[name] = measured(value)
    return Measured(values, answer["left_out"])


def _is_due(attempt: ClaimedAttempt, source: MetricSource) -> bool:
    """Return True if the task should have written what it declares.

    A declaration can be the default of all tasks. A file can then still come from a later task, and
    a log is not expected to match in every task.
    """
    spec = attempt.payload.spec
    others: set[str] = set()
    for other in spec.tasks:
        if other.id != attempt.task.id and source in other.declared_metrics:
            others.add(other.id)
    if source.kind == "log":
        return not others
    return not (others & spec.with_dependents(attempt.task.id))


def _files_of(attempt: ClaimedAttempt, source: MetricSource) -> list[MetricFile]:
    """Return the files of one source in the order of their names.

    If the attempt itself has written some of them, the others belong to earlier attempts or tasks,
    which have reported them, and are left out.
    """
    directory = attempt.directory
    if source.kind == "log":
        return [
            MetricFile(source, "log", "log", directory.log, directory.workspace)
        ]
    files = []
    for pattern in _globs_of(source):
        for name, path, below in sorted(_named_files(attempt, pattern)):
            files.append(
                MetricFile(source, _kind_of(source, name), name, path, below)
            )
    try:
        start = directory.config.stat().st_ctime_ns
    except OSError:
        return files
    own = [file for file in files if _changed_at(file.path) >= start]
    return own or files


def _globs_of(source: MetricSource) -> tuple[str, ...]:
    if source.kind == "dvclive":
        directory = source.pattern
        return (f"{directory}/metrics.json", f"{directory}/plots/metrics/**/*.tsv")
    return (source.pattern,)


def _kind_of(source: MetricSource, name: str) -> str:
    """Return how a file is read. A glob alone decides by the name of the file."""
    base = name.rsplit("/", 1)[-1]
    if source.kind == "dvclive" and base.endswith(".json"):
        return "json"
    if source.kind is not None:
        return source.kind
    if "tfevents" in base:
        return "tensorboard"
    if base.endswith((".csv", ".tsv")):
        return "csv"
    return "json"


def _named_files(
    attempt: ClaimedAttempt, pattern: str
) -> Iterator[tuple[str, Path, Path]]:
    """Yield the name, the path and the directory of each file that a glob names.

    Names are relative to the output directory. The files that `outputs:` keeps are named as it
    names them.
    """
    run, task = attempt.run, attempt.task
    if os.path.lexists(run.output / pattern):
        yield from _below(run.output, [pattern])  # as earlier versions wrote it
        return
    if flaw(pattern):
        return
    if not is_replaced(run.output):
        yield from _below(run.output, set(named(run.output, pattern)))
    if task.outputs:
        matches = matcher(pattern).fullmatch
        link = attempt.payload.spec.link
        for name, path in files_of_worktree(run, task.outputs, link):
            if matches(name.removeprefix(WORKTREE)) or matches(name):
                yield name, path, run.tree


def _below(root: Path, names: Iterable[str]) -> Iterator[tuple[str, Path, Path]]:
    for name in names:
        for file_name, path in files_at(root / name, name):
            yield file_name, path, root


def _changed_at(path: Path) -> int:
    """Return the time when the file, or the link to it, was changed. 0: there is no such file."""
    times = [0]
    for follow in (False, True):
        with suppress(OSError):
            times.append(path.stat(follow_symlinks=follow).st_ctime_ns)
    return max(times)
