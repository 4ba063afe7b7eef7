"""Addresses of repositories."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitorch.config.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://github.com/owner/name", ("github.com", "owner/name")),
        ("https://GitHub.com:443/Owner/name.git/", ("github.com", "owner/name")),
        ("https://me:p%40ss@host.org/a%20b.git", ("host.org", "a b")),
        ("http://host/x", ("host", "x")),
        ("ssh://git@host:2222/~me/x.git", ("host", "~me/x")),
        ("ssh://[::1]:22/x", ("[::1]", "x")),
        ("git+ssh://host/x", ("host", "x")),
        ("git@host:owner/name.git", ("host", "owner/name")),
        ("host:/srv/name", ("host", "srv/name")),
        ("me@[::1]:x", ("[::1]", "x")),
        ("github.com/owner/name", ("github.com", "owner/name")),
        ("file:///srv/Name.git", ("", "srv/name")),
        ("/srv/name.git", ("", "srv/name")),
        ("../name", ("", "../name")),
    ],
)
def test_every_form_gives_host_and_path(
    text: str, address: tuple[str, str]
) -> None:
    assert parse_address(text) == Address(*address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "owner/name",
        "https://",
        "https://host",
        "https://host/.git",
        "a b",
        "/",
        "host:",
    ],
)
def test_other_texts_are_not_addresses(text: str) -> None:
    assert parse_address(text) is None


def test_an_address_is_shown_without_its_password() -> None:
    assert (
        str(parse_address("https://me:secret@host.org/a/b.git")) == "host.org/a/b"
    )


@given(text=st.text())
def test_no_text_raises(text: str) -> None:
    parse_address(text)
