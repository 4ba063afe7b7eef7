"""Two versions of a record are merged by the union of their labels, whatever is in them."""

from __future__ import annotations

from typing import Any

import pytest

from gitorch.model.run.labels import VERDICTS_KEPT, with_labels_of

MARK = {"at": "1", "by": "ada", "why": "wrong"}
UNDONE = {**MARK, "undone": {"at": "2", "by": "eve"}}


def verdict(number: int) -> dict[str, Any]:
    return {
        "id": f"{number:012x}",
        "of": "a",
        "verdict": "differs",
        "at": f"{number:03}",
    }


def test_an_undone_mark_wins_in_either_order() -> None:
    marked = {"invalidations": [MARK]}
    undone = {"invalidations": [UNDONE]}
    assert with_labels_of(marked, undone) == undone
    assert with_labels_of(undone, marked) is None


def test_verdicts_are_united_in_the_order_of_their_times() -> None:
    first = {"id": "x", "verdicts": [verdict(1), verdict(3)]}
    second = {"id": "x", "verdicts": [verdict(2), verdict(3)]}
    united = {"id": "x", "verdicts": [verdict(1), verdict(2), verdict(3)]}
    assert with_labels_of(first, second) == united
    assert with_labels_of(second, first) == united
    assert with_labels_of(united, first) is None


def test_the_newest_verdicts_are_kept() -> None:
    many = {"verdicts": [verdict(number) for number in range(VERDICTS_KEPT)]}
    newer = {"verdicts": [verdict(VERDICTS_KEPT)]}
    united = with_labels_of(many, newer)
    assert united is not None
    assert united["verdicts"][-1] == verdict(VERDICTS_KEPT)
    assert len(united["verdicts"]) == VERDICTS_KEPT


@pytest.mark.parametrize("odd", [None, 3, "text", {}, [None, 3, "text"]])
def test_labels_of_another_shape_are_left_out(odd: Any) -> None:
    record = {"verdicts": odd, "invalidations": odd}
    assert with_labels_of(record, record) is None
    assert with_labels_of({}, record) is None
    merged = with_labels_of(record, {"invalidations": [MARK]})
    assert merged is not None
    assert merged["invalidations"] == [MARK]
