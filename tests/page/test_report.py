"""`gitorch report`: one file that a browser shows without a server, and Markdown."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.conftest import commit_files, gitorch, write

HOSTILE = "</script><script>alert(1)</script>"
TRAIN = """\
import json, os, sys
lr = float(sys.argv[1])
with open(os.environ["GITORCH_EVENTS"], "a") as events:
    for step in range(5):
        event = {"metric": "loss", "value": lr / (step + 1), "step": step}
        events.write(json.dumps(event) + "\\n")
if lr > 0.5:
    raise SystemExit("`lr` | too high")
"""


@pytest.fixture
def swept(project: Path) -> Path:
    commit_files(project, {"train.py": TRAIN})
    write(
        project,
        "experiments/odd.yaml",
        f"""
        lr: 0.1
        note: {HOSTILE!r}
        gitorch: {{matrix: {{lr: [0.1, 0.2, 0.9], note: [{HOSTILE!r}, b]}}}}
        tasks: [{{id: train, command: "python3 train.py {{lr}}"}}]
        """,
    )
    gitorch(project, "ready", "--snapshot")
    gitorch(project, "run", "-j", "2", code=1)
    return project


def test_the_file_opens_without_a_server(
    swept: Path, browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    gitorch(swept, "report", file, "--where", "lr < 1")
    context = browser.new_context(offline=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"file://{file}")
    expect(page.locator("#table tbody tr")).to_have_count(6)
    expect(page.locator("#table tbody")).to_contain_text(HOSTILE)
    expect(page.locator("#parallel .lines path")).to_have_count(6)
    expect(page.locator("#curves figure .line")).to_have_count(6)
    expect(page.locator("#explore-table tbody tr")).to_have_count(6)
    expect(page.locator("#failures")).to_contain_text("all with lr=0.9")
    heading = page.locator("#table th", has_text="loss")
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    losses = [
        float(text)
        for text in page.locator("#table td:nth-child(5)").all_inner_texts()
    ]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]
    page.locator("#details summary").first.click()
    expect(page.locator("#details details[open] dl").first).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    assert complaints == []
    context.close()


def test_markdown_has_the_runs_and_the_failures(swept: Path) -> None:
    text = gitorch(swept, "report", "--md", "--where", "note == b").stdout
    title, where, counts, table, heading, failures = text.strip().split("\n\n")
    assert title == "## Runs of `project`"
    assert where == "Selected by `note == b`"
    assert counts == "**2** COMPLETE, **1** ERROR"
    head, _, *rows = table.splitlines()
    assert head.startswith("| status | id | lr | note | loss |")
    assert len(rows) == 3
    assert heading == "### Failures"
    assert failures == (
        "- **1** × task `train`: ``exit code 1: `lr` \\| too high``, "
        "all with `lr=0.9`"
    ).replace("``exit", "`` exit").replace("high``", "high ``")


def test_a_file_is_needed_or_markdown(project: Path, tmp_path: Path) -> None:
    refused = gitorch(project, "report", code=2)
    assert "hint: gitorch report FILE.html" in refused.stderr
    missing = gitorch(project, "report", tmp_path / "no" / "r.html", code=4)
    assert "cannot be written" in missing.stderr
    assert gitorch(project, "report", "--md").stdout == (
        "## Runs of `project`\n\nThere are no runs.\n"
    )
    gitorch(project, "report", tmp_path / "empty.html")
    assert "No run matches." in (tmp_path / "empty.html").read_text()
