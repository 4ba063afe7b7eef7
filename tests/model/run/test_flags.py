"""Parameters as arguments: `--key value` and `key=value`."""

from __future__ import annotations

from typing import Any

import pytest

from gitorch.model.run.flags import (
    BoolStyle,
    Flags,
    flag_words,
    override_words,
    selected,
)

PARAMS: dict[str, Any] = {
    "learning_rate": 1e-05,
    "amp": True,
    "ema": False,
    "note": "it's",
    "none": None,
    "sizes": [64, True],
    "train": {"lr": 0.1, "opt_x": {"a": None}},
    "empty": {},
}


@pytest.mark.parametrize(
    ("style", "amp", "ema", "item"),
    [
        (BoolStyle.YAML, ["--amp", "true"], ["--ema", "false"], "true"),
        (BoolStyle.PYTHON, ["--amp", "True"], ["--ema", "False"], "True"),
        (BoolStyle.SWITCH, ["--amp"], [], "true"),
        (BoolStyle.NO_PREFIX, ["--amp"], ["--no-ema"], "true"),
    ],
)
def test_a_flag_for_each_parameter(
    style: BoolStyle, amp: list[str], ema: list[str], item: str
) -> None:
    words = list(flag_words(PARAMS, Flags(booleans=style)))
    assert words == [
        *("--learning_rate", "1e-05", *amp, *ema, "--note", "it's"),
        *("--sizes", "64", item, "--train.lr", "0.1"),
    ]


def test_dashes_in_the_names_of_flags() -> None:
    flags = Flags(dash=True, booleans=BoolStyle.NO_PREFIX)
    params = {"learning_rate": 1, "use_amp": False, "train": {"opt_x": "a_b"}}
    assert list(flag_words(params, flags)) == [
        *("--learning-rate", "1", "--no-use-amp", "--train.opt-x", "a_b")
    ]


@pytest.mark.parametrize(
    ("style", "words"),
    [
        (BoolStyle.YAML, ["--amp=true", "--ema=false", "--sizes=[64, true, null]"]),
        (
            BoolStyle.PYTHON,
            ["--amp=True", "--ema=False", "--sizes=[64, True, None]"],
        ),
        (BoolStyle.SWITCH, ["--amp", "--sizes=[64, true, null]"]),
        (BoolStyle.NO_PREFIX, ["--amp", "--no-ema", "--sizes=[64, true, null]"]),
    ],
)
def test_a_flag_and_its_value_as_one_word(
    style: BoolStyle, words: list[str]
) -> None:
    flags = Flags(equals=True, booleans=style)
    params = {"lr": 1e-05, "amp": True, "ema": False, "none": None, "empty": {}}
    params |= {"sizes": [64, True, None], "train": {"note": "a=b c"}}
    assert list(flag_words(params, flags)) == [
        "--lr=1e-05",
        *words,
        "--train.note=a=b c",
    ]


def test_overrides_in_the_grammar_of_hydra() -> None:
    texts = {
        "path": "/data/a-b.csv",
        "words": "a b",
        "number": "0.5",
        "truth": "True",
        "nothing": "",
        "list": "a,b",
        "quote": "it's",
        "end": "a=\\",
    }
    assert list(override_words({**PARAMS, **texts}, Flags())) == [
        "learning_rate=1e-05",
        "amp=true",
        "ema=false",
        r"note='it\'s'",
        "none=null",
        "sizes=[64,true]",
        "train.lr=0.1",
        "train.opt_x.a=null",
        "empty={}",
        "path=/data/a-b.csv",
        "words=a b",
        "number='0.5'",
        "truth='True'",
        "nothing=",
        "list='a,b'",
        r"quote='it\'s'",
        r"end='a=\\'",
    ]
    nested = {"stages": [{"name": "a", "lr": [1]}]}
    (word,) = override_words(nested, Flags(booleans=BoolStyle.PYTHON))
    assert word == "stages=[{name:a,lr:[1]}]"


def test_selected_parameters() -> None:
    params = {"model": {"depth": 3}, "a.b": 1, "lr": None}
    names = ["model.depth", "a.b", "lr", "model.width"]
    assert selected(names, params) == {"model.depth": 3, "a.b": 1, "lr": None}
    assert list(flag_words(selected(names, params), Flags())) == [
        *("--model.depth", "3", "--a.b", "1")
    ]
