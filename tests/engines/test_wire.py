"""The messages between a worker and its slots."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gitorch.engines.wire import LARGEST_MESSAGE, receive, send


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "size", [0, LARGEST_MESSAGE - 100, LARGEST_MESSAGE, 1 << 22]
)
def test_an_order_of_any_size_arrives_with_its_message(size: int) -> None:
    worker, slot = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    order = {"env": {"LONG": "x" * size}}
    before = _descriptors()
    with worker, slot:
        send(worker, {"generation": 1}, order)
        send(worker, {"cancel": "token"})
        assert receive(slot) == ({"generation": 1}, order)
        assert receive(slot) == ({"cancel": "token"}, None)
        assert _descriptors() == before
        worker.close()
        assert receive(slot) is None
