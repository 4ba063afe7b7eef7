"""Logs that differ in times, paths and ids alone are the same."""

from __future__ import annotations

import pytest

from gitorch.model.text.normal_log import LONGEST_LINE, normalised

SAME = {
    "2026-11-29 07:04:43,120 INFO start": "2025-01-02 23:59:01,001 INFO start",
    "2026-11-29T07:04:43Z done": "2026-11-30T00:00:00.5+01:00 done",
    "Sun Nov 29 06:59:34 UTC 2026": "Mon Nov 30 16:09:04 UTC 2026",
    "took 12.3 s (0:00:12)": "took 9 s (0:01:02)",
    "epoch 1: 4ms/step, 23.4it/s": "epoch 1: 12ms/step, 19.0it/s",
    "saved to /home/a/x.gitorch/1/model.pt": "saved to /mnt/b/c/model.pt",
    "using /tmp/tmpa1b2c3": "using /tmp/tmpzzzzzz/q",
    "<Model object at 0x7f3a5c1d2e80>": "<Model object at 0x7fffffffffff>",
    "\x1b[32mok\x1b[0m": "ok",
    "10%\r55%\r100%": "7%\r100%",
    "started 1764400000.25": "started 1764486400",
    "pid 4711 ends": "pid 12 ends",
    "id 0b8f7c1e-1f2d-4a3b-9c4d-5e6f7a8b9c0d": "id 1b8f7c1e-1f2d-4a3b-9c4d-5e6f7a8b9c0d",
    "no newline at the end  ": "no newline at the end",
}
DIFFERENT = {
    "loss 0.5": "loss 0.6",
    "epoch 1": "epoch 2",
    "ratio 1/2": "ratio 1/3",
    "read a/b/c.csv": "read a/x/c.csv",
    "saved /a/b/model.pt": "saved /a/b/other.pt",
    "https://host/a/b": "https://host/x/b",
    "f83a6d84bd9b": "a83a6d84bd9b",
    "seed: 3": "seed: 4",
    "3 samples": "4 samples",
}


@pytest.mark.parametrize("one", SAME)
def test_the_same(one: str) -> None:
    assert normalised(one) == normalised(SAME[one])


@pytest.mark.parametrize("one", DIFFERENT)
def test_different(one: str) -> None:
    assert normalised(one) != normalised(DIFFERENT[one])


def test_ids_and_places_of_the_run() -> None:
    text = normalised(
        "a b c\nrun 0123456789ab in /my dir/tree", ["", "0123456789ab"]
    )
    assert text == "a b c\nrun <id> in /my dir/tree"
    assert normalised("in /my dir/tree!", ["/my dir", "/my dir/tree"]) == "in <id>!"


def test_a_hostile_log_takes_no_time() -> None:
    for piece in ("1:", "/a", "1", "2026-11-29 ", "0x", "a.", "\r", "\x1b[", "1,"):
        normalised(piece * LONGEST_LINE)
    assert len(normalised("x" * 3 * LONGEST_LINE)) == LONGEST_LINE
