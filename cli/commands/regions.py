"""`vitalops regions`: local regions, each a real Kubernetes cluster in a network namespace of this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from cli import complete, context
from cli.confirm import confirm
from cli.examples import examples
from cli.output import emit, table
from cli.progress import progress

if TYPE_CHECKING:
    from infra.local.regions.manager import RegionStatus
    from vitalops.model.platform import Platform

app = typer.Typer(help="Start, stop and look into regions on this machine.")

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[REGION|PAIR]...",
        help="Regions, or pairs for both of theirs; those that start by default if none is named.",
        autocompletion=complete.regions_and_pairs,
    ),
]
OneRegion = Annotated[
    str,
    typer.Argument(metavar="REGION", help="A region of platform.yaml.", autocompletion=complete.regions),
]


def _chosen(names: list[str] | None) -> tuple[Platform, tuple[str, ...]]:
    from vitalops.model.selection import resolve_regions

    platform = context.current().load_platform()
    return platform, resolve_regions(platform, names or ())


def _render(statuses: list[RegionStatus]) -> str:
    rows = [
        (
            status.name,
            status.state + (f" (dead: {', '.join(status.dead)})" if status.dead else ""),
            "ready" if status.node_ready else "-",
            status.address,
            "-" if status.memory_bytes is None else f"{status.memory_bytes / 2**20:.0f} MiB",
            *([f"{status.seconds['total']:.1f} s"] if "total" in status.seconds else []),
        )
        for status in statuses
    ]
    headers = ("region", "state", "node", "address", "memory")
    return table((*headers, "took") if any(len(row) > len(headers) for row in rows) else headers, rows)


@app.command()
@examples("vitalops regions start", "vitalops regions start fr-par", "vitalops regions start switzerland")
def start(names: Names = None) -> None:
    """Start regions side by side, or repair what is dead of them. Does nothing for a region that is well."""
    from infra.local.regions import manager

    platform, regions = _chosen(names)
    with progress() as steps:
        statuses = manager.start(platform, regions, steps)
    emit(statuses, _render)


@app.command()
@examples("vitalops regions stop", "vitalops regions stop fr-gra --purge --yes")
def stop(
    names: Names = None,
    purge: Annotated[
        bool,
        typer.Option(
            "--purge", help="Delete the regions' data too: etcd, volumes, certificates, images, logs."
        ),
    ] = False,
) -> None:
    """Stop regions and leave nothing of them running or mounted. Their data stays for the next start."""
    from infra.local.regions import manager
    from infra.operations.edge import stop_edges
    from vitalops.paths import Paths

    platform, regions = _chosen(names)
    manager.require_local()
    if purge:
        confirm(f"Delete all data of {', '.join(regions)}?")
    with progress() as steps:
        manager.stop(platform, regions, purge, steps)
        local = [name for name, region in platform.regions.items() if region.cluster == "local"]
        gone = [each.name for each in manager.status(platform, local) if each.state == "stopped"]
        stop_edges(platform, Paths.from_environment(), gone, steps)
    emit(manager.status(platform, regions), _render)


@app.command("list")
@examples("vitalops regions list", "vitalops regions list --output json")
def list_regions() -> None:
    """Show every local region: whether it runs, what of it is dead, its node, address and memory."""
    from infra.local.regions import manager

    platform = context.current().load_platform()
    local = [name for name, region in platform.regions.items() if region.cluster == "local"]
    emit(manager.status(platform, local), _render)


@app.command()
@examples("vitalops regions logs fr-par --process kubelet --follow", "vitalops regions logs fr-par --lines 5")
def logs(
    region: OneRegion,
    process: Annotated[
        str | None, typer.Option("--process", "-p", help="One process; all if none is named.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing what is added.")] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="How many of the last lines of each.")
    ] = 20,
) -> None:
    """Show the logs of a region's own processes. Pods' logs are in `kubectl logs` (vitalops regions shell REGION)."""
    from infra.local.regions import manager

    platform, _ = _chosen([region])
    files = manager.logs(platform, region, process)
    arguments = [
        "tail",
        f"--lines={lines}",
        *(["--follow=name", "--retry"] if follow else []),
        *map(str, files),
    ]
    os.execvp(arguments[0], arguments)  # noqa: S606  # a program of the system, given as a list


@app.command(context_settings={"ignore_unknown_options": True})
@examples(
    "vitalops regions shell fr-par", "vitalops regions shell fr-par -- kubectl get pods --all-namespaces"
)
def shell(
    region: OneRegion,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND...]", help="Instead of a shell.")
    ] = None,
) -> None:
    """Open a shell in the region's network, with kubectl set up for its cluster."""
    from infra.local.regions import manager

    platform, _ = _chosen([region])
    arguments, environment = manager.shell(platform, region, command or [os.environ.get("SHELL", "/bin/sh")])
    os.execvpe(arguments[0], arguments, environment)  # noqa: S606  # a program of the system, given as a list
