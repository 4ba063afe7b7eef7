"""Masking: secrets are replaced in everything that gitorch stores or prints about a run.

A secret is the value of a variable whose name looks like that of a secret, or a password in an
address (`https://user:password@host`). The parameters and the outputs of a run are never changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "********"

# Parts of names that are long enough to mean a secret wherever they are in a name.
_LONG = (
    "TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|WEBHOOK|COOKIE|CONNECTION_?STRING|CONNSTR|"
    "DATABASE_URL|(API|ACCESS|PRIVATE|AUTH|ACCOUNT|ENCRYPTION|SIGNING|MASTER)_?KEY"
)
# Few commands meet a variable: the patterns are compiled where they are used.
# Words that mean a secret only as a whole word of the name: MONKEY and KEYBOARD are not keys.
_WORDS = "KEY|KEYS|PAT|PWD|PASS|AUTH|DSN|PRIVATE|CREDS|BEARER|JWT"
_SECRET_NAME = rf"{_LONG}|(?<![A-Z])({_WORDS})(?![A-Z])"
# The values of these variables are places, or are known to be no secrets.
_HARMLESS_NAME = (
    r"^(PWD|OLDPWD|XAUTHORITY|GITORCH_TOKEN|TOKENIZERS_PARALLELISM|GIT_CONFIG_KEY_\d+)$"
    r"|_(FILE|PATH|DIR|SOCK|SOCKET|HOME|TYPE|NAME|TIMEOUT|LIMIT)$"
)
# Shorter values, and values that are common in texts, would mask what is not a secret.
_SHORTEST = 6
_SHORTEST_NUMBER = 10
COMMON = frozenset(
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

_PLACE = ("/", "~", ".")  # of a path

# Few commands meet an address: these patterns are compiled where they are used.
_IN_ADDRESS = (
    r"(?P<begin>://[^\s/:@\"'<>\\]*:)[^\s/@\"'<>\\]+(?=@)"
    # A long name of a user, without a password, is a token.
    r"|(?P<slashes>://)[^\s/:@\"'<>\\]{20,}(?=@)"
)
_IN_ADDRESS_BYTES = _IN_ADDRESS.encode()
# The beginning of an address whose end is not known yet.
_UNFINISHED_ADDRESS = rb":(?:/|//[^\s\"'<>@]{0,500})?\Z"
_LONGEST_UNFINISHED = 503
_IN_URL = r"://[^\s/:@]*:([^\s/@]+)@"
_IN_PAIRS = (
    r"(?i)(?:password|pwd|accountkey|sharedaccesskey|secret|token)\s*=\s*([^;\s]+)"
)
_SETTING = "GIT_CONFIG_VALUE_"
# The secret of a header such as `Authorization: Basic …`.
_IN_HEADER = r"(?i)(?:basic|bearer|token)\s+([^\s'\"]{8,})"


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Return True if a variable of this name probably has a secret as its value."""
    if not re.search(_SECRET_NAME, name, re.IGNORECASE):
        return False
    return not re.search(_HARMLESS_NAME, name, re.IGNORECASE)


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

    def __init__(
        self,
        *environments: Mapping[str, str],
        globs: Sequence[str] = (),
        secrets: Iterable[str] = (),
    ) -> None:
        """`globs` name more variables that have secrets (`gitorch.secret`).

        `secrets` are secrets from elsewhere.
        """
        forms = set()
        for given in secrets:
            for secret in _secrets_in(given):
                forms |= _forms_of(secret)
        self._variables: dict[str, str] = {}  # by secret
        for environment in environments:
            for name, secret in _secrets_of(environment, globs):
                self._variables[secret] = name
                forms |= _forms_of(secret)
        # The longest first: a secret can be a part of another one.
        self._texts = sorted(forms, key=len, reverse=True)
        self._bytes = [
            form.encode("utf-8", "surrogateescape") for form in self._texts
        ]

    @property
    def secrets(self) -> Sequence[bytes]:
        """The secrets in all their forms, the longest first."""
        return self._bytes

    @property
    def of_variables(self) -> list[str]:
        """Return the secrets of the environments, as they are."""
        return list(self._variables)

    def variable_in(self, text: str) -> str | None:
        """Return the variable whose value is in the text, if it is not a word or a path."""
        for secret, name in self._variables.items():
            is_plain = secret.isalpha() or secret.startswith(_PLACE)
            if secret in text and not is_plain:
                return name
        return None

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


