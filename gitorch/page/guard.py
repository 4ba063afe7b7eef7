"""The rules that every request must fulfil before it reaches a view.

The page is for one person on one machine. Other programs and other web pages of that person can
reach the port too, so that a request must have:

- a Host that names this server, or else a foreign name could be made to point here (DNS rebinding);
- the cookie that the printed link gives, or else any user of the machine could read the results;
- for a change: the Origin of this page, and a header with a secret that only this page knows.

A request from another page (`Sec-Fetch-Site`) is refused unless it follows a link.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from msgspec import Struct

TOKEN = "token"  # noqa: S105  the name of the parameter
CSRF_HEADER = "x-gitorch-csrf"
_SAFE = ("GET", "HEAD")
# Files of the program, which hold nothing of the repository.
PUBLIC = "/static/"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# Of a file that a task made: the browser neither runs nor shows it.
SANDBOX = "sandbox; default-src 'none'"


class Rejection(Struct, frozen=True):
    """The status and the text of the answer to a request that is not allowed."""

    status: int
    message: str


class Keys(Struct, frozen=True, kw_only=True):
    """The secrets of one server: the token of the link, the value of the cookie, the header."""

    token: str
    cookie: str
    csrf: str

    @classmethod
    def new(cls) -> Keys:
        token, cookie, csrf = (secrets.token_urlsafe(24) for _ in range(3))
        return cls(token=token, cookie=cookie, csrf=csrf)


class Guard(Struct, frozen=True, kw_only=True):
    """The rules of a server at `port`. The names of headers are in lower case."""

    keys: Keys
    port: int

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the values of Host that name this server."""
        return f"127.0.0.1:{self.port}", f"localhost:{self.port}"

    @property
    def cookie_name(self) -> str:
        """Return the name of the cookie. Cookies do not depend on the port, so the name does."""
        return f"gitorch-{self.port}"

    def set_cookie(self) -> str:
        """Return the value of the header that gives the cookie to the browser."""
        return (
            f"{self.cookie_name}={self.keys.cookie}; "
            "HttpOnly; SameSite=Strict; Path=/"
        )

    def is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self.keys.token.encode())

    def rejection(
        self, method: str, path: str, headers: Mapping[str, str]
    ) -> Rejection | None:
        """Return why the request is not allowed, None if it is."""
        if headers.get("host", "").lower() not in self.hosts:
            return Rejection(421, "This server answers to 127.0.0.1 only.")
        if self._is_from_elsewhere(headers):
            return Rejection(403, "Another page asked for this.")
        if path.startswith(PUBLIC):
            return None
        if not self._has_cookie(headers.get("cookie", "")):
            return Rejection(
                401, "Open the link that gitorch ui printed: it has the key."
            )
        if method in _SAFE:
            return None
        return self._rejection_of_change(headers)

    def is_known_host(self, headers: Mapping[str, str]) -> bool:
        return headers.get("host", "").lower() in self.hosts

    def _is_from_elsewhere(self, headers: Mapping[str, str]) -> bool:
        """Return True if another site asked, and not because the user followed a link.

        Servers at other ports of this machine are the same site, but not the same origin.
        """
        site = headers.get("sec-fetch-site", "none")
        is_navigation = headers.get("sec-fetch-mode", "navigate") == "navigate"
        return site not in ("same-origin", "none") and not is_navigation

    def _has_cookie(self, text: str) -> bool:
        try:
            cookies = SimpleCookie(text)
        except CookieError:
            return False
        cookie = cookies.get(self.cookie_name)
        if cookie is None:
            return False
        return hmac.compare_digest(cookie.value.encode(), self.keys.cookie.encode())

    def _rejection_of_change(self, headers: Mapping[str, str]) -> Rejection | None:
        origins = [f"http://{host}" for host in self.hosts]
        if headers.get("origin", "") not in origins:
            return Rejection(403, "Another page asked for a change.")
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return Rejection(403, "Another page asked for a change.")
        given = headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode(), self.keys.csrf.encode()):
            return Rejection(403, "The page is out of date: load it again.")
        return None
