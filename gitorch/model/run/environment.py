"""The environment that a run had, as it is stored: once for all runs that had the same.

The text of an environment is canonical, so that equal environments have the same digest in every
clone. Its keys are sorted and each is on a line of its own, for `git diff`.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from gitorch.model.run.record import RecordBroken
from gitorch.model.run.record_file import parse_record
from gitorch.model.text.masking import MASK, is_named, is_secret_name

# Only variables that change the results of programs are recorded, because others may be secrets.
_RECORDED = (
    "*_MAX_THREADS",
    "*_NUM_THREADS",
    "*_NUM_INTEROP_THREADS",
    "*_NUM_INTRAOP_THREADS",
    "BLIS_*",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "GOMP_*",
    "JAX_*",
    "KMP_*",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "MKL_*",
    "NUMBA_*",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_*",
    "OPENBLAS_*",
    "PYTHONHASHSEED",
    "PYTHONOPTIMIZE",
    "PYTHONPATH",
    "PYTHONUTF8",
    "TF_*",
    "TZ",
    "VECLIB_MAXIMUM_THREADS",
    "XLA_FLAGS",
)


def recorded_variables(
    variables: Mapping[str, str], allowed: Sequence[str], secret: Sequence[str] = ()
) -> dict[str, str]:
    """Return the variables that a record has: the well-known ones, and those that globs allow.

    The value of a variable whose name is that of a secret, or that globs call `secret`, is masked.
    """
    is_recorded = _matcher((*_RECORDED, *allowed))
    recorded = {}
    for name, value in sorted(variables.items()):
        if is_recorded(name):
            is_secret = is_secret_name(name) or is_named(name, secret)
            recorded[name] = MASK if is_secret else value
    return recorded


@cache
def _matcher(globs: tuple[str, ...]) -> Callable[[str], re.Match[str] | None]:
    return re.compile("|".join(map(fnmatch.translate, globs))).match


def render_environment(environment: Mapping[str, Any]) -> bytes:
    """Return the canonical text of an environment."""
    compact = json.dumps(environment, sort_keys=True, allow_nan=False).encode()
    try:
        return msgspec.json.format(compact, indent=1) + b"\n"
    except msgspec.MsgspecError:  # a value that is not UTF-8 is a lone surrogate
        return compact + b"\n"


def digest_of(text: bytes) -> str:
    """Return the SHA-256 under which the text of an environment is stored."""
    return hashlib.sha256(text).hexdigest()


def parse_environment(text: bytes, digest: str) -> dict[str, Any] | None:
    """Return the environment with this text, or None if the text is not that of the digest."""
    if digest_of(text) != digest:
        return None
    try:
        return parse_record(text, digest)
    except RecordBroken:
        return None
