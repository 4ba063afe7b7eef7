"""Hosts made of namespaces: each has a network, a host name, processes and hidden files of its own.

A cable connects each host to this machine, and can be cut. The tests need root for this.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gitorch.tools import process

PATIENCE_S = 30.0


def why_not() -> str | None:
    """Return why there can be no hosts here, or None if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "unshare"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    probe = f"gtp{os.getpid() % 10000}"
    made = _ip("netns", "add", probe, check=False)
    if made.returncode != 0:
        return f"there are no network namespaces here: {made.stderr.strip()}"
    _ip("netns", "del", probe)
    return None


class Hosts:
    """Up to 200 hosts on one bridge. `hidden` are directories that each host has for itself."""

    def __init__(self, hidden: Sequence[Path]) -> None:
        number = os.getpid() % 250
        self._name = f"gt{os.getpid() % 100000}"
        self._net = f"10.99.{number}"
        self._hidden = hidden
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._numbers: dict[str, int] = {}
        _ip("link", "add", self._name, "type", "bridge")
        _ip("addr", "add", f"{self._net}.254/24", "dev", self._name)
        _ip("link", "set", self._name, "up")

    @property
    def address(self) -> str:
        """Return the address of this machine."""
        return f"{self._net}.254"

    def address_of(self, host: str) -> str:
        number = self._numbers.setdefault(host, len(self._numbers) + 1)
        return f"{self._net}.{number}"

    def start(self, host: str, log: Path, ready: str, *argv: str) -> str:
        """Start a host with one program, and wait until the program's log says `ready`.

        Return the host's address.
        """
        address = self.address_of(host)
        space, cable = self._space(host), self._cable(host)
        _ip("netns", "add", space)
        _ip(
            "link",
            "add",
            cable,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            space,
        )
        _ip("link", "set", cable, "master", self._name, "up")
        _ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", space, "link", "set", "eth0", "up")
        _ip("-n", space, "link", "set", "lo", "up")
        hiding = [
            f"mount -t tmpfs none '{directory}'" for directory in self._hidden
        ]
        script = " && ".join(
            ["mount --make-rprivate /", f"hostname {host}", *hiding, 'exec "$@"']
        )
        argv = tuple(word.replace("{address}", address) for word in argv)
        with log.open("wb") as file:
            started = subprocess.Popen(
                [
                    *(
                        "ip",
                        "netns",
                        "exec",
                        space,
                        "unshare",
                        "--mount",
                        "--uts",
                        "--pid",
                    ),
                    *(
                        "--fork",
                        "--mount-proc",
                        "--kill-child=SIGKILL",
                        "sh",
                        "-c",
                        script,
                        "sh",
                    ),
                    *argv,
                ],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._processes[host] = started
        deadline = time.monotonic() + PATIENCE_S
        while ready not in log.read_text():
            assert started.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        return address

    def cut(self, host: str) -> None:
        _ip("link", "set", self._cable(host), "nomaster")

    def heal(self, host: str) -> None:
        _ip("link", "set", self._cable(host), "master", self._name)

    def freeze(self, host: str) -> None:
        """Stop all processes of a host, as if it waited for its file system."""
        self._signal_all(host, signal.SIGSTOP)

    def thaw(self, host: str) -> None:
        self._signal_all(host, signal.SIGCONT)

    def _signal_all(self, host: str, number: int) -> None:
        namespace = Path(f"/proc/{self._processes[host].pid}/ns/pid_for_children")
        identity = namespace.readlink()
        for one in process.table():
            with suppress(OSError):
                if Path(f"/proc/{one.pid}/ns/pid").readlink() == identity:
                    os.kill(one.pid, number)

    def power_off(self, host: str) -> None:
        """End all processes of a host at once."""
        init = self._processes.pop(host)
        init.send_signal(signal.SIGKILL)
        init.wait()
        _ip("link", "del", self._cable(host), check=False)
        _ip("netns", "del", self._space(host))

    def close(self) -> None:
        for host in list(self._processes):
            self.power_off(host)
        _ip("link", "del", self._name, check=False)

    def _space(self, host: str) -> str:
        return f"{self._name}-{self._numbers[host]}"

    def _cable(self, host: str) -> str:
        return f"{self._name}v{self._numbers[host]}"


def _ip(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["ip", *words], capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done
