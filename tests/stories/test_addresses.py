"""Inputs at addresses: recorded by their digests, fetched once if gitorch is to fetch them."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

CONTENT = b"x,y\n" * 100_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serve CONTENT with ranges and an ETag; /cut ends each answer in the middle."""

    def do_GET(self) -> None:
        requests.append((self.path, self.headers.get("Range")))
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/x")
            self.end_headers()
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        start = 0
        given = self.headers.get("Range")
        if given:
            start = int(given.removeprefix("bytes=").removesuffix("-"))
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"v1"')
        self.end_headers()
        if self.path == "/cut":
            body = body[:150_000]
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


requests: list[tuple[str, str | None]] = []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a new certificate of 127.0.0.1 and its key."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    making = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-batch"]
    making += ["-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2"]
    making += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [*making, "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    with path.open("ab") as file:
        file.write(Path(f"{path}.crt").read_bytes())
    return path


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve over https, and let gitorch trust the certificate. Yield the address."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    requests.clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        serving.socket = context.wrap_socket(serving.socket, server_side=True)
        thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
        thread.start()
        yield f"https://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()
        thread.join()


def config_with(entry: dict[str, Any], command: str = "true") -> str:
    task = {"id": "t", "command": command}
    return json.dumps({"gitorch": {"inputs": [entry]}, "tasks": [task]})


def test_an_address_is_recorded_by_its_digest_and_told_to_the_task(
    project: Path,
) -> None:
    bucket = {"url": "s3://bucket/train.parquet", "etag": '"abc-3"'}
    web = {"url": "https://example.org/x.csv", "sha256": SHA256}
    config = {
        "gitorch": {"inputs": [bucket, web]},
        "tasks": [{"id": "t", "command": 'cat "$GITORCH_INPUTS"'}],
    }
    commit_files(project, {"experiments/a.yaml": json.dumps(config)})
    gitorch(project, "run", "experiments")
    run = gitorch_json(project, "show", "@")["run"]
    assert run["data"] == [
        {"path": bucket["url"], "size": 0, "sha256": "", "digest": "etag:abc-3"},
        {"path": web["url"], "size": 0, "sha256": SHA256},
    ]
    told = json.loads(gitorch(project, "logs", "@").stdout)
    assert told == [
        {"url": bucket["url"], "sha256": None, "etag": "abc-3", "path": None},
        {"url": web["url"], "sha256": SHA256, "etag": None, "path": None},
    ]
    shown = gitorch(project, "show", "@").stdout
    assert "s3://bucket/train.parquet  etag:abc-3, not read" in shown
    config["gitorch"]["inputs"][0]["etag"] = "abc-4"
    write(project, "experiments/a.yaml", json.dumps(config))
    gitorch(project, "run", "experiments")
    changed = gitorch_json(project, "compare", "@~1", "@")["data"]["changed"]
    assert changed == {bucket["url"]: ["etag:abc-3", "etag:abc-4"]}


def test_a_fetched_address_is_one_file_for_all_runs(
    project: Path, server: str
) -> None:
    entry = {"url": f"{server}/x.csv", "sha256": SHA256, "fetch": True}
    config = json.loads(
        config_with({**entry, "to": "data/x.csv"}, "wc -c data/x.csv")
    )
    config["gitorch"]["matrix"] = {"seed": [1, 2, 3]}
    write(project, "experiments/a.yaml", json.dumps(config))
    said = gitorch(project, "ready").stderr
    assert f"fetching {server}/x.csv" in said
    gitorch(project, "run")
    gitorch(project, "rerun", "@")
    assert requests == [("/x.csv", None)]
    assert gitorch(project, "logs", "@").stdout == f"{len(CONTENT)} data/x.csv\n"
    assert git(project, "status", "--porcelain") == "?? experiments/"
    [fetched] = (project / ".git/gitorch/fetched").glob(SHA256)
    assert fetched.stat().st_mode & 0o222 == 0
    # The cache may go at any time: what is missing is fetched again.
    fetched.unlink()
    gitorch(project, "rerun", "@")
    assert len(requests) == 2
    gitorch(project, "collect")
    assert fetched.exists()
    os.utime(fetched, (0, 0))
    removed = gitorch_json(project, "collect")["removed"]
    assert str(fetched) in {entry["path"] for entry in removed}
    assert not fetched.exists()


def test_an_interrupted_download_is_continued(project: Path, server: str) -> None:
    entry = {"url": f"{server}/cut", "sha256": SHA256, "fetch": True}
    write(project, "experiments/a.yaml", config_with(entry, "sha256sum < cut"))
    gitorch(project, "run", "experiments")
    assert requests == [
        ("/cut", None),
        ("/cut", "bytes=150000-"),
        ("/cut", "bytes=300000-"),
    ]
    assert gitorch(project, "logs", "@").stdout == f"{SHA256}  -\n"


def test_a_download_that_was_killed_is_continued(
    project: Path, server: str
) -> None:
    part = project / f".git/gitorch/fetched/{SHA256}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:1000])
    entry = {"url": f"{server}/x", "sha256": SHA256, "fetch": True}
    write(project, "experiments/a.yaml", config_with(entry))
    gitorch(project, "ready")
    assert requests == [("/x", "bytes=1000-")]
    (project / f".git/gitorch/fetched/{SHA256}").unlink()
    part.write_bytes(b"an earlier version")
    gitorch(project, "ready", "--again")
    assert requests[1:] == [("/x", "bytes=18-"), ("/x", None)]


def test_an_etag_is_compared_with_the_servers(project: Path, server: str) -> None:
    entry = {"url": f"{server}/x", "etag": "v1", "fetch": True}
    write(project, "experiments/a.yaml", config_with(entry, "wc -c < x"))
    gitorch(project, "run", "experiments")
    assert gitorch(project, "logs", "@").stdout == f"{len(CONTENT)}\n"
    write(project, "experiments/a.yaml", config_with({**entry, "etag": "v0"}))
    refused = gitorch(project, "ready", code=1).stderr
    assert f"{server}/x has the ETag v1, not v0" in refused


def test_what_cannot_be_fetched_is_a_problem_of_its_config(
    project: Path, server: str
) -> None:
    commit_files(project, {"x": "committed\n"})
    wrong = "0" * 64
    files = f"file://{project.parent}/absent"
    for entry, message in (
        (
            {"url": f"{server}/x.csv", "sha256": wrong},
            f"SHA-256 {SHA256}, not {wrong}",
        ),
        ({"url": f"{server}/missing", "sha256": wrong}, "HTTP 404"),
        ({"url": f"{server}/elsewhere", "sha256": wrong}, "which is not https"),
        ({"url": f"{server}/x", "sha256": SHA256}, "has x itself"),
        ({"url": files, "sha256": wrong}, "No such file or directory"),
    ):
        write(project, "experiments/a.yaml", config_with({**entry, "fetch": True}))
        refused = gitorch(project, "ready", code=1).stderr
        assert message in refused
        assert "experiments/a.yaml:1:" in refused
    assert gitorch_json(project, "list")["runs"] == []
    local = project.parent / "x.csv"
    local.write_bytes(CONTENT)
    entry = {"url": f"file://{local}", "sha256": SHA256, "fetch": True}
    write(project, "experiments/a.yaml", config_with(entry, "wc -c < x.csv"))
    gitorch(project, "run", "experiments")
    assert gitorch(project, "logs", "@").stdout == f"{len(CONTENT)}\n"


FLAWED: tuple[tuple[Any, str], ...] = (
    ("https://example.org/x", "an address needs the digest"),
    ({"url": "https://example.org/x"}, "an address needs the digest"),
    ({"url": "example.org/x", "sha256": SHA256}, "is not an address"),
    ({"url": "https://e.org/x", "sha256": "abc"}, "64 hexadecimal digits"),
    ({"url": "s3://b/x", "etag": "1", "fetch": True}, "not s3"),
    ({"url": "file:///x", "etag": "1", "fetch": True}, "a file has no ETag"),
    ({"url": "https://e.org/", "etag": "1", "fetch": True}, "name of a file"),
    ({"url": "https://e.org/x", "etag": "1", "to": "x"}, "what it fetches"),
    (
        {"url": "https://e.org/x", "etag": "1", "fetch": True, "to": "../x"},
        "leads outside",
    ),
    ({"url": "https://e.org/x", "etag": "1", "fech": True}, "did you mean 'fetch'"),
)


def test_a_missing_file_after_an_address_has_its_own_position(
    project: Path,
) -> None:
    config = """
        gitorch:
          inputs:
            - {url: "s3://bucket/x", etag: abc}
            - missing.csv
        tasks:
          - {id: t, command: "true"}
    """
    write(project, "experiments/e.yaml", config)
    (problem,) = gitorch_json(project, "check", code=1)["problems"]
    lines = (project / "experiments/e.yaml").read_text().splitlines()
    assert "missing.csv" in lines[problem["line"] - 1]
    assert "missing.csv" in problem["message"]


def test_a_flawed_address_is_explained(project: Path) -> None:
    for number, (entry, _) in enumerate(FLAWED):
        write(project, f"experiments/{number}.yaml", config_with(entry))
    found = gitorch_json(project, "check", code=1)["problems"]
    by_file = {problem["file"]: problem["message"] for problem in found}
    assert len(by_file) == len(FLAWED)
    for number, (_, message) in enumerate(FLAWED):
        problem = by_file[f"experiments/{number}.yaml"]
        assert message in problem
