"""The comparison of files by value, for those that differ in their bytes.

A process of its own reads the files (see `runner/values_program.py`). YAML is turned into JSON
here, with the bounds that configs have.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from gitorch import runner
from gitorch.errors import GitorchError, NotFound
from gitorch.git.modes import LINK
from gitorch.git.store import artifacts
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.by_value import ByValue
from gitorch.model.run.record import Output, Record
from gitorch.model.run.tolerance import Tolerance
from gitorch.storage.site import Site
from gitorch.tools.anonymous import anonymous_file
from gitorch.tools.programs import TookTooLong, run_program

MOST_FILES = 200  # of one run; more are compared by their digests alone
_BATCH = 50  # pairs of files that are open at once
_PROGRAM = Path(runner.__file__).with_name("values_program.py")
_TIME_LIMIT_S = 60.0  # the program itself stops after 20 s of processor time
_MOST_PLACES = 20
_LARGEST_BLOB = 1 << 30  # bytes
_KINDS = {
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".npy": "npy",
    ".npz": "npz",
}


class Pair(NamedTuple):
    """Two contents to compare. `kind` is one of the program's: json, csv, log, npy or npz."""

    kind: str
    before: bytes | BinaryIO
    after: bytes | BinaryIO
    most: int = _MOST_PLACES  # places that the answer names


def kind_of_file(path: str) -> str | None:
    """Return how a file of this name can be compared by value, None if it cannot be."""
    return _KINDS.get(Path(path).suffix.lower())


def json_pair(before: Any, after: Any, *, most: int = _MOST_PLACES) -> Pair:
    """Return a pair of JSON values."""
    return Pair(
        "json", json.dumps(before).encode(), json.dumps(after).encode(), most
    )


def compare_pairs(pairs: Sequence[Pair], tolerance: Tolerance) -> list[ByValue]:
    """Compare each pair. A pair that cannot be compared has a note that says why."""
    found: list[ByValue] = []
    for start in range(0, len(pairs), _BATCH):
        found += _compare_batch(pairs[start : start + _BATCH], tolerance)
    return found


def compare_outputs(
    site: Site,
    records: tuple[Record, Record],
    paths: Sequence[str],
    tolerance: Tolerance,
) -> dict[str, ByValue]:
    """Compare outputs that both runs have, as far as their kinds of files have values."""
    outputs = []
    for record in records:
        outputs.append({output.path: output for output in record.outputs})
    found: dict[str, ByValue] = {}
    comparable = []
    for path in paths:
        both = (outputs[0][path], outputs[1][path])
        if both[0].mode != both[1].mode:
            found[path] = ByValue(note="its mode is another one")
        elif kind_of_file(path) and both[0].mode != LINK:
            comparable.append(path)
    for path in comparable[MOST_FILES:]:
        found[path] = ByValue(
            note=f"at most {MOST_FILES} files are compared by value"
        )
    for start in range(0, min(len(comparable), MOST_FILES), _BATCH):
        batch = comparable[start : min(start + _BATCH, MOST_FILES)]
        both_sides = [(outputs[0][path], outputs[1][path]) for path in batch]
        found |= _compare_opened(site, records, both_sides, tolerance)
    return found


def _compare_opened(
    site: Site,
    records: tuple[Record, Record],
    outputs: Sequence[tuple[Output, Output]],
    tolerance: Tolerance,
) -> dict[str, ByValue]:
    found: dict[str, ByValue] = {}
    pairs: dict[str, Pair] = {}
    with ExitStack() as opened:
        for both in outputs:
            path = both[0].path
            try:
                files = []
                for record, output in zip(records, both, strict=True):
                    file = _open(site, record, output)
                    files.append(opened.enter_context(file))
                pairs[path] = _pair(path, files[0], files[1])
            except NotFound:
                found[path] = ByValue(note="a large file that is not in this clone")
            except (GitorchError, OSError, ValueError) as error:
                found[path] = ByValue(note=str(error))
        answers = compare_pairs(list(pairs.values()), tolerance)
    return found | dict(zip(pairs, answers, strict=True))


def _open(site: Site, record: Record, output: Output) -> BinaryIO:
    """Open a kept output. Raises NotFound."""
    if output.stored == "git" and output.size > _LARGEST_BLOB:
        raise ValueError("it is too large")
    [data] = site.results.read_all([RunPaths.of(record.id).output(output.path)])
    if data is None:
        raise NotFound(f"{output.path} is not on the results branch")
    return artifacts.open_kept(site.repository, data, output.stored)


def _pair(path: str, before: BinaryIO, after: BinaryIO) -> Pair:
    kind = kind_of_file(path) or ""
    if kind != "yaml":
        return Pair(kind, before, after)
    return Pair("json", _yaml_as_json(before), _yaml_as_json(after))


def _yaml_as_json(file: BinaryIO) -> bytes:
    """Return a YAML file as JSON. Raises ValueError."""
    from gitorch.config.yaml_parser import (  # noqa: PLC0415  with YAML: 60 ms
        LARGEST,
        parse_document,
    )

    document = parse_document(file.read(LARGEST + 1), "")
    if document.problems or document.root is None:
        raise ValueError("it is not YAML that gitorch can read")
    return json.dumps(document.root.value).encode()


def _compare_batch(pairs: Sequence[Pair], tolerance: Tolerance) -> list[ByValue]:
    if not pairs:
        return []
    requests = []
    with ExitStack() as opened:
        for pair in pairs:
            sides = []
            for content in (pair.before, pair.after):
                descriptor = _descriptor(content)
                opened.callback(os.close, descriptor)
                sides.append(descriptor)
            request = {"kind": pair.kind, "most": pair.most}
            requests.append(request | {"before": sides[0], "after": sides[1]})
        answers = list(_answers(requests, tolerance))
    if len(answers) < len(pairs):
        missing = ByValue(note="comparing it takes too long")
        answers += [missing] * (len(pairs) - len(answers))
    return answers


def _descriptor(content: bytes | BinaryIO) -> int:
    """Return a new descriptor from which the content can be read."""
    if not isinstance(content, bytes):
        try:
            return os.dup(content.fileno())
        except OSError:  # a file in memory
            content = content.read()
    descriptor = anonymous_file("value")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _answers(
    requests: Sequence[dict[str, Any]], tolerance: Tolerance
) -> Iterator[ByValue]:
    """Yield the answers of the program. If it was ended before its end, some are missing."""
    descriptors = []
    for request in requests:
        descriptors += [request["before"], request["after"]]
    asked = {**tolerance._asdict(), "pairs": list(requests)}
    try:
        ended = run_program(
            [sys.executable, "-I", "-S", str(_PROGRAM)],
            env={},
            awaited="the results of two runs to be compared",
            input=json.dumps(asked).encode(),
            bound_s=_TIME_LIMIT_S,
            pass_fds=tuple(descriptors),
        )
    except TookTooLong:
        return
    for line in ended.stdout.splitlines():
        answer = json.loads(line)
        yield ByValue.from_json(_without_nan(answer))


def _without_nan(value: Any) -> Any:
    """Return a JSON value with words in place of the numbers that JSON does not have."""
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case list():
            return [_without_nan(item) for item in value]
        case dict():
            return {key: _without_nan(item) for key, item in value.items()}
        case _:
            return value
