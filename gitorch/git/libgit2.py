"""The library pygit2, loaded without TLS.

At its import, pygit2 loads `ssl`, only to tell libgit2 where the certificates of the system are;
libgit2 then reads them all. Together this takes a quarter of the time of the import. gitorch has no
use for them, since it speaks to other repositories through the git program alone. Therefore the
module of pygit2 that does this gets a stand-in for `ssl`, and libgit2 gets a directory, which it
reads when it needs a certificate. libgit2 also reads the file that $SSL_CERT_FILE names, so it does
not see this variable. The import takes 40 ms, so this module is imported where it is needed.
"""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, SimpleNamespace
from typing import Any

_USER_OF_SSL = "pygit2.settings"
_CERTIFICATE_FILE = "SSL_CERT_FILE"
_CERTIFICATES = SimpleNamespace(cafile=None, capath="/etc/ssl/certs")


class _StandIn:
    """Stands in for `ssl`, from which anything else comes that pygit2 may use."""

    DefaultVerifyPaths = object

    @staticmethod
    def get_default_verify_paths() -> SimpleNamespace:
        return _CERTIFICATES

    def __getattr__(self, name: str) -> Any:
        import ssl  # noqa: PLC0415  takes 6 ms

        return getattr(ssl, name)


class _Finder:
    """Finds the module that uses `ssl`, and changes the imports of this module alone."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: object = None
    ) -> ModuleSpec | None:
        if name != _USER_OF_SSL:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            own = {**vars(builtins), "__import__": _import}
            vars(module)["__builtins__"] = own
            load(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _import(name: str, *arguments: Any) -> Any:
    return _StandIn() if name == "ssl" else __import__(name, *arguments)


_finder = _Finder()
sys.meta_path.insert(0, _finder)
os.unsetenv(_CERTIFICATE_FILE)  # `os.environ`, which programs get, still has it
try:
    import pygit2
finally:
    sys.meta_path.remove(_finder)
    if _CERTIFICATE_FILE in os.environ:
        os.putenv(_CERTIFICATE_FILE, os.environ[_CERTIFICATE_FILE])

__all__ = ["pygit2"]
