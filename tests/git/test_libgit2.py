"""pygit2 is loaded without the file of all certificates, and nothing else of TLS is changed."""

import ssl
import subprocess
import sys

LOADING = """
import ssl
paths = ssl.get_default_verify_paths
from gitorch.git.libgit2 import pygit2
assert ssl.get_default_verify_paths is paths
print(pygit2.settings.ssl_cert_file, pygit2.settings.ssl_cert_dir)
"""


def test_pygit2_gets_the_directory_of_certificates() -> None:
    paths = ssl.get_default_verify_paths()
    expected = (None if paths.capath else paths.cafile, paths.capath)
    if expected == (None, None):
        return
    assert _loaded() == [str(path) for path in expected]


def _loaded() -> list[str]:
    command = [sys.executable, "-c", LOADING]
    return subprocess.check_output(command, text=True).split()
