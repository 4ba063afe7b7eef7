"""What is a secret, and in which forms it is found."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import pytest

from gitorch.model.text.masking import (
    MASK,
    MaskedStream,
    Masking,
    is_secret_name,
    mask_addresses,
    mask_addresses_in_bytes,
)

SECRET = 's3cr3t/v+lue "q" \u00e9'


@pytest.mark.parametrize(
    "name",
    [
        "GITHUB_TOKEN",
        "HF_TOKEN",
        "MY_SECRET",
        "db_password",
        "DB_PASSWD",
        "MYSQL_PWD",
        "GITLAB_PAT",
        "PAT",
        "KEY",
        "SSH_KEY",
        "WANDB_API_KEY",
        "APIKEY",
        "OPENAI_KEY2",
        "DATABASE_URL",
        "SENTRY_DSN",
        "SLACK_WEBHOOK",
        "SLACK_WEBHOOK_URL",
        "AZURE_STORAGE_CONNECTION_STRING",
        "CREDENTIALS",
        "BASIC_AUTH",
        "SESSION_COOKIE",
        "PRIVATE_KEY",
        "AccountKey",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "PWD",
        "OLDPWD",
        "PATH",
        "KEYBOARD",
        "MONKEY",
        "PATTERN",
        "AUTHOR",
        "SSH_AUTH_SOCK",
        "HOME",
        "KEY_FILE",
        "COMPAT",
        "PASSES",
        "TOKENIZERS_PARALLELISM",
        "XAUTHORITY",
        "GIT_CONFIG_KEY_0",
        "DISPATCH",
        "GITORCH_TOKEN",
        "TOKEN_LIMIT",
    ],
)
def test_names_of_other_variables(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
    ],
)
def test_every_form_of_a_secret_is_masked(form: str) -> None:
    masking = Masking({"A_TOKEN": SECRET})
    assert "lue" not in masking.text(f"a {form} b")
    assert b"lue" not in masking.data(f"a {form} b".encode())


def test_each_line_of_a_secret_is_masked() -> None:
    masking = Masking({"PRIVATE_KEY": "-----BEGIN-----\nabcdefgh\n=x\n"})
    assert masking.text("abcdefgh\n=x") == "********\n=x"


@pytest.mark.parametrize(
    "value", ["", "true", "12345", "123456789", "default", "None"]
)
def test_common_and_short_values_destroy_no_text(value: str) -> None:
    text = f"this is {value}: 0.{value}"
    assert Masking({"USE_TOKEN": value}).text(text) == text


@pytest.mark.parametrize(
    ("name", "value", "password"),
    [
        ("DATABASE_URL", "postgres://me:pass%40word@host/db", "pass%40word"),
        ("DATABASE_URL", "postgres://me:pass%40word@host/db", "pass@word"),
        ("CONNECTION_STRING", "Server=a;User=b;Password=hunter22;", "hunter22"),
        (
            "AZURE_CONNECTION_STRING",
            "AccountName=a;AccountKey=abcd1234==;",
            "abcd1234==",
        ),
    ],
)
def test_a_password_in_a_secret_is_a_secret(
    name: str, value: str, password: str
) -> None:
    assert Masking({name: value}).text(f"login {password} failed") == (
        "login ******** failed"
    )


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://me:hunter2@host/a.git", "https://me:********@host/a.git"),
        ("ssh://git@host:22/a", "ssh://git@host:22/a"),
        ("https://host:8080/a@b", "https://host:8080/a@b"),
        ("https://ghp_0123456789abcdefghij@host/a", "https://********@host/a"),
        ('"a://b:c","d@e"', '"a://b:c","d@e"'),
        ("me@host:path", "me@host:path"),
    ],
)
def test_passwords_in_addresses(text: str, masked: str) -> None:
    assert mask_addresses(text) == masked
    assert mask_addresses_in_bytes(text.encode()) == masked.encode()


def test_json_keeps_its_shape() -> None:
    masking = Masking({"A_TOKEN": "abcdefgh"})
    value = {"abcdefgh": [1, "x abcdefgh", None, {"n": 0.5}], "t": True}
    assert masking.value(value) == {
        "********": [1, "x ********", None, {"n": 0.5}],
        "t": True,
    }


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_stream_is_masked_wherever_it_is_cut(size: int) -> None:
    masking = Masking({"API_KEY": "abcab-secret", "OTHER_TOKEN": "ab-ab-ab"})
    text = (
        b"1 abcab-secret abcab ab-ab-ab-ab https://me:hunter2pass@x/ abcab-secre\n"
    )
    stream = MaskedStream(masking)
    shown = b""
    for start in range(0, len(text), size):
        shown += stream.shown(text[start : start + size])
    assert shown + stream.rest() == masking.data(text)
    assert b"hunter2" not in shown


def test_a_stream_holds_back_only_what_may_be_a_secret() -> None:
    stream = MaskedStream(Masking({"API_KEY": "xyz-secret"}))
    assert stream.shown(b"50%\r") == b"50%\r"
    assert stream.shown(b"an x") == b"an "
    assert stream.shown(b"y") == b""
    assert stream.shown(b"lophone") == b"xylophone"
    assert stream.shown(b"xyz-secret") == MASK.encode()


def test_settings_of_git_in_the_environment() -> None:
    masking = Masking(
        {
            "GIT_CONFIG_KEY_0": "http.https://example.org/.extraHeader",
            "GIT_CONFIG_VALUE_0": "Authorization: Basic QWxhZGRpbjpv",
            "GIT_CONFIG_KEY_1": "corp.apiToken",
            "GIT_CONFIG_VALUE_1": "s3cr3t-v4lue",
            "GIT_CONFIG_KEY_2": "user.name",
            "GIT_CONFIG_VALUE_2": "Somebody",
        }
    )
    text = "QWxhZGRpbjpv s3cr3t-v4lue Somebody"
    assert masking.text(text) == f"{MASK} {MASK} Somebody"
