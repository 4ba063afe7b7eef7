"""Logs are cleaned before they are stored."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gitorch.model.text.masking import NOTHING_SECRET, Masking
from gitorch.storage.log import LONGEST_PIECE, clean


def cleaned(*chunks: bytes, masking: Masking = NOTHING_SECRET) -> bytes:
    return b"".join(clean(chunks, masking))


def test_only_the_last_state_of_a_progress_bar_is_kept() -> None:
    assert cleaned(b"start\n 10%\r 50%\r100%\ndone\n") == b"start\n100%\ndone\n"


def test_a_progress_bar_that_is_cut_across_chunks_is_collapsed() -> None:
    assert cleaned(b" 10%\r 5", b"0%\r10", b"0%\nd", b"one") == b"100%\ndone"


def test_crlf_becomes_lf() -> None:
    assert cleaned(b"one\r\ntwo\r\n") == b"one\ntwo\n"


def test_a_last_line_without_a_line_end_is_unchanged() -> None:
    assert cleaned(b"a\nb") == b"a\nb"


def test_a_very_long_line_is_cut_into_pieces() -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(8):
            yield b"x" * LONGEST_PIECE

    sizes = [len(piece) for piece in clean(chunks())]
    assert sum(sizes) == 8 * LONGEST_PIECE
    assert max(sizes) <= 2 * LONGEST_PIECE


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            b"y" * LONGEST_PIECE + b"\n10%\r100%\n",
            b"y" * LONGEST_PIECE + b"\n100%\n",
        ),
        (b"\r" * LONGEST_PIECE + b"end\n", b"end\n"),
        (b"://" * LONGEST_PIECE, b"://" * LONGEST_PIECE),
    ],
    ids=["a long line beside a progress bar", "carriage returns", "addresses"],
)
@pytest.mark.timeout(20)
def test_a_long_line_takes_no_longer_than_short_ones(
    text: bytes, kept: bytes
) -> None:
    """A search that is begun anew at each character takes hours."""
    assert cleaned(text) == kept


def test_the_values_of_secret_variables_are_masked() -> None:
    masking = Masking(
        {"WANDB_API_KEY": "0123456789abcdef", "HOME": "/home/someone"}
    )
    masked = cleaned(b"key=0123456789", b"abcdef!\n", masking=masking)
    assert masked == b"key=********!\n"


def test_a_secret_is_masked_where_a_very_long_line_is_cut() -> None:
    masking = Masking({"WANDB_API_KEY": "0123456789abcdef"})
    for before in range(LONGEST_PIECE - 18, LONGEST_PIECE + 2):
        line = b"x" * before + b"0123456789abcdef" + b"y" * 40
        pieces = (line[: LONGEST_PIECE + 1], line[LONGEST_PIECE + 1 :])
        assert cleaned(*pieces, masking=masking).strip(b"xy") == b"********"
