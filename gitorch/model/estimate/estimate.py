"""An estimate: a range of the seconds that are left, and where it comes from."""

from __future__ import annotations

from typing import Any, NamedTuple


class Estimate(NamedTuple):
    """The seconds left: p50 is enough in half of all cases, and p80 in four cases out of five.

    `source` says in words what the estimate is based on, None if it is based on several things.
    """

    p50: float
    p80: float
    source: str | None = None

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "p50": round(self.p50, 1),
            "p80": round(self.p80, 1),
        }
        if self.source is not None:
            shown["source"] = self.source
        return shown
