"""A Slurm of two nodes, which are hosts with networks of their own and this machine's files."""

from __future__ import annotations

from pathlib import Path

from tests.engines.hosts import Hosts
from tests.engines.slurm_cluster import SlurmCluster

_VARIABLES = ("PATH", "SLURM_CONF")
NODES = ("node1", "node2")


class SlurmHosts(SlurmCluster):
    """The controller is on this machine, and the cable to each node can be cut."""

    listening = ""  # slurmd cannot find its own address by its name

    def __init__(self, home: Path, hosts: Hosts) -> None:
        super().__init__(home)
        self.address = hosts.address
        self._hosts = hosts

    def nodes(self) -> dict[str, str]:
        return {node: self._hosts.address_of(node) for node in NODES}

    def start_node(self) -> None:
        for node in NODES:
            self._start_host(node)

    def set_down(self, node: str) -> None:
        """Tell Slurm that a node is lost. It takes eight seconds to find out itself."""
        change = (f"nodename={node}", "state=down", "reason=test")
        self.ask("scontrol", "update", *change)

    def restart_lost_nodes(self) -> None:
        """Start the nodes again that are not idle. A healed one would need 20 seconds."""
        for node in NODES:
            if (
                self.ask("sinfo", "-h", "-n", node, "-p", "main", "-o", "%T")
                != "idle"
            ):
                self._hosts.power_off(node)
                self._start_host(node)
        self.wait_until_idle()

    def _start_host(self, node: str) -> None:
        variables = [f"{name}={self.environment[name]}" for name in _VARIABLES]
        self._hosts.start(
            node,
            self.home / f"{node}.log",
            "slurmd started",
            *("env", *variables, "slurmd", "-D", "-N", node),
        )
