"""The server of the page, on loopback."""

from __future__ import annotations

import socket
from collections.abc import Callable

from gitorch.errors import Busy, ProgramMissing
from gitorch.page.guard import TOKEN, Guard, Keys
from gitorch.storage.site import Site

_BACKLOG = 128
_GRACE_S = 1  # the stream of an open page ends after its pause


def serve(
    site: Site,
    *,
    port: int,
    read_only: bool,
    announce: Callable[[str], None],
) -> None:
    """Serve the page until the program is interrupted.

    `port` is 0 for a free one. `announce` is called with the link once the server can be reached.
    Raises Busy if the port is in use, and ProgramMissing if a library is not installed.
    """
    try:
        import uvicorn  # noqa: PLC0415  with starlette 0.2 s, which no other command needs

        from gitorch.page.application import application  # noqa: PLC0415  the same
    except ImportError as error:
        raise ProgramMissing(
            f"the page needs a library that is not installed: {error.name}",
            "pip install starlette uvicorn",
        ) from None
    with _listening(port) as listener:
        guard = Guard(keys=Keys.new(), port=listener.getsockname()[1])
        config = uvicorn.Config(
            application(
                site,
                guard,
                read_only=read_only,
                is_ending=lambda: server.should_exit,
            ),
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            timeout_graceful_shutdown=_GRACE_S,
        )
        server = uvicorn.Server(config)
        announce(f"http://127.0.0.1:{guard.port}/?{TOKEN}={guard.keys.token}")
        server.run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise Busy(
            f"port {port} cannot be used: {error.strerror}",
            "gitorch ui --port 0 takes a free one",
        ) from None
    return listener
