"""What a worker and its slots say to each other: a JSON object a message, on a socket that keeps messages whole.

    worker to slot           {"generation": n} with an order         {"cancel": token, "outcome": Outcome as JSON}
    slot to worker           {"up": generation}
                             {"ended": Ended as JSON, "generation": of the slot that takes the next order}
    supervisor to worker     {"died": generation, "code": exit code, or less the signal}

An order travels as a descriptor of a file in memory: with its environment it may be too long for a message.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from typing import Any

LARGEST_MESSAGE = 64 * 1024


def send(
    end: socket.socket, message: Mapping[str, Any], order: Mapping[str, Any] | None = None
) -> None:
    """Send a message, with an order if there is one."""
    data = json.dumps(message).encode()
    if order is None:
        end.send(data)
        return
    memory = os.memfd_create("order", os.MFD_CLOEXEC)
    try:
        with os.fdopen(memory, "wb", closefd=False) as file:
            file.write(json.dumps(order).encode())
        socket.send_fds(end, [data], [memory])
    finally:
        os.close(memory)


def receive(end: socket.socket) -> tuple[dict[str, Any], dict[str, Any] | None] | None:
    """The next message and its order, as they were sent; None when nobody is left to send one."""
    try:
        data, descriptors, _, _ = socket.recv_fds(end, LARGEST_MESSAGE, 1, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:  # the other side ended with messages of ours unread
        return None
    if not data:
        return None
    order = None
    for descriptor in descriptors:
        with os.fdopen(descriptor, "rb") as file:
            file.seek(0)
            order = json.loads(file.read())
    return json.loads(data), order
