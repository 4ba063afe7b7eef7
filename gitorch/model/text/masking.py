"""Masking: secrets are replaced in everything that gitorch stores or prints about a run.

A secret is the value of a variable whose name looks like that of a secret, or a password in an
address (`https://user:password@host`). The parameters and the outputs of a run are never changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "********"

# Parts of names that are long enough to mean a secret wherever they are in a name.
_LONG = (
    "TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|WEBHOOK|COOKIE|CONNECTION_?STRING|CONNSTR|"
    "DATABASE_URL|(API|ACCESS|PRIVATE|AUTH|ACCOUNT|ENCRYPTION|SIGNING|MASTER)_?KEY"
)
# Words that mean a secret only as a whole word of the name: MONKEY and KEYBOARD are not keys.
_WORDS = "KEY|KEYS|PAT|PWD|PASS|AUTH|DSN|PRIVATE|CREDS|BEARER|JWT"
_SECRET_NAME = re.compile(rf"{_LONG}|(?<![A-Z])({_WORDS})(?![A-Z])", re.IGNORECASE)
# The values of these variables are places, or are known to be no secrets.
_NO_SECRET_NAME = re.compile(
    r"^(PWD|OLDPWD|XAUTHORITY|GITORCH_TOKEN|TOKENIZERS_PARALLELISM|GIT_CONFIG_KEY_\d+)$"
    r"|_(FILE|PATH|DIR|SOCK|SOCKET|HOME|TYPE|NAME|TIMEOUT|LIMIT)$",
    re.IGNORECASE,
)
# Shorter values, and values that are common in texts, would mask what is not a secret.
_SHORTEST = 6
_SHORTEST_NUMBER = 10
_COMMON = frozenset(
    {
        "default",
        "disabled",
        "enabled",
        "localhost",
        "optional",
        "password",
        "required",
        "secret",
        "testing",
    }
)

# Few commands meet an address: these patterns are compiled where they are used.
_IN_ADDRESS = (
    r"(?P<begin>://[^\s/:@\"'<>\\]*:)[^\s/@\"'<>\\]+(?=@)"
    # A long name of a user, without a password, is a token.
    r"|(?P<slashes>://)[^\s/:@\"'<>\\]{20,}(?=@)"
)
_IN_ADDRESS_BYTES = _IN_ADDRESS.encode()
_IN_URL = r"://[^\s/:@]*:([^\s/@]+)@"
_IN_PAIRS = (
    r"(?i)(?:password|pwd|accountkey|sharedaccesskey|secret|token)\s*=\s*([^;\s]+)"
)


def is_secret_name(name: str) -> bool:
    """Return True if a variable of this name probably has a secret as its value."""
    return bool(_SECRET_NAME.search(name)) and not _NO_SECRET_NAME.search(name)


def mask_addresses(text: str) -> str:
    """Return the text without the passwords in its addresses."""
    if "://" not in text:
        return text
    return re.sub(_IN_ADDRESS, _masked_address, text)


def mask_addresses_in_bytes(data: bytes) -> bytes:
    if b"://" not in data:
        return data
    return re.sub(
        _IN_ADDRESS_BYTES,
        lambda found: (found["begin"] or found["slashes"]) + MASK.encode(),
        data,
    )


class Masking:
    """Replaces the secrets of environments, and the passwords in addresses."""

    def __init__(self, *environments: Mapping[str, str]) -> None:
        forms = set()
        for environment in environments:
            for name, value in environment.items():
                if is_secret_name(name):
                    for secret in _secrets_in(value):
                        forms |= _forms_of(secret)
        # The longest first: a secret can be a part of another one.
        self._texts = sorted(forms, key=len, reverse=True)
        self._bytes = [
            form.encode("utf-8", "surrogateescape") for form in self._texts
        ]

    def text(self, text: str) -> str:
        for secret in self._texts:
            text = text.replace(secret, MASK)
        return mask_addresses(text)

    def data(self, data: bytes) -> bytes:
        for secret in self._bytes:
            data = data.replace(secret, MASK.encode())
        return mask_addresses_in_bytes(data)

    def value(self, value: Any) -> Any:
        """Return a JSON value with all its texts masked, names included."""
        match value:
            case str():
                return self.text(value)
            case list() | tuple():
                return [self.value(item) for item in value]
            case dict():
                return {
                    self.text(key): self.value(item) for key, item in value.items()
                }
            case _:
                return value


NOTHING_SECRET = Masking()


def _masked_address(found: re.Match[str]) -> str:
    return (found["begin"] or found["slashes"]) + MASK


def _secrets_in(value: str) -> Iterator[str]:
    """Yield the value, its lines, and the passwords in it, if they can be masked."""
    candidates = [value, *value.splitlines()]
    for pattern in (_IN_URL, _IN_PAIRS):
        for password in re.findall(pattern, value):
            candidates += [password, unquote(password)]
    for candidate in candidates:
        secret = candidate.strip()
        shortest = _SHORTEST_NUMBER if secret.isdigit() else _SHORTEST
        if len(secret) >= shortest and secret.lower() not in _COMMON:
            yield secret


def _forms_of(secret: str) -> set[str]:
    """Return the secret as it is, in addresses and in JSON."""
    encodable = secret.encode("utf-8", "surrogateescape")
    return {
        secret,
        quote(encodable, safe=""),
        quote(encodable),
        quote_plus(encodable),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    }
