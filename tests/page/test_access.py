"""Nobody but the user reaches the page: not another program, and not another web page."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.conftest import gitorch, gitorch_json, started, write
from tests.page.server import Server, request, serving


@pytest.fixture
def held(project: Path) -> Path:
    """Make a repository with one held run."""
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "ready", "--snapshot", "--hold")
    return project


def test_only_a_request_of_the_user_is_answered(held: Path) -> None:
    with serving(held) as server:
        the_link_gives_a_cookie_once_and_for_all(server)
        assert server.ask("/").status == 200
        without_cookie = server.ask("/runs.json", cookie=None)
        assert without_cookie.status == 401
        assert b"open the link" in without_cookie.body.lower()
        other = server.cookie.partition("=")[0] + "=guess"
        assert server.ask("/", cookie=other).status == 401
        port = server.host.partition(":")[2]
        assert server.ask("/", host=f"localhost:{port}").status == 200
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", ""):
            assert server.ask("/", host=host).status == 421, host
        assert server.ask("/", host="evil.example", cookie=None).status == 421
        a_foreign_page_cannot_read(server)
        a_foreign_page_cannot_change(server)
        [run] = gitorch_json(held, "list")["runs"]
        assert run["status"] == "HOLD"
        wish = {"verb": "release", "runs": [run["id"]], "why": "it is time"}
        assert server.act(wish).json["changed"] == [
            {"id": run["id"], "from": "HOLD", "to": "WAITING"}
        ]
    shown = gitorch_json(held, "show", "@")["run"]
    assert shown["history"][-1]["why"] == "it is time"


def the_link_gives_a_cookie_once_and_for_all(server: Server) -> None:
    headers = {"host": server.host}
    path = server.link.removeprefix(server.origin)
    entered = request(server.host, path, headers=headers)
    assert (entered.status, entered.headers["location"]) == (303, "/")
    assert re.fullmatch(
        r"gitorch-\d+=[\w-]{32}; HttpOnly; SameSite=Strict; Path=/",
        entered.headers["set-cookie"],
    )
    deep = request(server.host, f"/runs{path[1:]}&where=a%3D%3D1", headers=headers)
    assert deep.headers["location"] == "/runs?where=a%3D%3D1"
    elsewhere = request(server.host, f"//evil.example{path}", headers=headers)
    assert elsewhere.headers["location"] == "/evil.example/"
    wrong = request(server.host, f"{path}x", headers=headers)
    assert (wrong.status, "set-cookie" in wrong.headers) == (401, False)
    assert (
        request(server.host, path, headers={"host": "evil.example"}).status == 421
    )


def a_foreign_page_cannot_read(server: Server) -> None:
    """The browser sends the cookie for another port of this machine: it is the same site."""
    for site in ("cross-site", "same-site"):
        asked = server.ask("/runs.json", sec_fetch_site=site, sec_fetch_mode="cors")
        assert asked.status == 403
    followed = server.ask("/", sec_fetch_site="none", sec_fetch_mode="navigate")
    assert followed.status == 200


def a_foreign_page_cannot_change(server: Server) -> None:
    wish = {"verb": "release", "runs": ["@"]}
    for origin in ("http://evil.example", "null", None, "http://127.0.0.1:1"):
        assert server.act(wish, origin=origin).status == 403
    assert server.act(wish, sec_fetch_site="cross-site").status == 403
    assert server.act(wish, **{"x-gitorch-csrf": "guess"}).status == 403
    assert server.act(wish, **{"x-gitorch-csrf": None}).status == 403
    assert server.act(wish, cookie=None).status == 401
    assert server.act(wish, host="evil.example").status == 421
    assert server.ask("/act").status == 405


def test_every_answer_forbids_what_the_page_does_not_need(held: Path) -> None:
    with serving(held) as server:
        for path in ("/", "/runs.json", "/static/page.js", "/nothing"):
            headers = server.ask(path).headers
            policy = headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self';")
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cache-control"] == "no-store"
            assert "server" not in headers
        for path in (
            "/static/../guard.py",
            "/static/%2e%2e/guard.py",
            "/static//etc/passwd",
        ):
            assert server.ask(path).status == 404, path


def test_read_only_offers_no_changes(held: Path) -> None:
    with serving(held, "--read-only") as server:
        assert "data-verb" not in server.ask("/runs/@").text
        answer = server.act({"verb": "release", "runs": ["@"]})
        assert answer.status == 409
        assert "--read-only" in answer.json["error"]["message"]


def test_a_wish_that_makes_no_sense_is_refused_with_the_reason(
    held: Path,
) -> None:
    [run] = gitorch_json(held, "list")["runs"]
    with serving(held) as server:
        for wish in (
            {},
            {"verb": "release"},
            {"verb": "release", "runs": []},
            {"verb": "release", "runs": [1]},
            {"verb": "fly", "runs": ["@"]},
            {"verb": "priority", "runs": ["@"], "priority": True},
            {"verb": "hold", "runs": ["@"], "why": "x" * 3000},
        ):
            answer = server.act(wish)
            assert (answer.status, answer.json["error"]["kind"]) == (400, "usage")
        refused = server.act({"verb": "retry", "runs": [run["id"]]})
        assert refused.status == 409
        assert refused.json["error"]["message"] == (
            f"a ({run['id']}) is HOLD, and retry is for ERROR"
        )
        assert server.act({"verb": "hold", "runs": ["abcd1234"]}).status == 404


def test_the_port_can_be_chosen_and_ctrl_c_is_the_end(held: Path) -> None:
    with serving(held) as server:
        port = server.host.partition(":")[2]
        second = started(held, "ui", "--port", port)
        output, error = second.communicate(timeout=20)
        assert (second.returncode, output) == (5, "")
        assert f"port {port} cannot be used" in error
        server.process.send_signal(2)
        _, error = server.process.communicate(timeout=20)
        assert server.process.returncode == 0
        assert error.endswith("The page has ended.\n")
    assert os.fspath(held) not in error
