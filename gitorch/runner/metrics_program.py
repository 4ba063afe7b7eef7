"""Reads metrics from files that programs write: CSV tables, TensorBoard event files and logs.

A process of its own reads the files, because they may come from anywhere. An expression that takes
for ever on a log, or a table that needs all memory, ends this process and not the worker. The
files are open already: the request on stdin names their descriptors. The answer on stdout has one
line of JSON for each file that was read.

The functions with `points` in their name yield the whole series. The answer has the last point of
each metric, and its series reduced to few points.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import re
import resource
import signal
import struct
import sys
from functools import lru_cache
from typing import (
    Any,
    BinaryIO,
    Callable,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    cast,
)

# In bytes, by kind. The end of a longer file is read. Each takes one to three seconds.
LONGEST_READ = {"csv": 8 << 20, "dvclive": 8 << 20, "log": 32 << 20}
_LONGEST_LINE_READ = 1 << 20  # bytes
LONGEST_LINE = 10_000  # characters in which a log's expression is searched
MOST_NAMES = 1000  # as in gitorch/model/run/metrics.py
LONGEST_NAME = 500  # characters
_LONGEST_RECORD = 1 << 20  # bytes; a record with scalars is far shorter
CPU_S = 10.0  # for all files together
_MEMORY = 1 << 30  # bytes
_LARGEST_FLOAT32 = 3.4028234e38
# The sequences by which a program colours its output.
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


class Point(NamedTuple):
    """One value of a metric. `seconds` is the time of measurement, in Unix time."""

    name: str
    value: float
    step: Optional[float] = None
    seconds: Optional[float] = None


class Unreadable(Exception):
    """The rest of a file cannot be read. The text says why."""


def as_number(text: str) -> Optional[float]:
    """Return the number that a text is, None if it is not a number. NaN is a number."""
    text = text.strip()
    if _INTEGER.fullmatch(text):
        return int(text)
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


# Tables


def csv_points(file: BinaryIO, step: Optional[str]) -> Iterator[Point]:
    """Yield every number of a table with a header. `step` is the column with the steps.

    The delimiter is the one of tab, semicolon and comma that is most frequent in the header.
    Raises Unreadable.
    """
    header = file.readline(_LONGEST_LINE_READ).decode("utf-8-sig", "replace")
    if not header.strip():
        return
    delimiter = max(",;\t", key=header.count)
    try:
        names = [
            name.strip() for name in next(csv.reader([header], delimiter=delimiter))
        ]
        if step is not None and step not in names:
            raise Unreadable("it has no column %s" % step)
        if all(as_number(name) is not None for name in names):
            raise Unreadable("its first line does not name the columns")
        lines = _text_lines(file, "csv")
        for row in csv.reader(lines, delimiter=delimiter):
            yield from _numbers_of(names, row, step)
    except csv.Error as error:
        raise Unreadable(str(error)) from error


def _numbers_of(
    names: List[str], row: List[str], step: Optional[str]
) -> Iterator[Point]:
    cells = dict(zip(names, row))  # noqa: B905  the last row can be unfinished
    at = None if step is None else as_number(cells.get(step, ""))
    for name, cell in cells.items():
        if cell and name and name != step:
            value = as_number(cell)
            if value is not None:
                yield Point(name, value, at)


def dvclive_points(file: BinaryIO) -> Iterator[Point]:
    """Yield the numbers of one table of DVCLive: timestamp (in ms), step, and one metric.

    The parts of a name are joined by dots, as those of `metrics.json` are. Raises Unreadable.
    """
    seconds = None
    for point in csv_points(file, "step"):
        if point.name == "timestamp":
            seconds = point.value / 1000
        else:
            name = point.name.replace("/", ".")
            yield point._replace(name=name, seconds=seconds)


# Logs


def log_points(file: BinaryIO, expression: str) -> Iterator[Point]:
    """Yield the numbers of the named groups of each match. The group `step` is the step."""
    search = re.compile(expression).finditer
    for line in _text_lines(file, "log"):
        # A progress bar writes its next state after a carriage return.
        for state in line.split("\r"):
            for part in _COLOURS.sub("", state[:LONGEST_LINE]).splitlines():
                for match in search(part):
                    yield from _groups_of(match)


def _groups_of(match: re.Match[str]) -> Iterator[Point]:
    groups = match.groupdict()
    at = as_number(groups.pop("step", None) or "")
    for name, text in groups.items():
        if text:
            value = as_number(text.rstrip(".,;:%"))
            if value is not None:
                yield Point(name, value, at)


def _text_lines(file: BinaryIO, kind: str) -> Iterator[str]:
    """Yield the lines of the rest of a file. Of a long file, only the end is read."""
    start = file.tell()
    size = os.fstat(file.fileno()).st_size
    if size - start > LONGEST_READ[kind]:
        file.seek(size - LONGEST_READ[kind])
        file.readline(_LONGEST_LINE_READ)  # the rest of a line
    left = size - file.tell()
    while left > 0:
        line = file.readline(left)
        if not line:
            return
        left -= len(line)
        yield line.decode("utf-8", "replace").replace("\0", "")


# TensorBoard


def tensorboard_points(file: BinaryIO) -> Iterator[Point]:
    """Yield the scalars of an event file. Raises Unreadable at a damaged record.

    The format of the file is that of `tensorflow/core/lib/io/record_writer.h` (TFRecord): for each
    record a length (8 bytes, little endian), the masked CRC-32C of the length, the data, and the
    masked CRC-32C of the data. The data is an `Event` of `tensorflow/core/util/event.proto`.
    """
    size = os.fstat(file.fileno()).st_size
    while True:
        at = file.tell()
        head = file.read(12)
        if len(head) < 12:
            return
        length, checksum = struct.unpack("<QI", head)
        if checksum != masked_crc(head[:8]):
            raise Unreadable("it is damaged at byte %d" % at)
        if file.tell() + length + 4 > size:
            return  # the program was ended while it wrote this record
        if length > _LONGEST_RECORD:  # an image or a histogram
            file.seek(length + 4, os.SEEK_CUR)
            continue
        data = file.read(length)
        file.seek(4, os.SEEK_CUR)
        try:
            yield from _scalars_of(data)
        except (
            AttributeError,
            IndexError,
            TypeError,
            ValueError,
            struct.error,
        ) as error:
            raise Unreadable("it is damaged at byte %d" % at) from error


def _scalars_of(event: bytes) -> Iterator[Point]:
    """Yield the scalars of an `Event`: its time (field 1), step (2) and summary (5)."""
    seconds, step = None, 0
    summaries = []
    for field, content in _fields(event):
        if field == 1:
            (seconds,) = struct.unpack("<d", content)
        elif field == 2:
            step = _signed(content)
        elif field == 5:
            summaries.append(content)
    for summary in summaries:
        for field, value in _fields(summary):
            if field == 1:
                name, number = _scalar_of(value)
                if name and number is not None:
                    yield Point(name, number, step, seconds)


def _scalar_of(summary_value: bytes) -> tuple[str, Optional[float]]:
    """Return the tag (field 1) and the number: a simple value (2), or a tensor (8) of one."""
    name, number = "", None
    for field, value in _fields(summary_value):
        if field == 1:
            name = value.decode("utf-8", "replace")
        elif field == 2:
            number = _float32(value)
        elif field == 8:
            number = _number_of_tensor(value)
    return name, number


# By the number of the type in `types.proto`: its format, and the field for values of its own.
_TENSOR_TYPES = {1: ("<f", 5), 2: ("<d", 6), 3: ("<i", 7), 9: ("<q", 10)}


def _number_of_tensor(tensor: bytes) -> Optional[float]:
    """Return the number of a `TensorProto` without dimensions, None if it is another tensor."""
    values = dict(_fields(tensor))
    if values.get(1) not in _TENSOR_TYPES or len(values.get(2, b"")) > 0:
        return None
    format, own_field = _TENSOR_TYPES[values[1]]
    content = values.get(4)
    if content is None:
        content = values.get(own_field)
        if own_field in (7, 10) and content is not None:
            return _signed(_only_varint(content))
    if content is None or len(content) != struct.calcsize(format):
        return None
    if format == "<f":
        return _float32(content)
    (number,) = struct.unpack(format, content)
    return cast(float, number)


def _only_varint(content: Any) -> int:
    """Return a variable-length integer: by itself, or the first of a packed list."""
    if isinstance(content, int):
        return content
    number, _ = _varint(content, 0)
    return number


def _float32(data: bytes) -> float:
    """Return the number with the fewest digits that these four bytes stand for."""
    (number,) = struct.unpack("<f", data)
    for digits in (7, 8):
        short = float(f"{number:.{digits}g}")
        if abs(short) < _LARGEST_FLOAT32 and struct.pack("<f", short) == data:
            return short
    return float(f"{number:.9g}")


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _fields(message: bytes) -> List[tuple[int, Any]]:
    """Return the number and the value of each field of a protocol buffer message.

    The format is described at https://protobuf.dev/programming-guides/encoding/. A value is an int
    or bytes. Raises IndexError or ValueError if the message is damaged.
    """
    fields: List[tuple[int, Any]] = []
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            fields.append((key >> 3, value))
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(kind)
        end = at + length
        if end > len(message):
            raise ValueError(length)
        fields.append((key >> 3, message[at:end]))
        at = end
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the variable-length integer at a position, and the position after it."""
    number = data[at]
    at += 1
    if number < 0x80:
        return number, at
    number &= 0x7F
    for shift in range(7, 70, 7):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise ValueError(number)


