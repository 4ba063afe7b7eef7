"""Names that no other process draws."""

from __future__ import annotations

import os


def random_hex(size: int) -> str:
    """Return `size` random bytes as lower-case hexadecimal digits.

    The bytes come from the system, as those of `secrets.token_hex` do. Importing `secrets` takes 8
    ms, which is a tenth of a short command.
    """
    return os.urandom(size).hex()
