"""pygit2 is loaded without `ssl`, and libgit2 gets a directory of certificates."""

import json
import os
import ssl
import subprocess
import sys
import textwrap
from pathlib import Path

from gitorch.git import libgit2

LOADING = """
import sys
before = list(sys.meta_path)
from gitorch.git.libgit2 import pygit2
assert sys.meta_path == before
print("ssl" in sys.modules, pygit2.settings.ssl_cert_file, pygit2.settings.ssl_cert_dir)
import ssl
assert ssl.get_default_verify_paths().openssl_cafile
"""


def test_pygit2_gets_a_directory_of_certificates_without_ssl() -> None:
    loaded = subprocess.check_output([sys.executable, "-c", LOADING], text=True)
    assert loaded.split() == ["False", "None", "/etc/ssl/certs"]


def test_the_file_of_all_certificates_is_not_read(tmp_path: Path) -> None:
    certificates = tmp_path / "certificates"
    os.mkfifo(certificates)  # reading it would wait for ever
    program = """
    import subprocess
    from gitorch.git.libgit2 import pygit2
    subprocess.run(["printenv", "SSL_CERT_FILE"], check=True)
    """
    printed = subprocess.check_output(
        [sys.executable, "-c", textwrap.dedent(program)],
        text=True,
        env={**os.environ, "SSL_CERT_FILE": str(certificates)},
        timeout=20,
    )
    assert printed == f"{certificates}\n"


def test_anything_else_of_ssl_is_that_of_ssl() -> None:
    stand_in = libgit2._import("ssl")
    assert stand_in.CERT_REQUIRED is ssl.CERT_REQUIRED
    assert libgit2._import("json") is json
