"""The messages between a worker and its slots.

A message is a JSON object. The socket preserves the boundaries of messages.

    worker to slot           {"generation": n} with an order
                             {"cancel": token, "outcome": Outcome as JSON}, and perhaps the
                             "grace_s" that the attempt has to end by itself
    slot to worker           {"up": generation}
                             {"ended": Ended as JSON, "generation": the slot's for the next order}
    supervisor to worker     {"died": generation, "code": its exit code, or minus the signal}

An order is sent as the descriptor of a file in memory, because the environment in the order can
make it too long for a message.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    from typing import Any

LARGEST_MESSAGE = 64 * 1024


def send(
    end: socket.socket,
    message: Mapping[str, Any],
    order: Mapping[str, Any] | None = None,
) -> None:
    """Send a message, together with an order if there is one."""
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


def receive(
    end: socket.socket,
) -> tuple[dict[str, Any], dict[str, Any] | None] | None:
    """Return the next message and its order, or None if the other side is gone."""
    flags = socket.MSG_CMSG_CLOEXEC
    try:
        data, descriptors, _, _ = socket.recv_fds(end, LARGEST_MESSAGE, 1, flags)
    except (
        ConnectionResetError
    ):  # the other side ended before it read all of our messages
        return None
    if not data:
        return None
    order = None
    for descriptor in descriptors:
        with os.fdopen(descriptor, "rb") as file:
            file.seek(0)
            order = json.loads(file.read())
    return json.loads(data), order
