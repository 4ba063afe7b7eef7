"""Messages from several threads to one that waits for them.

A descriptor becomes readable when there are messages.
"""

from __future__ import annotations

import socket
from collections import deque
from contextlib import suppress
from typing import Generic, TypeVar

Message = TypeVar("Message")


class Inbox(Generic[Message]):
    """The messages that the waiting thread has not taken yet."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def post(self, message: Message) -> None:
        self._messages.append(message)
        with suppress(
            BlockingIOError
        ):  # the socket is full of wake-up calls already
            self._writer.send(b"\0")

    def drain(self) -> list[Message]:
        """Take the messages and return them, oldest first.

        The list is empty if a signal woke the thread.
        """
        with suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass
        messages = []
        while self._messages:
            messages.append(self._messages.popleft())
        return messages

    def fileno(self) -> int:
        return self._reader.fileno()

    @property
    def waker(self) -> int:
        """Return the descriptor for `signal.set_wakeup_fd`: a signal then wakes the thread."""
        return self._writer.fileno()

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
