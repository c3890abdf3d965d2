"""The resource graph of a Pulumi program, without the Pulumi engine.

The program runs under Pulumi's own mock monitor; a subclass reads each raw registration, which also says who the parent
is, what must come first and which provider is meant. Inputs are revealed in memory only.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from vitalops.errors import VitalopsError

PROVIDER_TYPE = "pulumi:providers:kubernetes"
KUBERNETES_PREFIX = "kubernetes:"


class ProgramError(VitalopsError):
    """The program itself is wrong: it raised, or declared something that no engine may accept."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One registration. `provider` is the URN of the provider instance, empty for components."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    dependencies: frozenset[str]
    provider: str
    inputs: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Graph:
    """A program's resources in the order of their registration, and what it exports."""

    resources: tuple[Resource, ...]
    outputs: Mapping[str, Any] = field(repr=False)

    def by_urn(self) -> dict[str, Resource]:
        return {resource.urn: resource for resource in self.resources}

    def providers(self) -> dict[str, str]:
        """URN of each Kubernetes provider -> its `clusterIdentifier`."""
        return {
            resource.urn: str(resource.inputs.get("clusterIdentifier", ""))
            for resource in self.resources
            if resource.type == PROVIDER_TYPE
        }


def record(program: Callable[[], None], *, project: str, stack: str) -> Graph:
    """Run `program` and return its graph.

    Each run has a thread, an event loop and a context of its own: Pulumi keeps its settings in context variables.

    Raises ProgramError when the program raises, or declares a Kubernetes object without an explicit provider.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"program-{stack}") as pool:
        return pool.submit(contextvars.Context().run, _record, program, project, stack).result()


def _record(program: Callable[[], None], project: str, stack: str) -> Graph:
    from pulumi.runtime import mocks, rpc, settings
    from pulumi.runtime.stack import run_pulumi_func

    seen: list[Resource] = []
    exported: dict[str, Any] = {}

    class Reveal(mocks.Mocks):
        def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
            return args.resource_id or args.name, args.inputs

        def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
            raise ProgramError(
                f"the program calls {args.token}: programs declare objects and look nothing up"
            )

    class Recorder(mocks.MockMonitor):
        def RegisterResource(self, request: Any) -> Any:
            answer = super().RegisterResource(request)
            if request.type != "pulumi:pulumi:Stack":
                seen.append(
                    Resource(
                        urn=answer.urn,
                        type=request.type,
                        name=request.name,
                        parent=request.parent,
                        custom=bool(request.custom),
                        dependencies=frozenset(request.dependencies),
                        # `urn::id`; the id may be anything, so the last separator is the one that counts.
                        provider=request.provider.rpartition("::")[0],
                        inputs=_reveal(rpc.deserialize_properties(request.object)),
                    )
                )
            return answer

        def RegisterResourceOutputs(self, request: Any) -> Any:
            if "pulumi:pulumi:Stack" in request.urn:
                exported.update(_reveal(rpc.deserialize_properties(request.outputs)))
            return super().RegisterResourceOutputs(request)

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Pulumi leaves an event loop open in each thread that serves a registration, unless there is one already.
    loops = [loop]

    def begin_thread() -> None:
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])

    executor = ThreadPoolExecutor(thread_name_prefix="register", initializer=begin_thread)
    loop.set_default_executor(executor)
    try:
        settings.ROOT.set(None)
        recorder = Recorder(Reveal())
        mocks.set_mocks(Reveal(), project=project, stack=stack, preview=False, monitor=recorder)

        async def main() -> None:
            await run_pulumi_func(program)

        loop.run_until_complete(main())
        root = settings.get_root_resource()
        outputs = getattr(root, "outputs", {}) or {}
        exported.update(
            {name: value for name, value in outputs.items() if isinstance(value, (str, int, bool))}
        )
    except VitalopsError:
        raise
    except Exception as error:
        raise ProgramError(f"stack {stack}: the program failed: {type(error).__name__}: {error}") from error
    finally:
        executor.shutdown()
        asyncio.set_event_loop(None)
        for each in loops:
            each.close()
    for resource in seen:
        if resource.type.startswith(KUBERNETES_PREFIX) and PROVIDER_TYPE not in resource.provider:
            raise ProgramError(f"stack {stack}: {resource.urn} has no explicit provider")
    return Graph(tuple(seen), exported)


def _reveal(value: Any) -> Any:
    """The value without the wrappers that mark secrets."""
    from pulumi.runtime import rpc

    if rpc.is_rpc_secret(value):
        return _reveal(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {str(key): _reveal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_reveal(item) for item in value]
    return value
