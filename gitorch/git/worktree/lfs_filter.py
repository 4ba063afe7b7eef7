"""A filter for Git LFS files, for a machine without git-lfs.

    python lfs_filter.py STORE…

A STORE is a directory of objects, as git-lfs keeps them. The program speaks git's protocol for
filters that run until git has no more files (gitattributes(5), "Long Running Filter Process"). To
smudge a file, it searches all stores for the content, and reports an error if none has the content.
To clean a file, it puts the content into the first store. It runs with `python -I -S`, so it uses
the standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_POINTER = (  # compiled where it is used, which is seldom
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-.*\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)
_LONGEST_POINTER = 1024  # bytes, of git-lfs
_LONGEST_PACKET = 65516
_SUCCESS, _ERROR = b"status=success\n", b"status=error\n"


class LfsFilter:
    """The filter. Requests come from `source`, and the answers go to `target`."""

    def __init__(
        self, source: BinaryIO, target: BinaryIO, stores: list[Path]
    ) -> None:
        self._source = source
        self._target = target
        self._stores = stores

    def work(self) -> None:
        """Answer the requests until git has no more."""
        list(self._packets())  # git-filter-client, version=2
        self._answer(b"git-filter-server\n", b"version=2\n")
        list(self._packets())  # the capabilities of git
        self._answer(b"capability=clean\n", b"capability=smudge\n")
        while request := list(self._packets()):
            content = self._packets()
            start = b""
            for packet in content:
                start += packet
                if len(start) >= _LONGEST_POINTER:
                    break
            pointer = re.fullmatch(_POINTER, start)
            if b"command=smudge\n" in request:
                self._smudge(start, content, pointer)
            elif pointer or not start:
                self._pass_on(start, content)
            else:
                self._clean(start, content)

    def _smudge(
        self,
        start: bytes,
        content: Iterator[bytes],
        pointer: re.Match[bytes] | None,
    ) -> None:
        if pointer is None:
            self._pass_on(start, content)
            return
        list(content)
        found = self._find(pointer[1].decode(), int(pointer[2]))
        if found is None:
            self._answer(_ERROR)
            return
        self._answer(_SUCCESS)
        with found.open("rb") as file:
            while block := file.read(_LONGEST_PACKET):
                self._write(block)
        self._end()

    def _clean(self, start: bytes, content: Iterator[bytes]) -> None:
        """Put the content into the first store, and answer with its pointer."""
        import tempfile  # noqa: PLC0415  takes 2 ms, and is seldom needed

        store = self._stores[0]
        store.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(start)
        size = len(start)
        with tempfile.NamedTemporaryFile(dir=store, delete=False) as aside:
            aside.write(start)
            for packet in content:
                aside.write(packet)
                digest.update(packet)
                size += len(packet)
            aside.flush()
            os.fsync(aside.fileno())
        sha256 = digest.hexdigest()
        path = _path(store, sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(aside.name).replace(path)
        pointer = (
            "version https://git-lfs.github.com/spec/v1\n"
            f"oid sha256:{sha256}\nsize {size}\n"
        )
        self._answer(_SUCCESS)
        self._write(pointer.encode())
        self._end()

    def _pass_on(self, start: bytes, content: Iterator[bytes]) -> None:
        """Answer with the content itself.

        git writes all of it before it reads the answer, so it is kept in memory: a file that is
        not large, since a large one has a pointer.
        """
        packets = [start, *content]
        self._answer(_SUCCESS)
        for packet in packets:
            for begin in range(0, len(packet), _LONGEST_PACKET):
                self._write(packet[begin : begin + _LONGEST_PACKET])
        self._end()

    def _find(self, sha256: str, size: int) -> Path | None:
        for store in self._stores:
            path = _path(store, sha256)
            if path.is_file() and path.stat().st_size == size:
                return path
        return None

    # pkt-line (gitprotocol-common(5))

    def _packets(self) -> Iterator[bytes]:
        """Yield the packets up to the next flush packet, or up to the end of the input."""
        while header := self._source.read(4):
            length = int(header, 16)
            if length == 0:
                return
            yield self._source.read(length - 4)

    def _write(self, packet: bytes) -> None:
        self._target.write(b"%04x" % (len(packet) + 4) + packet)

    def _answer(self, *packets: bytes) -> None:
        for packet in packets:
            self._write(packet)
        self._target.write(b"0000")
        self._target.flush()

    def _end(self) -> None:
        """End the content. The empty list after it says that the status has not changed."""
        self._target.write(b"00000000")
        self._target.flush()


def _path(store: Path, sha256: str) -> Path:
    return store / sha256[:2] / sha256[2:4] / sha256


if __name__ == "__main__":
    LfsFilter(
        sys.stdin.buffer, sys.stdout.buffer, [Path(store) for store in sys.argv[1:]]
    ).work()
