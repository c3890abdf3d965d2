"""The network of local regions: a router namespace without a way out, one link to the host and one to each region.

    host ── 10.201.0.0/30 ── vitalops-wan ── 10.201.i.0/24 ── vitalops-<region> (pods: 10.210.i.0/24)

The host neither forwards nor gets a rule: it has one interface and one route. Only the namespaces forward. The router
has no default route, so a region reaches the other regions and the host's end of the link, and nothing else.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local.locks import exclusive
from infra.local.regions.commands import inside, run, succeeds
from infra.local.regions.layout import Layout, conflicting_routes
from vitalops.errors import RemoteError, UsageError
from vitalops.model.addresses import WAN_HOST_ADDRESS, WAN_NAMESPACE, WAN_NETWORK, WAN_ROUTER_ADDRESS

HOST_LINK = "vitalops-host"
ROUTER_HOST_LINK = "host"
REGION_LINK = "eth0"
WAN_FILE = Path("/run/netns") / WAN_NAMESPACE
# Fixed, whatever VITALOPS_RUN says: there is one router on a machine.
WAN_LOCK = Path("/run/lock/vitalops-wan.lock")
FORWARDING = "echo 1 > /proc/sys/net/ipv4/ip_forward"
CLONE_NEWNET = 0x40000000


def router_link(region: Layout) -> str:
    """Name of the region's link in the router namespace."""
    return f"region{region.addresses.index}"


def masquerade_rules(region: Layout) -> str:
    """nft input: what pods send out of the region leaves with the node's address. Declares the whole table anew."""
    pods = region.addresses.pods
    return (
        "table ip vitalops\n"
        "delete table ip vitalops\n"
        "table ip vitalops {\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat; policy accept;\n"
        f'    ip saddr {pods} oifname "{REGION_LINK}" masquerade\n'
        "  }\n"
        "}\n"
    )


def _links(*namespace: str) -> dict[str, dict[str, Any]]:
    return {
        link["ifname"]: link for link in json.loads(run(["ip", *namespace, "-j", "link", "show"]) or "[]")
    }


def _ensure_namespace(name: str) -> None:
    if succeeds(["ip", "-n", name, "link", "show", "lo"]):
        return
    # A file without a namespace behind it is what an interrupted deletion leaves.
    (Path("/run/netns") / name).unlink(missing_ok=True)
    run(["ip", "netns", "add", name])


def check_routes() -> None:
    """Raises UsageError where the host already sends part of the regions' network elsewhere."""
    routes = json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"]) or "[]")
    ours = [route["dst"] for route in routes if route.get("dev") == HOST_LINK]
    if taken := conflicting_routes([route["dst"] for route in routes], ours):
        raise UsageError(
            f"{WAN_NETWORK} is the local regions' network, but this machine already routes {', '.join(taken)}",
            hint=f"remove that route or address (`ip route show {taken[0]}`), then run again",
        )


def _ensure_wan() -> None:
    _ensure_namespace(WAN_NAMESPACE)
    if HOST_LINK not in _links():
        check_routes()
        router = ["netns", WAN_NAMESPACE]
        run(["ip", "link", "add", HOST_LINK, "type", "veth", "peer", "name", ROUTER_HOST_LINK, *router])
    wan = ["ip", "-n", WAN_NAMESPACE]
    run([*wan, "addr", "replace", f"{WAN_ROUTER_ADDRESS}/30", "dev", ROUTER_HOST_LINK])
    run([*wan, "link", "set", ROUTER_HOST_LINK, "up"])
    run([*wan, "link", "set", "lo", "up"])
    run([*inside(WAN_FILE), "sh", "-c", FORWARDING])
    run(["ip", "addr", "replace", f"{WAN_HOST_ADDRESS}/30", "dev", HOST_LINK])
    run(["ip", "link", "set", HOST_LINK, "up"])
    run(["ip", "route", "replace", WAN_NETWORK, "via", WAN_ROUTER_ADDRESS, "dev", HOST_LINK])


def ensure(region: Layout) -> None:
    """Makes or repairs the router and the region's part. Raises UsageError where another region has its addresses."""
    link = router_link(region)
    wan = ["ip", "-n", WAN_NAMESPACE]
    own = ["ip", "-n", region.network_namespace]
    with exclusive(WAN_LOCK, on_wait=lambda: None):
        _ensure_wan()
        _ensure_namespace(region.network_namespace)
        there = _links("-n", WAN_NAMESPACE).get(link)
        if there is not None and there.get("ifalias") != region.network_namespace:
            holder = str(there.get("ifalias", "another region")).removeprefix("vitalops-")
            raise UsageError(
                f"{region.name} and the running {holder} have the same addresses ({region.addresses.node})",
                hint=f"stop {holder} first: both are region {region.addresses.index} of their platform files",
            )
        if there is None or REGION_LINK not in _links("-n", region.network_namespace):
            succeeds([*wan, "link", "del", link])
            peer = ["peer", "name", REGION_LINK, "netns", region.network_namespace]
            run(["ip", "link", "add", link, "netns", WAN_NAMESPACE, "type", "veth", *peer])
            run([*wan, "link", "set", link, "alias", region.network_namespace])
    run([*wan, "addr", "replace", f"{region.addresses.router}/24", "dev", link])
    run([*wan, "link", "set", link, "up"])
    run([*own, "link", "set", "lo", "up"])
    run([*own, "addr", "replace", f"{region.dns_address}/32", "dev", "lo"])
    run([*own, "addr", "replace", f"{region.addresses.node}/24", "dev", REGION_LINK])
    run([*own, "link", "set", REGION_LINK, "up"])
    run([*own, "route", "replace", "default", "via", region.addresses.router])
    run([*inside(region.network_namespace_file), "sh", "-c", FORWARDING])
    run([*inside(region.network_namespace_file), "nft", "-f", "-"], text=masquerade_rules(region))


def remove(region: Layout) -> None:
    """Removes the region's link and namespace, and the router with the host's link after the last region."""
    link = router_link(region)
    with exclusive(WAN_LOCK, on_wait=lambda: None):
        if exists(WAN_NAMESPACE):
            there = _links("-n", WAN_NAMESPACE).get(link)
            if there is not None and there.get("ifalias") == region.network_namespace:
                run(["ip", "-n", WAN_NAMESPACE, "link", "del", link])
        if exists(region.network_namespace):
            run(["ip", "netns", "del", region.network_namespace])
        if exists(WAN_NAMESPACE) and not any(
            name.startswith("region") for name in _links("-n", WAN_NAMESPACE)
        ):
            # Explicitly: the kernel takes a deleted namespace's links away only some time later.
            succeeds(["ip", "link", "del", HOST_LINK])
            run(["ip", "netns", "del", WAN_NAMESPACE])


def exists(namespace: str) -> bool:
    return (Path("/run/netns") / namespace).exists()


@contextmanager
def socket_inside(namespace: Path) -> Generator[socket.socket]:
    """A TCP socket that belongs to a network namespace. Only a short-lived thread enters it: a socket stays where it
    was made, so the caller never leaves its own namespace. Raises RemoteError where the namespace cannot be entered."""
    made: list[socket.socket] = []
    failure: list[OSError] = []

    def enter() -> None:
        try:
            with namespace.open() as file:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), str(namespace))
            made.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=enter, name="setns")
    thread.start()
    thread.join()
    if failure:
        raise RemoteError(f"cannot enter {namespace}: {failure[0].strerror}") from failure[0]
    with made[0] as opened:
        yield opened
