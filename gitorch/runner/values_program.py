"""Compares pairs of files by value: JSON, CSV tables, NumPy arrays, and logs line by line.

A process of its own reads the files, because they may come from anywhere. A file that takes for
ever, or that needs all memory, ends this process and not gitorch. The files are open already: the
request on stdin names their descriptors and the tolerance. The answer on stdout has one line of
JSON for each pair.

NumPy is not needed, and nothing is ever unpickled (see `numpy_arrays.py`).
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import itertools
import json
import math
import os
import re
import resource
import signal
import sys
import zipfile
from typing import (
    Any,
    BinaryIO,
    Callable,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
    Union,
    cast,
)

# In bytes, by kind. A larger file is not compared by value.
LONGEST = {"json": 32 << 20, "csv": 64 << 20, "log": 16 << 20}
_LONGEST_ARRAY = 1 << 30  # bytes
CPU_S = 20.0  # for all pairs together
_MEMORY = 2 << 30  # bytes
_LONGEST_SHOWN = 60  # characters of a value
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")

Number = Union[int, float]
# The place of a value: its container's place and its key there. None: the file as a whole.
Place = Optional[Tuple[Any, Any]]


class NotComparable(Exception):
    """The files cannot be compared by value. The text says why."""


class Bounds(NamedTuple):
    """The most by which two numbers may differ: by `absolute`, or `relative` times the larger.

    The relative tolerance does not apply to two whole numbers, which are counts and names.
    """

    absolute: float
    relative: float

    def allows(self, one: Number, other: Number) -> bool:
        are_whole = isinstance(one, int) and isinstance(other, int)
        difference = absolute_difference(one, other)
        if difference <= self.absolute:
            return True
        if are_whole or not math.isfinite(difference):
            return False
        return difference <= self.relative * max(abs(one), abs(other))


class Tally:
    """The findings so far of the comparison of one pair.

    `largest_absolute` and `largest_relative` are those of all numbers that differ, and `largest_at`
    is the place of the latter. `beyond` has the first places that differ by more than the
    tolerance, of which there are `count`.
    """

    def __init__(self, tolerance: Bounds, most: int) -> None:
        self.tolerance = tolerance
        self.most = most
        self.within = 0
        self.count = 0
        self.largest_absolute = 0.0
        self.largest_relative = 0.0
        self.largest_at: Place = None
        self.beyond: List[Dict[str, Any]] = []

    def numbers(self, place: Place, one: Number, other: Number) -> None:
        """Compare two numbers. NaN is the same as NaN."""
        if one == other or (one != one and other != other):
            return
        difference = absolute_difference(one, other)
        if math.isfinite(difference):
            self.largest_absolute = max(self.largest_absolute, difference)
        relative = relative_difference(one, other, difference)
        if math.isfinite(relative) and relative > self.largest_relative:
            self.largest_relative, self.largest_at = relative, place
        if self.tolerance.allows(one, other):
            self.within += 1
        else:
            self.differ(place, one, other)

    def differ(self, place: Place, one: Any, other: Any) -> None:
        """Note two values that differ by more than the tolerance."""
        self.count += 1
        if len(self.beyond) < self.most:
            entry = {"at": rendered(place), "before": _shown(one)}
            entry["after"] = _shown(other)
            self.beyond.append(entry)

    def answer(self) -> Dict[str, Any]:
        return {
            "count": self.count,
            "within": self.within,
            "largest_absolute": self.largest_absolute,
            "largest_relative": self.largest_relative,
            "largest_at": rendered(self.largest_at),
            "beyond": self.beyond,
            "note": None,
        }


def absolute_difference(one: Number, other: Number) -> float:
    """Return the difference. It is infinite if it is unknown or too large for a float."""
    try:
        difference = float(abs(one - other))
    except OverflowError:
        return math.inf
    return math.inf if difference != difference else difference


def relative_difference(one: Number, other: Number, difference: float) -> float:
    """Return the difference as a share of the larger number, infinite if it is too large."""
    try:
        return difference / max(abs(one), abs(other))
    except (OverflowError, ZeroDivisionError):
        return math.inf


def rendered(place: Place) -> str:
    """Return a place as text: `layers[3].weight`."""
    keys = []
    while place is not None:
        place, key = place
        keys.append(key)
    text = ""
    for key in reversed(keys):
        if isinstance(key, int):
            text += "[%d]" % key
        elif text:
            text += ".%s" % key
        else:
            text = str(key)
    return text


def _shown(value: Any) -> Any:
    """Return a number as it is, and the beginning of anything else."""
    if isinstance(value, _Missing):
        return None
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value
    if not isinstance(value, str):
        text = "%s of %d" % (type(value).__name__, len(value))
    if len(text) <= _LONGEST_SHOWN:
        return text
    return text[: _LONGEST_SHOWN - 3] + "..."


# JSON


class _Missing:
    """Stands for a value that one of the files does not have."""


_MISSING = _Missing()


def compare_json(before: BinaryIO, after: BinaryIO, tally: Tally) -> None:
    """Compare two JSON documents. Raises NotComparable."""
    pending: List[Tuple[Place, Any, Any]] = [(None, _json(before), _json(after))]
    while pending:
        place, one, other = pending.pop()
        inner = _inner(place, one, other)
        if inner is None:
            _compare_leaves(place, one, other, tally)
        else:
            pending += reversed(inner)


def _inner(
    place: Place, one: Any, other: Any
) -> Optional[List[Tuple[Place, Any, Any]]]:
    """Return the pairs of values in two mappings or lists, None if the values are neither."""
    inner: List[Tuple[Place, Any, Any]] = []
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            pair = one.get(key, _MISSING), other.get(key, _MISSING)
            inner.append(((place, key), *pair))
        return inner
    if isinstance(one, list) and isinstance(other, list):
        items = itertools.zip_longest(one, other, fillvalue=_MISSING)
        for index, pair in enumerate(items):
            inner.append(((place, index), *pair))
        return inner
    return None


def _compare_leaves(place: Place, one: Any, other: Any, tally: Tally) -> None:
    if _is_number(one) and _is_number(other):
        tally.numbers(place, one, other)
    elif type(one) is not type(other) or one != other:
        tally.differ(place, one, other)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _json(file: BinaryIO) -> Any:
    try:
        return json.loads(file.read())
    except (ValueError, RecursionError) as error:
        raise NotComparable("it is not JSON that can be read") from error


# Tables


def compare_csv(before: BinaryIO, after: BinaryIO, tally: Tally) -> None:
    """Compare two tables cell by cell. Raises NotComparable."""
    rows = itertools.zip_longest(_rows(before), _rows(after))
    names: List[str] = []
    for number, (one, other) in enumerate(rows, 1):
        if one is None or other is None:
            tally.differ((None, "line %d" % number), _line(one), _line(other))
            continue
        cells = itertools.zip_longest(one, other)
        for index, (cell, other_cell) in enumerate(cells):
            if cell != other_cell:
                column = names[index] if index < len(names) else str(index + 1)
                place = (None, "line %d, %s" % (number, column))
                _compare_texts(place, cell, other_cell, tally)
        names = names or one


def _rows(file: BinaryIO) -> Iterator[List[str]]:
    lines = io.TextIOWrapper(file, "utf-8-sig", "replace", newline="")
    head = lines.readline()
    delimiter = max(",;\t", key=head.count)
    text = itertools.chain([head], lines)
    try:
        yield from csv.reader(text, delimiter=delimiter)
    except csv.Error as error:
        raise NotComparable(str(error)) from error


def _line(cells: Optional[List[str]]) -> Optional[str]:
    return None if cells is None else ",".join(cells)


def _compare_texts(
    place: Place, one: Optional[str], other: Optional[str], tally: Tally
) -> None:
    """Compare two texts that differ; they may be numbers."""
    numbers = as_number(one), as_number(other)
    if numbers[0] is not None and numbers[1] is not None:
        tally.numbers(place, numbers[0], numbers[1])
    else:
        tally.differ(place, one, other)


def as_number(text: Optional[str]) -> Optional[Number]:
    """Return the number that a text is, None if it is not a number. NaN is a number."""
    if text is None or "_" in text:
        return None
    text = text.strip()
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return None


# Logs


def compare_log(before: BinaryIO, after: BinaryIO, tally: Tally) -> None:
    """Compare two texts line by line. The numbers in a line may differ within the tolerance."""
    lines = itertools.zip_longest(before, after)
    for number, (one, other) in enumerate(lines, 1):
        if one != other:
            place = (None, "line %d" % number)
            texts = _text(one), _text(other)
            if not _compare_numbers_in(place, *texts, tally):
                tally.differ(place, *texts)


def _text(line: Optional[bytes]) -> Optional[str]:
    return None if line is None else line.decode("utf-8", "replace").rstrip("\n")


def _compare_numbers_in(
    place: Place, one: Optional[str], other: Optional[str], tally: Tally
) -> bool:
    """Return True if the lines are the same, except for numbers within the tolerance."""
    if one is None or other is None:
        return False
    if _NUMBER.sub("0", one) != _NUMBER.sub("0", other):
        return False
    pairs = list(zip(_numbers_of(one), _numbers_of(other)))  # noqa: B905  3.8
    for pair in pairs:
        if pair[0] != pair[1] and not tally.tolerance.allows(*pair):
            return False
    for pair in pairs:
        tally.numbers(place, *pair)
    return True


def _numbers_of(line: str) -> List[Number]:
    return [as_number(text) or 0 for text in _NUMBER.findall(line)]


# NumPy


def _sibling(name: str) -> Any:
    """Import a module beside this program, which may run without any search path."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


