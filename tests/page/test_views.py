"""Each view in a real browser, live during a real run, with hostile names and logs."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.conftest import (
    commit_files,
    git,
    gitorch,
    gitorch_json,
    started,
    wait_for,
    write,
)
from tests.page.browser import visiting
from tests.page.server import serving

STEPS = """\
import json, os, sys, time
rate, pause = float(sys.argv[1]), sys.argv[2]
events = open(os.environ["GITORCH_EVENTS"], "a")
for step in range(5):
    if pause != "-":
        while not os.path.exists(f"{pause}/{step}"):
            time.sleep(0.01)
    print(f"\\x1b[32mstep {step}\\x1b[0m of five", flush=True)
    events.write(json.dumps({"progress": [step + 1, 5]}) + "\\n")
    events.write(json.dumps({"metric": "loss", "value": rate / (step + 1), "step": step}) + "\\n")
    events.flush()
if rate == 0.9:
    raise SystemExit("the rate is too high")
"""
SWEEP = """
    rate: 0.1
    pause: "-"
    gitorch: {matrix: {rate: [0.1, 0.2, 0.9]}}
    tasks:
      - {id: train, command: "python3 steps.py {rate} {pause}"}
      - id: table
        command: |
          printf 'name,value\\na,1\\n' > {outputDir}/t.csv
          echo '{"a": 1}' > {outputDir}/t.json
