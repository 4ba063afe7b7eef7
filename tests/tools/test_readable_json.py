"""JSON with one key a line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitorch.tools.readable_json import render_json

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(VALUES)
def test_the_text_is_that_of_json_dumps_with_an_indent(value: Any) -> None:
    assert (
        render_json(value)
        == (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
    )


def test_a_file_name_that_is_not_utf_8_survives() -> None:
    value = {"b\udcff": "größe"}
    assert json.loads(render_json(value)) == value


def test_values_that_json_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        render_json([float("nan")])