numpy_arrays = _sibling("numpy_arrays")


def compare_npy(
    before: BinaryIO, after: BinaryIO, tally: Tally, place: Place = None
) -> None:
    """Compare two arrays element by element. Raises NotAnArray."""
    for keys, one, other in numpy_arrays.differences(before, after):
        at = place
        for key in keys:
            at = (at, key)
        if _is_number(one) and _is_number(other):
            tally.numbers(at, one, other)
        else:
            tally.differ(at, one, other)


def compare_npz(before: BinaryIO, after: BinaryIO, tally: Tally) -> None:
    """Compare the arrays of two archives by name. Raises NotAnArray, BadZipFile."""
    with zipfile.ZipFile(before) as one, zipfile.ZipFile(after) as other:
        for name in dict.fromkeys([*one.namelist(), *other.namelist()]):
            place = (None, name[:-4] if name.endswith(".npy") else name)
            if name not in one.NameToInfo or name not in other.NameToInfo:
                tally.differ(
                    place, name in one.NameToInfo, name in other.NameToInfo
                )
                continue
            with one.open(name) as array, other.open(name) as other_array:
                compare_npy(
                    cast(BinaryIO, array), cast(BinaryIO, other_array), tally, place
                )


# The program


class _TimeIsUp(Exception):
    pass


