"""Finding a run by a reference."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gitorch.errors import NotFound, UsageError
from gitorch.model.run.record import RecordBroken
from gitorch.model.table.references import Named, find, find_all


class Listed(list[Named]):
    """Runs in a list, newest first."""

    def newest(self, back: int) -> str | None:
        return self[back].id if back < len(self) else None

    def called(self, name: str) -> str | None:
        return next((run.id for run in self if name in (run.id, run.name)), None)

    def all_labelled(self, label: str) -> list[Named]:
        return [run for run in self if run.label == label]

    def all_called(self, name: str) -> list[str]:
        return [run.id for run in self if name in (run.label, run.name)]

    def labelled_with(self, words: Sequence[str]) -> list[Named]:
        return [run for run in self if set(words) <= set(run.label.split())]

    def queued_last(self) -> list[Named]:
        return self[:2]

    def beginning(self, prefix: str) -> list[Named]:
        return [run for run in self if run.id.startswith(prefix)]

    def unreadable(self) -> list[RecordBroken]:
        return [
            RecordBroken("abcd99999999", "odd"),
            RecordBroken("dddd00000000", "odd"),
        ]


RUNS = Listed(
    [
        Named("abcd11111111", "penguins", "penguins lr=0.1", "0.1", "2026-01-03"),
        Named("abcd22222222", "penguins", "penguins lr=0.2", "0.2", "2026-01-02"),
        Named("ef0033333333", "whales", "whales", "w", "2026-01-01"),
    ]
)


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("abcd22222222", 1),
        ("abcd2", 1),
        ("ef00", 2),
        ("penguins", 0),
        ("whales", 2),
        ("penguins lr=0.2", 1),
        ("@", 0),
        ("@~2", 2),
        ("penguins~0", 0),
        ("penguins~1", 1),
        ("penguins lr=0.2~0", 1),
        ("lr=0.2", 1),
        ("lr=0.2 penguins", 1),
    ],
)
def test_a_reference_means_a_run(reference: str, found: int) -> None:
    assert find(reference, RUNS) == RUNS[found].id


def test_an_ambiguous_prefix_names_the_candidates() -> None:
    with pytest.raises(UsageError, match="abcd11111111") as refused:
        find("abcd", RUNS)
    assert "abcd99999999  (its record cannot be read)" in str(refused.value)


@pytest.mark.parametrize("reference", ["@last", "lr=0.1 penguins"])
def test_what_means_several_runs_is_ambiguous(reference: str) -> None:
    runs = Listed(
        [*RUNS, Named("ef0044444444", "penguins", "penguins lr=0.1 a=1", "a", "")]
    )
    with pytest.raises(UsageError, match="is ambiguous: 2 runs"):
        find(reference, runs)


def test_a_label_is_ambiguous_unless_its_runs_repeat_each_other() -> None:
    again = RUNS[0]._replace(id="abcd55555555")
    runs = Listed([again, *RUNS])
    for reference in ("penguins lr=0.1", "lr=0.1"):
        assert find(reference, runs) == again.id
    other = again._replace(identity="other code")
    for reference in ("penguins lr=0.1", "lr=0.1"):
        with pytest.raises(UsageError, match="is ambiguous: 2 runs have this"):
            find(reference, Listed([other, *RUNS]))
    assert find("penguins", Listed([other, *RUNS])) == other.id


def test_the_runs_that_were_queued_last() -> None:
    assert find_all("@last", RUNS) == [run.id for run in RUNS[:2]]
    assert find_all("whales", RUNS) == [RUNS[2].id]


@pytest.mark.parametrize("reference", ["abcd9", "dddd", "dddd00000000"])
def test_a_reference_to_a_record_that_cannot_be_read_says_so(
    reference: str,
) -> None:
    with pytest.raises(RecordBroken, match=f"{reference}.* cannot be read: odd"):
        find(reference, RUNS)


@pytest.mark.parametrize(
    "reference", ["abc", "ffff", "seals", "@~3", "", "penguins~2", "lr=0.3"]
)
def test_a_reference_to_no_run_is_an_error(reference: str) -> None:
    with pytest.raises(NotFound):
        find(reference, RUNS)
