"""Recorded histories that are replayed: made by rules with fixed seeds, and one real one."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path

from gitorch.model.estimate.history import EarlierDuration

RECORDED = Path(__file__).parent / "penguins.json"
_COUNT = 60
REPORTING = "a demo's sweep"  # whose tasks report their progress


def histories() -> dict[str, list[EarlierDuration]]:
    """Return the histories by name, each in the order in which the runs ended."""
    return {
        "equal": list(_equal()),
        "lognormal": list(_lognormal(0.4)),
        "by a parameter": list(_by_epochs(0.1)),
        "by two parameters": list(_by_model_and_epochs()),
        "drifting": list(_drifting()),
        "bimodal": list(_bimodal()),
        "few": list(_lognormal(0.2))[:4],
        REPORTING: recorded(),
    }


def recorded() -> list[EarlierDuration]:
    """Return the durations of the demo's sweep, as `list --json` of a machine had them."""
    entries = json.loads(RECORDED.read_text())
    return [
        EarlierDuration(entry["seconds"], entry["params"], "here")
        for entry in entries
    ]


def _equal() -> Iterator[EarlierDuration]:
    chance = random.Random(1)
    for seed in range(_COUNT):
        yield EarlierDuration(60 * chance.gauss(1, 0.01), {"seed": seed}, "here")


def _lognormal(deviation: float) -> Iterator[EarlierDuration]:
    chance = random.Random(2)
    for seed in range(_COUNT):
        seconds = 600 * math.exp(chance.gauss(0, deviation))
        yield EarlierDuration(
            seconds, {"seed": seed, "lr": chance.choice([0.1, 0.01])}, "here"
        )


def _by_epochs(deviation: float) -> Iterator[EarlierDuration]:
    chance = random.Random(3)
    for seed in range(_COUNT):
        epochs = chance.choice([5, 10, 20, 40, 80])
        seconds = (3 + 2 * epochs) * math.exp(chance.gauss(0, deviation))
        yield EarlierDuration(seconds, {"seed": seed, "epochs": epochs}, "here")


def _by_model_and_epochs() -> Iterator[EarlierDuration]:
    chance = random.Random(4)
    for seed in range(_COUNT):
        model = chance.choice(["small", "large"])
        epochs = chance.choice([10, 20, 30])
        seconds = epochs * {"small": 1, "large": 7}[model]
        seconds *= math.exp(chance.gauss(0, 0.15))
        params = {"model": {"name": model}, "epochs": epochs, "seed": seed}
        yield EarlierDuration(seconds, {**params, "model": model}, "here")


def _drifting() -> Iterator[EarlierDuration]:
    chance = random.Random(5)
    for seed in range(_COUNT):
        seconds = 30 * 1.02**seed * math.exp(chance.gauss(0, 0.1))
        yield EarlierDuration(seconds, {"seed": seed}, "here")


def _bimodal() -> Iterator[EarlierDuration]:
    """Yield runs of which a third stop early."""
    chance = random.Random(6)
    for seed in range(_COUNT):
        level = 20 if chance.random() < 0.33 else 100
        yield EarlierDuration(
            level * math.exp(chance.gauss(0, 0.08)), {"seed": seed}, "here"
        )
