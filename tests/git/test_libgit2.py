"""pygit2 is loaded without `ssl`, and libgit2 gets a directory of certificates."""

import subprocess
import sys

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