"""


@pytest.fixture
def swept(project: Path) -> Path:
    """Make a repository with two complete runs and one in ERROR, whose commit has a diff."""
    commit_files(project, {"steps.py": STEPS})
    write(project, "experiments/sweep.yaml", SWEEP)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "A sweep <b>of rates</b>")
    gitorch(project, "run", "experiments", "-j", "2", code=1)
    return project


def test_every_view_shows_its_part_of_a_sweep(
    swept: Path, browser: Browser
) -> None:
    with serving(swept) as server, visiting(browser, server) as visit:
        page = visit.page
        assert page.url == f"{server.origin}/"
        expect(page.locator(".headline")).to_have_text("2 runs complete, 1 failed")
        expect(page.locator(".cause")).to_contain_text("the rate is too high")
        expect(page.locator(".cause")).to_contain_text("rate=0.9")
        expect(page.locator("#connection")).to_have_text("live")

        the_list_filters_sorts_groups_and_pages(visit)
        a_run_shows_code_curves_log_and_outputs(visit)
        chosen_runs_are_compared(visit)
        params_are_explored(visit)


def the_list_filters_sorts_groups_and_pages(visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Runs").click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    page.get_by_label("Where").fill("loss < 0.1")
    page.get_by_label("Where").press("Enter")
    expect(rows).to_have_count(2)
    assert "where=loss+%3C+0.1" in page.url
    heading = page.get_by_role("columnheader", name="rate")
    heading.get_by_role("link").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    expect(rows.first).to_contain_text("0.1")
    heading.get_by_role("link").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    expect(rows.first).to_contain_text("0.2")
    page.get_by_role("link", name="CSV").get_attribute("href")
    page.get_by_label("Where").fill("loss <")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("alert")).to_contain_text("loss <")
    visit.go("/runs?group=status&aggregate=mean")
    expect(rows).to_have_count(2)
    expect(page.get_by_role("columnheader", name="loss mean")).to_be_visible()


def a_run_shows_code_curves_log_and_outputs(visit) -> None:
    page = visit.page
    visit.go("/runs/sweep%20rate=0.1")
    expect(page.locator("h1")).to_have_text("sweep rate=0.1")
    expect(page.locator("figure")).to_have_count(1)
    expect(page.locator("figure .plot")).to_have_attribute(
        "aria-label",
        "loss. sweep rate=0.1: 5 points from 0.02 to 0.1, last 0.02",
    )
    page.get_by_label("Smoothing").fill("0.5")
    expect(page.locator("figure .raw")).to_have_count(1)
    page.get_by_label("Log scale").check()
    page.locator("a[data-task=train]").click()
    expect(page.locator("#log-text div")).to_have_count(5)
    expect(page.locator("#log-text .a32").first).to_have_text("step 0")
    page.get_by_label("Search the log").fill("STEP 3")
    page.get_by_label("Search the log").press("Enter")
    expect(page.locator("#log-text .found")).to_contain_text("step 3 of five")
    preview = page.get_by_role("button", name="Preview")
    preview.first.click()
    expect(page.locator(".preview th").first).to_have_text("name")
    preview.last.click()
    expect(page.locator(".preview pre")).to_have_text('{\n  "a": 1\n}')
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").first.click()
    assert download.value.path().read_text() == "name,value\na,1\n"
    page.locator("#facts .code").first.click()
    expect(page.locator("h1")).to_have_text("A sweep <b>of rates</b>")
    expect(page.locator(".diff .more").first).to_be_visible()


def chosen_runs_are_compared(visit) -> None:
    page = visit.page
    visit.go("/runs?where=status+%3D%3D+COMPLETE")
    expect(page.locator("#connection")).to_have_text("live")
    page.get_by_label("Choose all runs on this page").check()
    expect(page.locator("#chosen-count")).to_have_text("2 chosen")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("h1")).to_have_text("Compare 2 runs")
    expect(page.locator("#differing-config td")).to_have_text(["0.2", "0.1"])
    expect(page.locator("figure .line")).to_have_count(2)


def params_are_explored(visit) -> None:
    """What is brushed on an axis is chosen in all plots, and in the table."""
    page = visit.page
    visit.go("/explore?metric=metrics.loss")
    expect(page.locator("#parallel .lines path")).to_have_count(3)
    expect(page.locator("#scatter circle")).to_have_count(3)
    expect(page.locator("#explore-table tbody tr")).to_have_count(3)
    box = page.locator("#parallel .grip").first.bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + box["height"] - 2)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + box["height"] * 0.6)
    page.mouse.up()
    expect(page.locator("#explore-count")).to_have_text("2 of 3 runs are chosen.")
    expect(page.locator("#parallel .lines .off")).to_have_count(1)
    expect(page.locator("#scatter .off")).to_have_count(1)
    expect(page.locator("#explore-table tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Choose all").click()
    expect(page.locator("#explore-table tbody tr")).to_have_count(3)


def test_an_open_page_follows_a_run_and_changes_it(
    project: Path, browser: Browser, tmp_path: Path
) -> None:
    gates = tmp_path / "gates"
    gates.mkdir()
    commit_files(project, {"steps.py": STEPS})
    write(project, "experiments/a.yaml", SWEEP.replace("[0.1, 0.2, 0.9]", "[0.1]"))
    gitorch(project, "ready", "--snapshot", "-S", f"pause={gates}")
    [run] = gitorch_json(project, "list")["runs"]
    with serving(project) as server, visiting(browser, server) as visit:
        page = visit.page
        expect(page.locator("#queue tbody tr")).to_have_count(1)
        page.locator("#queue .label").click()
        # The scripts of the page have been loaded.
        expect(page.locator("#connection")).to_have_text("live")
        page.get_by_role("button", name="Hold").click()
        page.get_by_label("Reason").fill("not <i>yet</i>")
        page.locator("#ask-go").click()
        expect(page.locator(".notice")).to_contain_text("not <i>yet</i>")
        page.get_by_role("button", name="Release").click()
        page.get_by_label("Reason").fill("go on")
        page.keyboard.press("Escape")  # and nothing is changed
        page.get_by_role("button", name="Release").click()
        page.locator("#ask-go").click()
        expect(page.locator(".run-line .status")).to_have_text("WAITING")

        worker = started(project, "run")
        (gates / "0").touch()
        expect(page.locator("#now .amount")).to_have_text("1 of 5")
        expect(page.locator("#log-text")).to_contain_text("step 0 of five")
        visit.go("/")
        expect(page.locator("#running .amount")).to_have_text("1 of 5")
        progress = page.locator("progress").element_handle()
        for step in range(1, 5):
            (gates / str(step)).touch()
            if step < 4:
                expect(page.locator("#running .amount")).to_have_text(
                    f"{step + 1} of 5"
                )
                shown = gitorch_json(project, "status")["runs"][0]["progress"]
                assert (shown["done"], shown["total"]) == (step + 1, 5)
                assert progress.get_attribute("value") == str(step + 1)
        expect(page.locator(".headline")).to_have_text("1 run complete")
        worker.communicate(timeout=20)
        visit.go(f"/runs/{run['id']}")
        expect(page.locator("#connection")).to_have_text("live")
        page.get_by_role("button", name="Rerun").click()
        page.locator("#ask-go").click()
        expect(page.locator("#toast")).to_have_text("1 run queued as new runs")
        repeated = gitorch_json(project, "list")["runs"][0]["id"]
        visit.go(f"/runs/{repeated}")
        expect(page.locator("#connection")).to_have_text("live")
        page.get_by_role("button", name="Kill").click()
        page.locator("#ask-go").click()
        expect(page.locator(".message")).to_contain_text("Not found")
        page.goto("about:blank")  # the browser asks for the run no more
        visit.expect_missing()
    history = gitorch_json(project, "show", run["id"])["run"]["history"]
    assert [entry.get("why") for entry in history[1:3]] == ["not <i>yet</i>", None]


TICKING = """\
import json, os, sys, time
events = open(os.environ["GITORCH_EVENTS"], "a", buffering=1)
with open(sys.argv[1], "a") as times:
    for step in range(1, 16):
        time.sleep(0.15)
        times.write(f"{time.time()}\\n")
        events.write(json.dumps({"progress": [step, 15]}) + "\\n")