def _crc_table() -> List[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _crc_table()


@lru_cache(maxsize=1024)  # most records have one of few lengths
def masked_crc(data: bytes) -> int:
    """Return the CRC-32C of the data, masked as TFRecord masks it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


# The program


class _OutOfTime(Exception):
    pass


def _sibling(name: str) -> Any:
    """Import a module beside this program, which runs without any search path."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reduction = _sibling("reduction")


def last_points(points: Iterator[Point], answer: Dict[str, Any]) -> None:
    """Put the last point and the series of each metric into the answer.

    The number of points of metrics that are left out is in the answer as well.
    """
    last: Dict[str, Any] = answer["points"]
    collected = reduction.Collected()
    try:
        for point in points:
            name = point.name
            if name in last or (
                len(last) < MOST_NAMES and len(name) <= LONGEST_NAME
            ):
                last[name] = (point.value, point.step, point.seconds)
                collected.add(name, point)
            else:
                answer["left_out"] += 1
    finally:
        answer["series"] = collected.series()


POINTS: Dict[str, Callable[..., Iterator[Point]]] = {
    "csv": lambda file, request: csv_points(file, request["step"]),
    "dvclive": lambda file, request: dvclive_points(file),
    "log": lambda file, request: log_points(file, request["pattern"]),
    "tensorboard": lambda file, request: tensorboard_points(file),
}


def read_points(request: Dict[str, Any]) -> Dict[str, Any]:
    """Return the last points of one file, and in `note` what of it was not read."""
    answer: Dict[str, Any] = {
        "points": {},
        "series": {},
        "left_out": 0,
        "note": None,
    }
    with io.open(request["descriptor"], "rb") as file:
        longest = LONGEST_READ.get(request["kind"])
        if longest and os.fstat(file.fileno()).st_size > longest:
            answer["note"] = "only its last %d MiB are read" % (longest >> 20)
        try:
            last_points(POINTS[request["kind"]](file, request), answer)
        except (Unreadable, MemoryError) as error:
            answer["note"] = str(error) or "it needs too much memory"
        except _OutOfTime:
            answer["note"] = "it takes more than %g s to read" % CPU_S
            answer["is_out_of_time"] = True
    return answer


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    signal.signal(signal.SIGPROF, _stop)
    requests = json.load(sys.stdin)
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    for request in requests:
        answer = read_points(request)
        print(json.dumps(answer), flush=True)
        if "is_out_of_time" in answer:
            return


def _stop(signal_number: int, frame: Any) -> None:
    raise _OutOfTime


if __name__ == "__main__":
    main()