COMPARE: Dict[str, Callable[[BinaryIO, BinaryIO, Tally], None]] = {
    "json": compare_json,
    "csv": compare_csv,
    "log": compare_log,
    "npy": compare_npy,
    "npz": compare_npz,
}


def _require_size(kind: str, *files: BinaryIO) -> None:
    """Raise NotComparable if one of the files is too large."""
    longest = LONGEST.get(kind, _LONGEST_ARRAY)
    if any(os.fstat(file.fileno()).st_size > longest for file in files):
        raise NotComparable("it has more than %d MiB" % (longest >> 20))


def _compare_files(request: Dict[str, Any], tally: Tally) -> None:
    with contextlib.ExitStack() as opened:
        one, other = [
            opened.enter_context(io.open(request[side], "rb"))
            for side in ("before", "after")
        ]
        _require_size(request["kind"], one, other)
        COMPARE[request["kind"]](one, other, tally)


def compare_pair(request: Dict[str, Any], tolerance: Bounds) -> Dict[str, Any]:
    """Return the answer about one pair. Its `note` says why the pair could not be compared."""
    tally = Tally(tolerance, request["most"])
    note = None
    try:
        _compare_files(request, tally)
    except (NotComparable, numpy_arrays.NotAnArray) as error:
        note = str(error)
    except MemoryError:
        note = "it needs too much memory"
    except _TimeIsUp:
        raise
    except Exception as error:  # a damaged file, whatever its format
        note = "it is damaged (%s)" % type(error).__name__
    return {**tally.answer(), "note": note}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    signal.signal(signal.SIGPROF, _stop)
    asked = json.load(sys.stdin)
    tolerance = Bounds(asked["absolute"], asked["relative"])
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    for request in asked["pairs"]:
        try:
            answer = compare_pair(request, tolerance)
        except _TimeIsUp:
            return  # the remaining pairs have no answers
        print(json.dumps(answer), flush=True)


def _stop(signal_number: int, frame: Any) -> None:
    raise _TimeIsUp


if __name__ == "__main__":
    main()
