"""Where one local region's parts are: addresses, folders, sockets and kernel names. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from pathlib import Path

from vitalops.errors import UsageError
from vitalops.model.addresses import WAN_NETWORK, LocalAddresses
from vitalops.model.platform import Platform
from vitalops.paths import Paths

NAME_PREFIX = "vitalops-"
POD_LOGS = Path("logs/pods")
"""What a region's pods print, within its state folder."""
LONGEST_SOCKET_PATH = 107
"""Bytes of a Unix socket's path, from the kernel's sockaddr_un."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`state` lasts until the region is purged; `run` is gone after a stop or a reboot."""

    name: str
    addresses: LocalAddresses
    state: Path
    run: Path
    kubeconfig: Path

    @property
    def network_namespace(self) -> str:
        return NAME_PREFIX + self.name

    @property
    def network_namespace_file(self) -> Path:
        return Path("/run/netns") / self.network_namespace

    @property
    def cgroup(self) -> str:
        """Name of the region's control group, below the root of every hierarchy."""
        return NAME_PREFIX + self.name

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def config(self) -> Path:
        return self.state / "config"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def pod_logs(self) -> Path:
        return self.state / POD_LOGS

    @property
    def etcd(self) -> Path:
        return self.state / "etcd"

    @property
    def etcd_socket(self) -> Path:
        return self.run / "etcd.sock"

    @property
    def etcd_peer_socket(self) -> Path:
        return self.run / "etcd-peer.sock"

    @property
    def images(self) -> Path:
        """containerd's lasting data: image layers and the containers' writable ones."""
        return self.state / "containerd"

    @property
    def containerd_run(self) -> Path:
        return self.run / "containerd"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        return self.state / "kubelet"

    @property
    def volumes(self) -> Path:
        return self.state / "volumes"

    @property
    def lock(self) -> Path:
        # Beside the run folder, which a stop removes.
        return self.run.parent / f"{self.name}.lock"

    @property
    def pod_network(self) -> IPv4Network:
        network = ip_network(self.addresses.pods)
        assert isinstance(network, IPv4Network)
        return network

    @property
    def pod_gateway(self) -> str:
        return str(self.pod_network[1])

    @property
    def dns_address(self) -> str:
        """Where CoreDNS listens: of the pods' network, which only this region routes, so nobody outside can ask it."""
        return str(self.pod_network[2])

    @property
    def first_pod_address(self) -> str:
        return str(self.pod_network[8])

    @property
    def mounted_folders(self) -> tuple[Path, ...]:
        """Folders below which everything mounted is the region's."""
        return (self.state, self.run)


def layout(platform: Platform, region: str, paths: Paths) -> Layout:
    """Raises UsageError for a region that is not local, or state folders too deep for Unix sockets."""
    if platform.regions[region].cluster != "local":
        raise UsageError(
            f"{region} is an existing cluster, not a region on this machine",
            hint="it is used as it is: `vitalops up` reaches it through its context",
        )
    made = Layout(
        name=region,
        addresses=LocalAddresses.of(platform, region),
        state=paths.region(region),
        run=paths.region_run(region),
        kubeconfig=paths.kubeconfig(region),
    )
    for socket in (
        made.kubelet / "pod-resources/kubelet.sock",
        made.containerd_socket.with_suffix(".sock.ttrpc"),
    ):
        if len(str(socket).encode()) > LONGEST_SOCKET_PATH:
            raise UsageError(
                f"{socket} is too long for a Unix socket ({LONGEST_SOCKET_PATH} bytes)",
                hint="point VITALOPS_STATE and VITALOPS_RUN to shorter folders",
            )
    return made


def conflicting_routes(routes: list[str], wan_device_routes: list[str]) -> tuple[str, ...]:
    """Routes of the host (destinations) that lie within the regions' network and are not the suite's own.

    A wider route (10.0.0.0/8 to a VPN) is not a conflict: the kernel prefers ours, the more specific one.
    """
    ours = IPv4Network(WAN_NETWORK)
    found: list[str] = []
    for destination in routes:
        if destination == "default" or destination in wan_device_routes:
            continue
        network = ip_network(destination, strict=False)
        if isinstance(network, IPv4Network) and network.subnet_of(ours):
            found.append(destination)
    return tuple(found)
