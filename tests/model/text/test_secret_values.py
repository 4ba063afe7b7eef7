"""Which values of a config are taken for secrets."""

from __future__ import annotations

from typing import Any

import pytest

from gitorch.model.text.masking import Masking
from gitorch.model.text.secret_values import find_secrets, secret_texts

ENVIRONMENT = {
    "HUB_TOKEN": "s3cr3t-v4lue",
    "APP_SECRET": "penguins",
    "DATA_KEY": "/data/penguins",
}


def positions(value: Any) -> list[tuple[str | int, ...]]:
    return [found.position for found in find_secrets(value, Masking(ENVIRONMENT))]


@pytest.mark.parametrize(
    "config",
    [
        {"password": "hunter2-and-more"},
        {"db_password": "correcthorse"},
        {"apiKey": "0123456789abcdef"},
        {"wandb-api-key": "0123456789abcdef"},
        {"client_secret": "Zm9vYmFyYmF6"},
        {"auth": {"access_token": "eyJhbGciOiJIUzI1NiJ9"}},
        {"anything": "s3cr3t-v4lue"},
        {"header": ["Bearer s3cr3t-v4lue"]},
        {"openai": "sk-proj0123456789abcdefgh"},
        {"x": "ghp_0123456789abcdefghijABCDEFGHIJ012345"},
        {"database": "postgres://me:hunter2-pass@db/x"},
        {"tasks": [{"id": "t", "command": "curl -H 'X: s3cr3t-v4lue'"}]},
        {"gitorch": {"matrix": {"api_key": ["0123456789abcdef"]}}},
        {"gitorch": {"env": {"API_KEY": "0123456789abcdef"}}},
    ],
)
def test_a_secret(config: dict[str, Any]) -> None:
    assert len(positions(config)) == 1


@pytest.mark.parametrize(
    "config",
    [
        {"num_keys": 12345678, "max_tokens": 100_000, "password": 1234567890},
        {"tokenizer": "bert-base-uncased", "token": "<|endoftext|>"},
        {"mask_token": "[MASK]", "pad_token": "<pad>", "token_type": "subword-32k"},
        {
            "sort_key": "created_at_2020",
            "key": "sample_0001_left",
            "keys": ["query-1"],
        },
        {"password": "short", "secret": "required", "api_key": None},
        {
            "api_key": "$WANDB_API_KEY",
            "password": "{db_password}",
            "secret": "<secret>",
        },
        {"api_key": "WANDB_API_KEY", "secret": "your-secret-here"},
        {"credentials": "~/.config/credentials", "private_key": "keys/private.pem"},
        {"species": "penguins", "path": "/data/penguins/train"},
        {
            "secretary": "somebody-else",
            "author": "somebody-else",
            "monkey": "capuchin-1",
        },
        {"url": "https://example.org/a-b-c", "local": "redis://me:redis@host/0"},
        {"url": "postgres://me:$PG_PASSWORD@db/x"},
        {"tasks": [{"id": "t", "command": 'test -n "$API_KEY" && ./train.py'}]},
        {"githubRepository": "https://me:hunter2-pass@example.org/a.git"},
    ],
)
def test_no_secret(config: dict[str, Any]) -> None:
    assert positions(config) == []


def test_only_the_key_itself_is_the_secret_in_a_longer_text() -> None:
    key = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
    config = {
        "tasks": [{"command": f"curl -u me:{key} x"}],
        "api_key": "hunter2-and-more",
    }
    assert sorted(secret_texts(config)) == [key, "hunter2-and-more"]
