"""The facts about the machine are those that other programs report."""

from __future__ import annotations

import os
import subprocess

import pytest

from gitorch.tools import machine


def test_the_umask_is_that_of_the_shell() -> None:
    shell = subprocess.run(
        ["sh", "-c", "umask"], capture_output=True, text=True, check=True
    )
    assert machine.umask() == shell.stdout.strip()


@pytest.mark.skipif(
    os.uname().machine != "x86_64", reason="other CPUs have no name"
)
def test_the_cpu_has_a_name() -> None:
    assert machine.cpu_model()


def test_a_locale_and_a_time_zone_come_from_the_variables() -> None:
    assert machine.locale_name({}) == "C"
    assert (
        machine.locale_name({"LANG": "de_DE.UTF-8", "LC_ALL": ""}) == "de_DE.UTF-8"
    )
    assert machine.locale_name({"LANG": "a", "LC_ALL": "b", "LC_CTYPE": "c"}) == "b"
    assert machine.timezone_name({"TZ": "Europe/Berlin"}) == "Europe/Berlin"
    assert machine.timezone_name({})
