"""A row with parameters and metrics of all kinds."""

from __future__ import annotations

from gitorch.model.run.status import Status
from gitorch.model.table.row import Row

ROW = Row(
    id="abcd11111111",
    name="penguins",
    label="penguins lr=0.1",
    status=Status.COMPLETE,
    commit="c" * 40,
    params={
        "lr": 0.1,
        "seed": 2,
        "note": "it's",
        "on": True,
        "layers": [64, 32],
        "optimizer": {"kind": "adam", "betas": {"first": 0.9}},
        "odd key": 1,
        "learning-rate": 3,
        "a.b": "dotted",
        "nothing": None,
    },
    swept=("lr",),
    metrics={"accuracy": 0.95, "test.f1": 0.5, "bad": None},
    created="2026-01-02T00:00:00.000000Z",
    started=None,
    ended=None,
    duration_s=12.5,
    clone="0123456789ab",
    identity="i",
)
