"""The table of settings: how it reads the configuration of git, and its copy in the README."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import fields

from gitorch.errors import UsageError
from gitorch.model.settings import (
    SETTINGS,
    Settings,
    parse_settings,
    render_settings,
    unknown_settings,
)

README = Path(__file__).parents[2] / "README.md"


def test_each_field_has_one_row() -> None:
    assert [setting.field for setting in SETTINGS] == list(
        dict.fromkeys(setting.field for setting in SETTINGS)
    )
    assert {setting.field for setting in SETTINGS} == {
        field.name for field in fields(Settings)
    }


def test_names_ignore_case_and_an_empty_text_means_the_default() -> None:
    settings = parse_settings(
        {"gitorch.largefile": "3m", "gitorch.branch": "", "user.name": "A"}
    )
    assert settings.large_file_bytes == 3 << 20
    assert settings.branch == "gitorch/results"
    assert settings.grace_s == 3
    assert settings.cpus is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "grace",
            "soon",
            "the setting gitorch.grace: 'soon' is not a whole number",
        ),
        (
            "dirty",
            "maybe",
            "the setting gitorch.dirty: 'maybe' is neither 'refuse' nor 'snapshot'",
        ),
        ("memory", "12", "the setting gitorch.memory: '12' has no unit"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(
    name: str, text: str, message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        parse_settings({f"gitorch.{name}": text})
    assert refused.value.message == message
    assert f"git config --show-origin gitorch.{name}" in (refused.value.hint or "")


def test_a_misspelt_setting_is_reported_with_the_closest_one() -> None:
    names = [
        "gitorch.jobs",
        "gitorch.larg-file",
        "gitorch.jbos",
        "gitorch.colour",
        "core.bare",
    ]
    assert unknown_settings(names) == [
        "gitorch has no setting gitorch.larg-file, did you mean 'largeFile'?",
        "gitorch has no setting gitorch.jbos, did you mean 'jobs'?",
        "gitorch has no setting gitorch.colour",
    ]


def test_the_readme_has_the_table() -> None:
    assert render_settings() in README.read_text()
