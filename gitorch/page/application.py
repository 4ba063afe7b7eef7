"""The routes of the page. Each view can be had as a page, as a fragment, as JSON and as CSV."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gitorch.errors import GitorchError, NotFound
from gitorch.page.acts import act
from gitorch.page.code import code
from gitorch.page.compare import compare
from gitorch.page.explore import explore
from gitorch.page.guard import HEADERS, TOKEN, Guard
from gitorch.page.live import Parts, stream
from gitorch.page.overview import overview
from gitorch.page.run import run
from gitorch.page.run_files import download, log, preview
from gitorch.page.runs import runs
from gitorch.page.series import series
from gitorch.page.view import HERE, Desk, Query, View, ViewFunction
from gitorch.storage.site import Site

Handler = Callable[[Request], Awaitable[Response]]

VIEWS: dict[str, ViewFunction] = {
    "/overview": overview,
    "/runs": runs,
    "/compare": compare,
    "/explore": explore,
    "/runs/{id}/code": code,
    "/runs/{id}": run,
}
# The ends of the paths whose answers are not pages.
_DATA = (".json", ".csv", ".live", "/log", "/series", "/preview", "/file")
_STATUSES = {"usage": 400, "not-found": 404, "refused": 409, "busy": 503}


def application(
    site: Site, guard: Guard, *, read_only: bool, is_ending: Callable[[], bool]
) -> Guarded:
    """Return the application. With `read_only`, it has no actions.

    `is_ending` tells if the server ends.
    """
    desk = Desk(site=site, guard=guard, read_only=read_only)
    parts = Parts(site, is_ending)
    routes: list[Any] = [Route("/", _page(desk, overview))]
    for path, view in VIEWS.items():
        routes += [
            Route(f"{path}.json", _json(desk, view)),
            Route(f"{path}.csv", _csv(desk, view)),
            Route(f"{path}.live", _live(desk, view, parts)),
        ]
    routes += [
        Route("/runs/{id}/series", _answer(desk, series)),
        Route("/series", _answer(desk, series)),
        Route("/runs/{id}/log", _answer(desk, log)),
        Route("/runs/{id}/preview", _answer(desk, preview)),
        Route("/runs/{id}/file", _answer(desk, download)),
        Route("/act", _act(desk), methods=["POST"]),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    for path, view in VIEWS.items():
        routes.append(Route(path, _page(desk, view)))
    app = Starlette(
        routes=routes,
        exception_handlers={GitorchError: _error(desk), 404: _missing(desk)},
    )
    return Guarded(app, guard)


class Guarded:
    """An ASGI application that refuses what the guard does not allow, and adds the headers."""

    def __init__(self, app: Any, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message["headers"])
            await send(message)

        request = Request(scope)
        answer = self._refusal(request)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal(self, request: Any) -> Any:
        """Return the answer to a request that is not allowed, or that brings the token."""
        token = request.query_params.get(TOKEN)
        headers = {name.lower(): value for name, value in request.headers.items()}
        if token is not None and self._guard.is_known_host(headers):
            return self._enter(request, token)
        rejection = self._guard.rejection(request.method, request.url.path, headers)
        if rejection is None:
            return None
        return PlainTextResponse(f"{rejection.message}\n", rejection.status)

    def _enter(self, request: Any, token: str) -> Any:
        """Give the cookie for the token, and take the token out of the address."""
        if not self._guard.is_token(token):
            return PlainTextResponse("The key in this link is not valid.\n", 401)
        rest = request.url.remove_query_params(TOKEN)
        target = f"{rest.path}?{rest.query}" if rest.query else rest.path
        return RedirectResponse(
            # Two slashes would begin the name of another server.
            "/" + target.lstrip("/"),
            303,
            {"Set-Cookie": self._guard.set_cookie()},
        )


def _add_headers(headers: list[tuple[bytes, bytes]]) -> None:
    given = {name.lower() for name, _ in headers}
    for name, value in HEADERS.items():
        raw = name.lower().encode()
        if raw not in given:
            headers.append((raw, value.encode()))


def _query(request: Any) -> Query:
    return Query(
        path=dict(request.path_params),
        parameters=tuple(request.query_params.multi_items()),
    )


def _render(desk: Desk, template: str, **values: Any) -> bytes:
    """Return a page. The halves of characters that UTF-8 cannot encode become a `?`."""
    page = desk.templates.get_template(template).render(
        repository=desk.name,
        csrf=desk.guard.keys.csrf,
        read_only=desk.read_only,
        **values,
    )
    return page.encode("utf-8", "replace")


def fragment(desk: Desk, view: View) -> bytes:
    """Return the part of a page that changes."""
    return _render(desk, view.template, **view.context)


def _page(desk: Desk, view: ViewFunction) -> Handler:
    def make(query: Query) -> Any:
        shown = view(desk, query)
        page = _render(
            desk,
            "page.html",
            title=shown.title,
            section=shown.section,
            part=shown.template,
            **shown.context,
        )
        return HTMLResponse(page)

    return _threaded(make)


def _json(desk: Desk, view: ViewFunction) -> Handler:
    def make(query: Query) -> Any:
        document = _sound(view(desk, query)).document()
        data = json.dumps(document, indent=1, allow_nan=False)
        return Response(
            data.encode("utf-8", "replace"), media_type="application/json"
        )

    return _threaded(make)


def _sound(view: View) -> View:
    if view.problem is not None:
        raise view.problem
    return view


def _csv(desk: Desk, view: ViewFunction) -> Handler:
    def make(query: Query) -> Any:
        table = _sound(view(desk, query)).table
        if table is None:
            return PlainTextResponse("This view is not a table.\n", 404)
        data = f"{table()}\n".encode("utf-8", "replace")
        return Response(data, media_type="text/csv; charset=utf-8")

    return _threaded(make)


def _live(desk: Desk, view: ViewFunction, parts: Parts) -> Handler:
    async def handler(request: Request) -> Response:
        query = _query(request)

        def make() -> bytes:
            try:
                return fragment(desk, view(desk, query))
            except NotFound as error:  # the run was killed while its page was open
                return _render(desk, "error.html", **_explained(error))

        address = f"{request.url.path}?{request.url.query}"
        return StreamingResponse(
            stream(parts, address, make), media_type="text/event-stream"
        )

    return handler


def _answer(desk: Desk, make: Callable[[Desk, Query], Any]) -> Handler:
    return _threaded(lambda query: make(desk, query))


def _threaded(make: Callable[[Query], Any]) -> Handler:
    async def handler(request: Request) -> Response:
        return await run_in_threadpool(make, _query(request))

    return handler


def _act(desk: Desk) -> Handler:
    async def handler(request: Request) -> Response:
        body = await request.body()
        status, answer = await run_in_threadpool(act, desk, body)
        return Response(json.dumps(answer), status, media_type="application/json")

    return handler


def _error(desk: Desk) -> Any:
    """Return the handler of an error that the user can understand."""

    async def handler(request: Request, error: Any) -> Response:
        status = _STATUSES.get(error.kind, 500)
        if not request.url.path.endswith(_DATA):
            page = _render(
                desk,
                "page.html",
                title="Error",
                section="",
                part="error.html",
                message=error.message,
                hint=error.hint,
            )
            return HTMLResponse(page, status)
        document = {
            "kind": error.kind,
            "message": error.message,
            "hint": error.hint,
        }
        body = {"schema": "gitorch/error/v1", "error": document}
        data = json.dumps(body).encode("utf-8", "replace")
        return Response(data, status, media_type="application/json")

    return handler


def _explained(error: GitorchError) -> dict[str, Any]:
    return {
        "title": "Not found",
        "message": error.message,
        "hint": error.hint,
    }


def _missing(desk: Desk) -> Any:
    async def handler(request: Request, error: Any) -> Response:
        page = _render(
            desk,
            "page.html",
            title="Not found",
            section="",
            part="error.html",
            message="there is no such page",
            hint=None,
        )
        return HTMLResponse(page, 404)

    return handler
