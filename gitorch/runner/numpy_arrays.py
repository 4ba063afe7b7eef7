"""Reads arrays of numbers and of texts from `.npy` files, without NumPy. Nothing is ever unpickled.

The format is described at https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import ast
import math
import re
import struct
from typing import Any, BinaryIO, Iterator, List, NamedTuple, Tuple

_BLOCK = 1 << 16  # elements that are read together
_LARGEST_BLOCK = 1 << 20  # bytes
_LONGEST_HEADER = 1 << 16  # bytes
_LONGEST_SHOWN = 40  # characters of a type
# The letter of `struct` for each kind and size in bytes. A complex number is two numbers.
_CODES = {
    ("i", 1): "b",
    ("i", 2): "h",
    ("i", 4): "i",
    ("i", 8): "q",
    ("u", 1): "B",
    ("u", 2): "H",
    ("u", 4): "I",
    ("u", 8): "Q",
    ("f", 2): "e",
    ("f", 4): "f",
    ("f", 8): "d",
    ("b", 1): "?",
    ("c", 8): "f",
    ("c", 16): "d",
}

_TEXTS = {"U": 4, "S": 1}  # bytes of a character, by kind

# The keys of a value, and the value in each of two arrays.
Difference = Tuple[Tuple[Any, ...], Any, Any]


class NotAnArray(Exception):
    """The file is not an array of numbers or texts. The text says why."""


class Header(NamedTuple):
    """The type and shape of an array. `kind` is the letter of NumPy, `order` that of `struct`.

    `size` is that of an element in bytes.
    """

    order: str
    kind: str
    size: int
    is_fortran: bool
    shape: Tuple[int, ...]

    @property
    def width(self) -> int:
        """Return how many numbers an element consists of."""
        return 2 if self.kind == "c" else 1

    @property
    def type(self) -> str:
        return "%s%d" % (self.kind, self.size // _TEXTS.get(self.kind, 1))

    def elements(self, data: bytes) -> Tuple[Any, ...]:
        if self.kind in _TEXTS:
            return tuple(self._texts(data))
        count = len(data) // self.size * self.width
        code = _CODES[self.kind, self.size]
        return struct.unpack("%s%d%s" % (self.order, count, code), data)

    def _texts(self, data: bytes) -> Iterator[str]:
        codec = "latin-1"
        if self.kind == "U":
            codec = "utf-32-be" if self.order == ">" else "utf-32-le"
        for start in range(0, len(data), self.size):
            element = data[start : start + self.size]
            yield element.decode(codec, "replace").rstrip("\0")

    def indices(self, position: int) -> Tuple[int, ...]:
        """Return the indices, along each axis, of the element at a position in the file."""
        indices: List[int] = []
        for size in self.shape if self.is_fortran else self.shape[::-1]:
            position, index = divmod(position, size)
            indices.append(index)
        return tuple(indices if self.is_fortran else indices[::-1])


def read_header(file: BinaryIO) -> Header:
    """Read the header of a `.npy` file. Raises NotAnArray."""
    if file.read(6) != b"\x93NUMPY":
        raise NotAnArray("it is not an array of NumPy")
    version = file.read(2)
    length = int.from_bytes(file.read(2 if version[:1] == b"\x01" else 4), "little")
    if length > _LONGEST_HEADER:
        raise NotAnArray("its header is too long")
    try:
        fields = ast.literal_eval(file.read(length).decode("utf-8"))
        described = str(fields["descr"])
        is_fortran = bool(fields["fortran_order"])
        shape = tuple(map(int, fields["shape"]))
    except (
        Exception
    ) as error:  # of the parser: SyntaxError, RecursionError and others
        raise NotAnArray("its header is damaged") from error
    if any(length < 0 for length in shape):
        raise NotAnArray("its header is damaged")
    order, kind, size = _element(described)
    return Header(order, kind, size, is_fortran, shape)


def _element(described: str) -> Tuple[str, str, int]:
    """Return order, kind and size of the elements. Raises NotAnArray."""
    match = re.fullmatch(r"([<>|=])([a-zA-Z])([1-9][0-9]{0,5})", described)
    if match is not None:
        order = ">" if match[1] == ">" else "<"
        kind, size = match[2], int(match[3])
        if kind in _TEXTS:
            return order, kind, size * _TEXTS[kind]
        if (kind, size) in _CODES:
            return order, kind, size
    raise NotAnArray(
        "its elements are neither numbers nor texts: %s"
        % described[:_LONGEST_SHOWN]
    )


def differences(before: BinaryIO, after: BinaryIO) -> Iterator[Difference]:
    """Yield the elements that differ. Arrays of other types or shapes are one difference.

    Raises NotAnArray.
    """
    one, other = read_header(before), read_header(after)
    if one.type != other.type:
        yield ("type",), one.type, other.type
        return
    if one.shape != other.shape:
        yield ("shape",), str(one.shape), str(other.shape)
        return
    if one.is_fortran != other.is_fortran and len(one.shape) > 1:
        raise NotAnArray("its elements are in another order")
    total = math.prod(one.shape)
    block = max(1, min(_BLOCK, _LARGEST_BLOCK // one.size))
    for start in range(0, total, block):
        size = min(total - start, block) * one.size
        data = _exactly(before, size), _exactly(after, size)
        if data[0] != data[1] or one.order != other.order:
            numbers = one.elements(data[0]), other.elements(data[1])
            for index, pair in enumerate(zip(*numbers)):  # noqa: B905  3.8
                if pair[0] != pair[1]:
                    yield one.indices(start + index // one.width), pair[0], pair[1]


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise NotAnArray("it is shorter than its header says")
    return data
