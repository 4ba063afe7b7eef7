"""The messages between a worker and its slots.

A message is a JSON object. The socket preserves the boundaries of messages.

    worker to slot           {"generation": n, "order": Order as JSON}
                             {"cancel": token, "outcome": Outcome as JSON}, and perhaps the
                             "grace_s" that the attempt has to end by itself
    slot to worker           {"up": generation}
                             {"ended": Ended as JSON, "generation": the slot's for the next order}
    supervisor to worker     {"died": generation, "code": its exit code, or minus the signal}

The environment in an order can make it too long for a message. The order is then sent as the
descriptor of a file in memory, which takes longer.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping

from gitorch.tools.anonymous import anonymous_file

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    from typing import Any

LARGEST_MESSAGE = 64 * 1024  # bytes


def send(
    end: socket.socket,
    message: Mapping[str, Any],
    order: Mapping[str, Any] | None = None,
) -> None:
    """Send a message, together with an order if there is one."""
    whole = message if order is None else {**message, "order": order}
    data = json.dumps(whole).encode()
    if order is None or len(data) <= LARGEST_MESSAGE:
        end.send(data)
        return
    memory = anonymous_file("order")
    try:
        with os.fdopen(memory, "wb", closefd=False) as file:
            file.write(json.dumps(order).encode())
        socket.send_fds(end, [json.dumps(message).encode()], [memory])
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
    message = json.loads(data)
    order = message.pop("order", None)
    for descriptor in descriptors:
        with os.fdopen(descriptor, "rb") as file:
            file.seek(0)
            order = json.loads(file.read())
    return message, order
