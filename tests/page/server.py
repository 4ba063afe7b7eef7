"""A running `gitorch ui`, and requests to it as a browser or a hostile page sends them."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.conftest import started


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Server(NamedTuple):
    """`link` is what the command printed; `cookie` is what the link gives."""

    link: str
    cookie: str
    process: subprocess.Popen[str]

    @property
    def origin(self) -> str:
        return self.link.partition("/?")[0]

    @property
    def host(self) -> str:
        return urlsplit(self.link).netloc

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        **headers: str | None,
    ) -> Answer:
        """Send a request with the cookie. `headers` replace headers, and None removes one."""
        sent = {"host": self.host, "cookie": self.cookie}
        for name, value in headers.items():
            sent[name.replace("_", "-")] = value or ""
            if value is None:
                del sent[name.replace("_", "-")]
        return request(self.host, path, method, body, sent)

    def act(self, wish: dict[str, Any], **headers: str | None) -> Answer:
        """Ask for a change as the page does."""
        csrf = self.ask("/").text.partition('name="csrf" content="')[2]
        whole: dict[str, str | None] = {
            "origin": self.origin,
            "x-gitorch-csrf": csrf.partition('"')[0],
            **headers,
        }
        return self.ask("/act", "POST", json.dumps(wish).encode(), **whole)


def request(
    host: str,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, received, response.read())
    finally:
        connection.close()


@contextmanager
def serving(root: Path, *options: str) -> Iterator[Server]:
    """Start `gitorch ui`, and end it as Ctrl-C does."""
    process = started(root, "ui", *options)
    try:
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        assert link, process.communicate()[1]
        parts = urlsplit(link)
        entered = request(
            parts.netloc, f"/?{parts.query}", headers={"host": parts.netloc}
        )
        cookie = entered.headers["set-cookie"].partition(";")[0]
        yield Server(link, cookie, process)
    finally:
        process.send_signal(2)
        _, complaints = process.communicate(timeout=20)
        assert "Traceback" not in complaints, complaints
