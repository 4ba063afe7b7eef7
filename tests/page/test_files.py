"""Logs by pieces and outputs, as the page asks for them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import gitorch, write
from tests.page.server import Server, serving

LINES = 60_000
TALK = """\
import sys
for number in range(60_000):
    print(f"line {number:06d} of many, which together are too large for a blob")
print("The End", end="")
"""


@pytest.fixture
def talked(project: Path) -> Path:
    """Make a repository with a run whose log has 4 MiB and whose outputs are of several kinds."""
    write(project, "talk.py", TALK)
    write(
        project,
        "experiments/a.yaml",
        """
        tasks:
          - {id: talk, command: "python3 talk.py"}
          - id: files
            command: |
              cd {outputDir}
              printf 'a;b\\0' > binary.dat
              printf '\\211PNG\\r\\n\\032\\n' > picture.png
              echo secret > ../outside.txt
              ln -s /etc/hostname link
        """,
    )
    gitorch(project, "ready", "--snapshot")
    gitorch(project, "run")
    return project


def test_a_log_of_any_length_is_read_by_pieces(talked: Path) -> None:
    with serving(talked) as server:
        tail = piece(server, task="talk", length="1000")
        assert tail["size"] > LINES * 60
        assert tail["end"] == tail["size"]
        assert tail["text"].startswith("line 0599")
        assert tail["text"].endswith("The End")
        first = piece(server, task="talk", start="0", length="1000")
        assert first["text"].startswith("line 000000 of many")
        assert first["text"].endswith("\n")  # whole lines
        following = piece(server, task="talk", start=str(first["end"]))
        assert following["text"].startswith("line ")
        assert piece(server, task="talk", start="99999999")["text"] == ""

        found = server.ask(f"/runs/@/log?task=talk&search={quote('LINE 012345')}")
        [offset] = found.json["offsets"]
        assert found.json["searched"] is None
        there = piece(server, task="talk", start=str(offset), length="200")
        assert there["text"].startswith("line 012345 of many")
        last = server.ask("/runs/@/log?task=talk&search=the+end").json
        assert [
            piece(server, task="talk", start=str(last["offsets"][0]))["text"]
        ] == ["The End"]
        nothing = server.ask("/runs/@/log?task=talk&search=nowhere").json
        assert nothing == {"offsets": [], "searched": None}

        assert server.ask("/runs/@/log?attempt=99").status == 404
        missing = server.ask("/runs/@/log?task=nothing")
        assert missing.status == 404
        assert "no task 'nothing'" in missing.json["error"]["message"]


def piece(server: Server, **parameters: str) -> dict:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    answer = server.ask(f"/runs/@/log?{query}")
    assert answer.status == 200, answer.text
    return answer.json


def test_outputs_are_previewed_by_their_kind_and_nothing_else_is_read(
    talked: Path,
) -> None:
    with serving(talked) as server:
        preview = server.ask("/runs/@/preview?path=binary.dat").json
        assert (preview["kind"], preview["size"]) == ("binary", 4)
        assert (
            server.ask("/runs/@/preview?path=picture.png").json["kind"] == "image"
        )
        picture = server.ask("/runs/@/file?path=picture.png")
        assert picture.headers["content-type"] == "image/png"
        assert picture.headers["content-disposition"].startswith("attachment")
        for path in (
            "../outside.txt",
            "/etc/hostname",
            "..%2f..%2foutside.txt",
            "a%00b",
            "",
        ):
            assert server.ask(f"/runs/@/file?path={path}").status == 404, path
        assert server.ask("/runs/@/file?path=link").status == 409
        assert server.ask("/runs/nothing/file?path=link").status == 404


def test_wrong_addresses_and_the_formats_of_views(talked: Path) -> None:
    with serving(talked) as server:
        for path in ("/runs.json", "/runs.csv", "/explore.json"):
            wrong = server.ask(f"{path}?where=loss+%3C")
            assert wrong.status == 400, path
            assert "loss <" in wrong.json["error"]["message"]
        page = server.ask("/nothing-here")
        assert page.status == 404
        assert "there is no such page" in page.text
        for path in ("/runs/nothing", "/compare?run=@", "/compare"):
            assert server.ask(path).status in (400, 404), path
        assert server.ask("/runs.csv?where=name+==+a").text.startswith("id,name")
        assert server.ask("/runs/@.csv").status == 404
        assert server.ask("/runs/@.json").json["schema"] == "gitorch/show/v1"
