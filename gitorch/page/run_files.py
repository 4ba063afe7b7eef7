"""The files of a run: pieces of its logs, and its outputs to download or to preview."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote

from starlette.responses import JSONResponse, StreamingResponse

from gitorch.actions.log_pieces import LONGEST, log_piece, search_log
from gitorch.actions.outputs import open_output
from gitorch.page.guard import SANDBOX
from gitorch.page.view import Desk, Query

_BLOCK = 1 << 18
_PREVIEWED = 64 << 10  # bytes
_MOST_ROWS = 200
_MOST_CELLS = 50
_MOST_CELL = 200  # characters
_LARGEST_IMAGE = 32 << 20
# The first bytes of the images that browsers show, and their types.
_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def log(desk: Desk, query: Query) -> Any:
    """Return a piece of a log, or the places where a text occurs in it."""
    number = query.get("attempt")
    chosen: dict[str, Any] = {
        "task": query.get("task") or None,
        "attempt": int(number) if number.isdigit() else None,
        "environment": os.environ,
    }
    if text := query.get("search"):
        found = search_log(
            desk.site,
            query.path["id"],
            text,
            start=query.number("start", 0),
            **chosen,
        )
        return JSONResponse({"offsets": found.offsets, "searched": found.searched})
    start = query.number("start", 0) if query.get("start") else None
    piece = log_piece(
        desk.site,
        query.path["id"],
        start=start,
        length=query.number("length", LONGEST),
        **chosen,
    )
    return JSONResponse(
        {
            "task": piece.task,
            "attempt": piece.attempt,
            "start": piece.start,
            "end": piece.end,
            "size": piece.size,
            "is_live": piece.is_live,
            "text": piece.data.decode("utf-8", "replace"),
        }
    )


def download(desk: Desk, query: Query) -> Any:
    """Return an output. The browser saves it, and neither runs it nor shows it as a page.

    An image has its own type, so that the page can show it, with `<img>` only.
    """
    path = query.get("path")
    file = open_output(desk.site, query.path["id"], path)
    start = file.read(16)
    file.seek(0)
    name = quote(path.rsplit("/", 1)[-1].encode("utf-8", "replace"))
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Content-Security-Policy": SANDBOX,
    }
    return StreamingResponse(
        _blocks(file),
        headers=headers,
        media_type=_image_type(start) or "application/octet-stream",
    )


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block


def _image_type(start: bytes) -> str | None:
    for magic, media_type in _IMAGES:
        if start.startswith(magic):
            return media_type
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return None


def preview(desk: Desk, query: Query) -> Any:
    """Return the beginning of an output as an image, a table, JSON or text."""
    path = query.get("path")
    with open_output(desk.site, query.path["id"], path) as file:
        data = file.read(_PREVIEWED + 1)
        size = file.seek(0, os.SEEK_END)
    is_whole = len(data) <= _PREVIEWED
    data = data[:_PREVIEWED]
    answer: dict[str, Any] = {"size": size, "is_whole": is_whole}
    if _image_type(data[:16]) and size <= _LARGEST_IMAGE:
        answer["kind"] = "image"
    elif b"\0" in data:
        answer["kind"] = "binary"
    else:
        answer |= _text_preview(path.lower(), data, is_whole=is_whole)
    return JSONResponse(answer)


def _text_preview(name: str, data: bytes, *, is_whole: bool) -> dict[str, Any]:
    text = data.decode("utf-8", "replace")
    if name.endswith(".json") and is_whole:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            pretty = json.dumps(value, indent=2, ensure_ascii=False)
            return {"kind": "text", "text": pretty[: 2 * _PREVIEWED]}
    if name.endswith((".csv", ".tsv")):
        rows = _table(text, "\t" if name.endswith(".tsv") else ",")
        if rows:
            return {"kind": "table", "rows": rows}
    return {"kind": "text", "text": text}


def _table(text: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text), delimiter=delimiter):
            rows.append([cell[:_MOST_CELL] for cell in row[:_MOST_CELLS]])
            if len(rows) > _MOST_ROWS:
                break
    except csv.Error:
        return []
    return rows