class MaskedStream:
    """Masks what is written piece by piece: a secret may begin in one piece and end in the next.

    The end of a piece that may be the beginning of a secret is held back until the next piece.
    """

    def __init__(self, masking: Masking) -> None:
        self._masking = masking
        self._held = b""

    def shown(self, data: bytes) -> bytes:
        """Return what can be shown now, masked."""
        data = self._held + data
        end = self._start_of_unfinished(data)
        self._held = data[end:]
        return self._masking.data(data[:end])

    @property
    def held(self) -> int:
        """Return how many bytes are held back."""
        return len(self._held)

    def rest(self) -> bytes:
        """Return what was held back, since nothing more will be written."""
        rest, self._held = self._held, b""
        return self._masking.data(rest)

    def _start_of_unfinished(self, data: bytes) -> int:
        """Return the index from which `data` may be the beginning of a secret, or its length."""
        end = len(data)
        begin = max(0, end - _LONGEST_UNFINISHED)
        address = re.compile(_UNFINISHED_ADDRESS).search(data, begin)
        if address:
            end = address.start()
        for secret in self._masking.secrets:
            longest = min(len(secret) - 1, len(data))
            for length in range(longest, 0, -1):
                if data.endswith(secret[:length]):
                    end = min(end, len(data) - length)
                    break
        return self._not_within_a_secret(data, end)

    def _not_within_a_secret(self, data: bytes, end: int) -> int:
        """Return `end`, or the beginning of the whole secret that it cuts in two."""
        is_cut = True
        while is_cut:
            is_cut = False
            for secret in self._masking.secrets:
                start = data.find(secret, max(0, end - len(secret) + 1))
                if 0 <= start < end < start + len(secret):
                    end = start
                    is_cut = True
        return end


def _masked_address(found: re.Match[str]) -> str:
    return (found["begin"] or found["slashes"]) + MASK


def passwords_in(text: str) -> list[str]:
    """Return the passwords in the addresses of a text."""
    return re.findall(_IN_URL, text) if "://" in text else []


def is_named(name: str, globs: Sequence[str]) -> bool:
    """Return True if a glob of `gitorch.secret` names the variable."""
    return any(fnmatchcase(name, glob) for glob in globs)


def _secrets_of(
    environment: Mapping[str, str], globs: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield the secrets of an environment, each with the name of its variable."""
    for name, value in environment.items():
        is_secret = is_secret_name(_meaning(name, environment))
        if is_secret or is_named(name, globs):
            for secret in _secrets_in(value):
                yield name, secret
        if name.startswith("GIT_CONFIG_"):  # maybe http.extraHeader
            for secret in re.findall(_IN_HEADER, value):
                yield name, secret


def _meaning(name: str, environment: Mapping[str, str]) -> str:
    """Return the setting that a GIT_CONFIG_VALUE_n has the value of, or else the name itself."""
    if not name.startswith(_SETTING):
        return name
    return environment.get(f"GIT_CONFIG_KEY_{name.removeprefix(_SETTING)}", "")


def _secrets_in(value: str) -> Iterator[str]:
    """Yield the value, its lines, and the passwords in it, if they can be masked."""
    candidates = [value, *value.splitlines()]
    for pattern in (_IN_URL, _IN_PAIRS):
        for password in re.findall(pattern, value):
            candidates += [password, unquote(password)]
    for candidate in candidates:
        secret = candidate.strip()
        shortest = _SHORTEST_NUMBER if secret.isdigit() else _SHORTEST
        if len(secret) >= shortest and secret.lower() not in COMMON:
            yield secret


def _forms_of(secret: str) -> set[str]:
    """Return the secret as it is, in addresses, in JSON and as Python shows it."""
    encodable = secret.encode("utf-8", "surrogateescape")
    return {
        secret,
        quote(encodable, safe=""),
        quote(encodable),
        quote_plus(encodable),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }
