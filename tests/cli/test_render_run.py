"""Parts of what `show` prints."""

from __future__ import annotations

import pytest

from gitorch.cli.render_run import size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_468_006, "1.4 MiB"),
        (5 << 40, "5.0 TiB"),
        (5 << 50, "5120.0 TiB"),
    ],
)
def test_a_size_has_a_binary_unit(count: int, text: str) -> None:
    assert size(count) == text
