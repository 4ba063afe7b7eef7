"""The program that compares by value: sound files, odd files, and files made to harm it."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from typing import Any

import pytest

from gitorch.model.run.by_value import ByValue
from gitorch.model.run.tolerance import Tolerance
from gitorch.storage.values import Pair, compare_pairs

LOOSE = Tolerance(relative=1e-6, absolute=1e-12)


def compared(
    kind: str, before: bytes, after: bytes, tolerance: Tolerance = LOOSE
) -> ByValue:
    [found] = compare_pairs([Pair(kind, before, after)], tolerance)
    return found


def npy(
    values: list[Any], code: str = "d", descr: str = "<f8", **header: Any
) -> bytes:
    described = {"descr": descr, "fortran_order": False, "shape": (len(values),)}
    text = f"{described | header}\n".encode()
    data = struct.pack(f"<{len(values)}{code}", *values)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def npz(**arrays: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(f"{name}.npy", array)
    return file.getvalue()


def first(found: ByValue) -> tuple[str, Any, Any]:
    assert found.note is None
    place = found.beyond[0]
    return place.at, place.before, place.after


def test_the_last_bits_of_an_array_are_within_the_tolerance() -> None:
    values = [0.1, 0.2, float("nan"), 1e300]
    close = [0.1, 0.2 + 3e-17, float("nan"), 1e300]
    found = compared("npy", npy(values), npy(close))
    assert (found.count, found.within, found.largest_at) == (0, 1, "[1]")
    assert found.largest_relative == pytest.approx(1.4e-16, rel=0.1)
    exact = compared("npy", npy(values), npy(close), Tolerance(0.0, 0.0))
    assert first(exact)[0] == "[1]"


def test_arrays_of_all_plain_types() -> None:
    types = {
        "<i4": ("i", [1, 2], [1, 3]),
        "|u1": ("B", [1, 2], [1, 3]),
        "<f2": ("e", [1, 2], [1, 3]),
        "<f4": ("f", [1, 2], [1, 3]),
        "|b1": ("?", [True, False], [True, True]),
    }
    for descr, (code, before, after) in types.items():
        found = compared("npy", npy(before, code, descr), npy(after, code, descr))
        assert first(found) == ("[1]", before[1], after[1]), descr
    numbers = [1.0, 0.0, 2.0, 5.0]
    complex_before = npy(numbers, "d", "<c16", shape=(2,))
    complex_after = npy([1.0, 0.0, 2.0, 6.0], "d", "<c16", shape=(2,))
    assert first(compared("npy", complex_before, complex_after)) == ("[1]", 5, 6)


def test_arrays_of_texts_have_the_same_texts() -> None:
    names = "".join(name.ljust(3, "\0") for name in ("ab", "ä€c", ""))
    wide = npy(list(names.encode("utf-32-le")), "B", "<U3", shape=(3,))
    turned = npy(list(names.encode("utf-32-be")), "B", ">U3", shape=(3,))
    assert compared("npy", wide, turned) == ByValue()
    other = npy(list(names[::-1].encode("utf-32-le")), "B", "<U3", shape=(3,))
    assert first(compared("npy", wide, other)) == ("[0]", "ab", "")
    short = npy(list(b"abcd"), "B", "|S2", shape=(2,))
    found = compared("npy", short, npy(list(b"abcx"), "B", "|S2", shape=(2,)))
    assert first(found) == ("[1]", "cd", "cx")
    longer = npy(list(b"abcd"), "B", "|S1", shape=(4,))
    assert first(compared("npy", short, longer)) == ("type", "S2", "S1")
    close = npz(x=npy([1.0 + 1e-12]), labels=wide)
    found = compared("npz", npz(x=npy([1.0]), labels=wide), close)
    assert (found.count, found.within, found.note) == (0, 1, None)


def test_the_place_in_an_array_of_several_axes() -> None:
    before = npy([0.0] * 6, shape=(2, 3))
    after = npy([0.0] * 5 + [1.0], shape=(2, 3))
    assert first(compared("npy", before, after)) == ("[1][2]", 0, 1)
    fortran = {"shape": (2, 3), "fortran_order": True}
    found = compared(
        "npy", npy([0.0] * 6, **fortran), npy([0, 1, 0, 0, 0, 0], **fortran)
    )
    assert first(found) == ("[1][0]", 0, 1)
    assert first(compared("npy", before, npy([0.0] * 6)))[0] == "shape"
    assert first(compared("npy", before, npy([0] * 6, "q", "<i8")))[0] == "type"
    assert compared("npy", before, npy([0.0] * 6, **fortran)).note is not None


def test_archives_are_compared_by_the_names_of_arrays() -> None:
    one, other = npy([1.0]), npy([2.0])
    found = compared("npz", npz(a=one, b=one), npz(b=other, c=one))
    assert [place.at for place in found.beyond] == ["a", "b[0]", "c"]
    assert compared("npz", npz(a=one, b=one), npz(b=one, a=one)) == ByValue()


def test_json_is_compared_by_value() -> None:
    before = {"loss": 0.5, "layers": [{"w": [1, 2.0]}], "n": 1000000, "name": "a"}
    after = {
        "name": "b",
        "n": 1000001,
        "loss": 0.5 + 1e-9,
        "layers": [{"w": [1.0, 2]}],
    }
    found = compared(
        "json", json.dumps(before).encode(), json.dumps(after).encode()
    )
    assert [place.at for place in found.beyond] == ["n", "name"]
    assert (found.within, found.largest_at) == (1, "n")
    assert first(compared("json", b"[true]", b"[1]")) == ("[0]", True, 1)
    assert first(compared("json", b"{}", b'{"a": null}')) == ("a", None, None)


def test_tables_are_compared_cell_by_cell() -> None:
    before = b"epoch;loss\n1;0.5\n2;0.25\n"
    after = b"epoch;loss\r\n1;0.50000001\r\n2;0.3\r\n3;0.1\r\n"
    found = compared("csv", before, after)
    assert [place.at for place in found.beyond] == ["line 3, loss", "line 4"]
    assert found.within == 1


def test_the_numbers_in_a_log_may_differ_a_little() -> None:
    found = compared("log", b"a\nloss 0.5\nend\n", b"a\nloss 0.50000001\nend")
    assert (found.count, found.within, found.largest_at) == (0, 1, "line 2")
    found = compared("log", b"a\nb 1\n", b"a\nb 2\n")
    assert first(found) == ("line 2", "b 1", "b 2")


class Harmful:
    def __reduce__(self) -> Any:
        raise AssertionError("it was pickled")


HOSTILE = {
    "a pickled object": (
        "npy",
        npy([1.0], descr="|O")[:-8] + pickle.dumps({"a": 1}),
    ),
    "a header that is a program": (
        "npy",
        b"\x93NUMPY\x01\x00\x10\x00__import__('os')",
    ),
    "a header without an end": ("npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"),
    "a shape without data": ("npy", npy([1.0], shape=(10**15,))),
    "a negative shape": ("npy", npy([1.0], shape=(-1,))),
    "deep JSON": ("json", b"[" * 1_000_000),
    "a number that is too long": ("json", b"1" * 10_000),
    "no JSON": ("json", b"\xff\x00"),
    "no archive": ("npz", b"PK\x03\x04 and nothing"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_not_compared(what: str) -> None:
    kind, data = HOSTILE[what]
    found, other = compare_pairs(
        [Pair(kind, data, data), Pair("json", b"1", b"2")], LOOSE
    )
    assert found.note is not None
    assert other.count == 1


def test_huge_numbers_are_compared() -> None:
    huge = b"[1e999, " + b"9" * 400 + b", NaN, 1e308]"
    other = b"[-1e999, 1.5, NaN, -1e308]"
    found = compared("json", huge, other)
    assert [place.at for place in found.beyond] == ["[0]", "[1]", "[3]"]