"""
# Notes when the page shows a step for the first time.
WATCHER = """() => {
    window.seen = {};
    new MutationObserver(() => {
        const amount = document.querySelector("#running .amount");
        if (amount) window.seen[parseInt(amount.textContent)] ??= Date.now() / 1000;
    }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def test_an_event_reaches_an_open_page_in_less_than_a_second(
    project: Path, browser: Browser, tmp_path: Path
) -> None:
    """Half of the delays are below half a second, and all but one are below a second.

    A step that the page does not show since the next one has come is the next one's.
    """
    times = tmp_path / "times"
    commit_files(project, {"tick.py": TICKING})
    write(
        project,
        "experiments/a.yaml",
        f"tasks: [{{id: tick, command: 'python3 tick.py {times}'}}]\n",
    )
    gitorch(project, "ready", "--snapshot")
    with serving(project) as server, visiting(browser, server) as visit:
        page = visit.page
        expect(page.locator("#connection")).to_have_text("live")
        page.evaluate(WATCHER)
        gitorch(project, "run")
        expect(page.locator(".headline")).to_have_text("1 run complete")
        seen = {int(step): at for step, at in page.evaluate("seen").items()}
    delays = []
    for step, sent in enumerate(map(float, times.read_text().split()), start=1):
        shown = [at for other, at in seen.items() if other >= step]
        if shown:  # the run may end before its last step is shown
            delays.append(min(shown) - sent)
    delays.sort()
    assert len(delays) >= 10, seen
    assert delays[len(delays) // 2] < 0.5, delays
    assert delays[-2] < 1, delays


def test_a_hidden_page_does_not_keep_a_connection(
    project: Path, browser: Browser
) -> None:
    """A browser allows six of them for all pages of a server."""
    with serving(project) as server, visiting(browser, server) as visit:
        connection = visit.page.locator("#connection")
        for state, words in ((True, ""), (False, "live")):
            expect(connection).to_have_text("live" if state else "")
            visit.page.evaluate(HIDE, state)
            expect(connection).to_have_text(words)


HIDE = """(is_hidden) => {
    Object.defineProperty(document, "hidden", {value: is_hidden, configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""
HOSTILE = "<script>alert(1)</script>"
NAME = "<img src=x onerror=alert(7)>"
TURNED = "\u202egnp.exe"


def test_hostile_names_and_logs_are_shown_as_text(
    project: Path, browser: Browser
) -> None:
    write(
        project,
        "talk.py",
        "import os, sys\n"
        "print('<script>alert(2)</script><img src=x onerror=alert(3)>')\n"
        "print('\\x1b]0;title\\x07\\x1b[2J\\x1b[31mred\\x1b[0m \\u202edlrow')\n"
        "print('x' * 10_000_000)\n"
        "print('the end')\n"
        "out = sys.argv[1]\n"
        "for name in ('<img src=x onerror=alert(4)>.html', 'a\\u202egnp.csv', \"q'\\\".svg\"):\n"
        "    open(f'{out}/{name}', 'w').write('<script>alert(5)</script>')\n",
    )
    params = {"text": HOSTILE, "turned": TURNED, "quote": "\"'><b>", "&amp;": 1}
    write(
        project,
        "experiments/odd.yaml",
        json.dumps(
            {
                **params,
                "tasks": [{"id": "talk", "command": "python3 talk.py {outputDir}"}],
                "gitorch": {"name": NAME, "matrix": {"text": [HOSTILE, "b"]}},
            }
        ),
    )
    gitorch(project, "ready", "--snapshot")
    gitorch(project, "run", "-j", "2")
    run = gitorch_json(project, "list", "--where", "text == 'b'")["runs"][0]["id"]
    with serving(project) as server, visiting(browser, server) as visit:
        page = visit.page
        visit.go("/runs")
        expect(page.locator("tbody tr")).to_have_count(2)
        expect(page.locator("tbody")).to_contain_text(HOSTILE)
        visit.go(f"/runs/{run}")
        expect(page.locator("#params")).to_contain_text("\\u202egnp.exe")
        log = page.locator("#log-text")
        expect(log).to_contain_text("the end")
        expect(page.locator("#connection")).to_have_text("live")
        page.get_by_role("button", name="Start").click()
        expect(log).to_contain_text("<img src=x onerror=alert(3)>")
        expect(log).to_contain_text("red \\u202edlrow")
        page.get_by_role("button", name="More").click()
        expect(log).to_contain_text("xxx")
        expect(log.locator(".a31")).to_have_text("red")
        expect(page.locator("#outputs tbody tr")).to_have_count(3)
        for button in page.get_by_role("button", name="Preview").all():
            button.click()
        expect(page.locator(".preview")).to_have_count(3)
        assert page.locator("main img, main script, main b").count() == 0
        visit.go("/runs?where=%3Cscript%3Ealert(6)%3C/script%3E")
        expect(page.get_by_role("alert")).to_contain_text("<script>alert(6)")
        for output in gitorch_json(project, "show", run)["run"]["outputs"]:
            the_browser_only_saves(server, run, output["path"])


def the_browser_only_saves(server, run: str, path: str) -> None:
    answer = server.ask(f"/runs/{run}/file?path={quote(path)}")
    assert answer.body == b"<script>alert(5)</script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert (
        answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"


VIEWS = (
    "/",
    "/runs",
    "/explore",
    "/runs/@",
    "/runs/@/code",
    "/compare?run=@&run=@~1",
)


LONG = """
    NAME: 1
    gitorch: {name: NAME, matrix: {NAME: [1, 2]}}
    tasks:
      - {id: NAME, command: "cat steps.py > {outputDir}/NAME; echo NAME=NAME; exit {NAME}"}
"""


def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    swept: Path, browser: Browser
) -> None:
    gitorch(swept, "ready", "-S", "rate=0.3", "--hold")
    name = "a_name_that_is_much_longer_than_a_small_window_is_wide"
    write(swept, "long.yaml", LONG.replace("NAME", name))
    gitorch(swept, "run", "long.yaml", code=1)
    axe = Axe()
    found = {}
    with serving(swept) as server, visiting(browser, server) as visit:
        page = visit.page
        for path in VIEWS:
            visit.go(path)
            expect(
                page.locator("#explore-table table, .connection.live")
            ).to_be_visible()
            for width in (1280, 320):
                page.set_viewport_size({"width": width, "height": 900})
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, path
                for scheme in ("light", "dark"):
                    page.emulate_media(color_scheme=scheme)
                    for violation in axe.run(page).response["violations"]:
                        nodes = [node["html"] for node in violation["nodes"]]
                        found[path, scheme, width, violation["id"]] = nodes
    assert found == {}


def test_verdicts_and_marks_are_shown(project: Path, browser: Browser) -> None:
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: t, command: 'echo a > {outputDir}/a'}]\n",
    )
    gitorch(project, "ready", "--snapshot")
    gitorch(project, "run")
    gitorch(project, "verify", "a")
    gitorch(project, "invalidate", "a~1", "--why", "a <b>wrong</b> file")
    with serving(project) as server, visiting(browser, server) as visit:
        page = visit.page
        visit.go("/runs/a~1")
        expect(page.locator("#invalid")).to_contain_text("a <b>wrong</b> file")
        expect(page.locator("#verdicts tbody tr")).to_contain_text(
            "identicalrepeated by"
        )
        visit.go("/runs")
        expect(page.locator("tbody")).to_contain_text("a <b>wrong</b> file")
        expect(page.get_by_role("columnheader", name="verified")).to_be_visible()


def test_buttons_that_need_scripts_are_disabled_without_them(
    swept: Path, browser: Browser
) -> None:
    with serving(swept) as server:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(server.link)
        expect(page.get_by_role("button", name="Retry")).to_be_disabled()
        page.goto(f"{server.origin}/runs/sweep%20rate=0.1")
        for name in ("Preview", "Rerun", "Start"):
            expect(page.get_by_role("button", name=name).first).to_be_disabled()
        page.goto(f"{server.origin}/runs")
        page.get_by_label("Where").fill("rate < 0.2")
        page.get_by_role("button", name="Apply").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        context.close()


def test_the_keyboard_is_enough(swept: Path, browser: Browser) -> None:
    with serving(swept) as server, visiting(browser, server) as visit:
        page = visit.page
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('main') !== null")
        visit.go("/runs/@")
        expect(page.locator("#connection")).to_have_text("live")
        expect(page.get_by_role("button", name="Rerun")).to_be_enabled()
        page.get_by_role("button", name="Rerun").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#ask-why")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator("#ask")).to_be_hidden()
        expect(page.get_by_role("button", name="Rerun")).to_be_focused()


def test_the_page_says_when_the_server_has_ended(
    project: Path, browser: Browser
) -> None:
    with serving(project) as server, visiting(browser, server) as visit:
        expect(visit.page.locator("#connection")).to_have_text("live")
        server.process.send_signal(2)
        wait_for(lambda: server.process.poll() is not None)
        expect(visit.page.locator("#connection")).to_have_text("not connected")
        visit.complaints.clear()  # the browser reports that the stream was cut
