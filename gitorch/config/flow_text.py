"""Values as YAML on one line, for hints that show a line to write."""

from __future__ import annotations

import json
import re
from typing import Any

from gitorch.config.yaml_parser import core_value

# A text that YAML reads as itself inside brackets, unless it looks like a value of another kind.
_PLAIN = re.compile(r"[A-Za-z0-9_/.~](?:[\w ./~+*@%=-]*[\w./~+*@%=-])?")


def flow_text(value: Any) -> str:
    """Return a value in YAML's flow style, on one line: `{lr: [0.1, 0.01], model: small}`."""
    match value:
        case dict():
            items = [
                f"{flow_text(key)}: {flow_text(item)}"
                for key, item in value.items()
            ]
            return "{" + ", ".join(items) + "}"
        case list():
            return "[" + ", ".join(map(flow_text, value)) + "]"
        case str() if _is_plain(value):
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    if not _PLAIN.fullmatch(text):
        return False
    try:
        return bool(core_value(text) == text)
    except ValueError:
        return False
