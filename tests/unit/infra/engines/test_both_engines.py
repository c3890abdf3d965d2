"""The embedded engine makes the objects that the real one would be asked for.

The program runs as under Pulumi's language host: the SDK talks gRPC to a resource monitor, which here is a real server
that writes down every registration. What went over the wire is compared with what the embedded engine would apply.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, json_format
from pulumi.runtime import settings
from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2, resource_pb2_grpc
from pulumi.runtime.stack import run_in_stack

from infra.components.args import EdgeArgs, RegionArgs
from infra.engines.graph import record
from infra.engines.manifests import desired_objects
from infra.program.stacks import PROJECT, edge_program, region_program

SECRET = "1b47061264138c4ac30d75fd1eb44270"
SIGNATURE = "4dabf18193072939515e22adb298388d"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Pulumi's resource monitor, as far as a program sees it."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def SupportsFeature(self, request: Any, context: Any) -> Any:
        supported = request.id in (
            "secrets",
            "resourceReferences",
            "outputValues",
            "aliasSpecs",
            "deletedWith",
        )
        return resource_pb2.SupportsFeatureResponse(hasSupport=supported)

    def RegisterResource(self, request: Any, context: Any) -> Any:
        self.seen.append(request)
        parent = request.parent.split("::")[2] + "$" if request.parent else ""
        urn = f"urn:pulumi:s::{PROJECT}::{parent}{request.type}::{request.name}"
        identity = request.name if request.custom else ""
        return resource_pb2.RegisterResourceResponse(urn=urn, id=identity, object=request.object)

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def SignalAndWaitForShutdown(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


class Engine(engine_pb2_grpc.EngineServicer):
    """Pulumi's engine: takes log lines."""

    def Log(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


def over_the_wire(program: Callable[[], None]) -> list[Any]:
    """The registrations that the program sends to an engine."""
    monitor = Monitor()
    server = grpc.server(futures.ThreadPoolExecutor(8))
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server)
    engine_pb2_grpc.add_EngineServicer_to_server(Engine(), server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()

    def run() -> None:
        settings.reset_options(
            project=PROJECT,
            stack="s",
            engine_address=address,
            monitor_address=address,
            preview=False,
            parallel=8,
        )
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(run_in_stack(program))
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            asyncio.set_event_loop(None)
            loop.close()

    try:
        with futures.ThreadPoolExecutor(1) as pool:
            pool.submit(contextvars.Context().run, run).result()
    finally:
        server.stop(None).wait()
    return monitor.seen


def plain(value: Any) -> Any:
    """A wire value without its wrappers for secrets and outputs."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) in (SECRET, OUTPUT):
            return plain(value["value"])
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def compared(program: Callable[[], None]) -> None:
    sent = [request for request in over_the_wire(program) if request.type.startswith("kubernetes:")]
    asked: dict[tuple[str, str], Any] = {}
    for request in sent:
        provider = request.provider.split("::")[-2].removeprefix("cluster-")
        asked[provider, request.name + request.type] = plain(json_format.MessageToDict(request.object))
    graph = record(program, project=PROJECT, stack="s")
    types = {resource.urn: resource.name + resource.type for resource in graph.resources}
    applied = {(node.cluster, types[node.urn]): node.manifest for node in desired_objects(graph)}
    assert len(sent) == len(asked) == len(applied) > 0
    assert applied == asked


@pytest.mark.parametrize("name", ["fr-par", "fr-gra"])
def test_a_region(name: str, region: Callable[[str], RegionArgs]) -> None:
    compared(region_program(region(name)))


def test_an_edge(edge: EdgeArgs) -> None:
    compared(edge_program(edge))


def test_secret_data_is_marked_secret_on_the_wire(region: Callable[[str], RegionArgs]) -> None:
    for request in over_the_wire(region_program(region("fr-par"))):
        if request.type == "kubernetes:core/v1:Secret":
            data = json_format.MessageToDict(request.object)["data"]
            assert data.get("secret") is True or data[SIGNATURE] == SECRET


def test_components_have_stable_types_and_all_children_an_explicit_provider(
    region: Callable[[str], RegionArgs],
) -> None:
    sent = over_the_wire(region_program(region("fr-par")))
    components = {request.type for request in sent if request.type.startswith("vitalops:")}
    assert components == {
        f"vitalops:region:{name}"
        for name in (
            "RegionalPlatform",
            "Namespaces",
            "NetworkPolicies",
            "Objects",
            "Database",
            "Migrations",
            "Media",
            "Gateway",
            "MicroService",
            "Telemetry",
        )
    }
    for request in sent:
        if request.type.startswith("kubernetes:"):
            assert "cluster-fr-par" in request.provider
            assert "vitalops:" in request.parent
