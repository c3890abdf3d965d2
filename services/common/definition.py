"""What a service declares of itself; everything else is common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from sqlalchemy import MetaData

if TYPE_CHECKING:
    from services.common.background import Worker
    from services.common.context import ServiceContext


def _nothing(_: ServiceContext) -> Any:
    return None


def _no_workers(_: ServiceContext, __: Any) -> Sequence[Worker]:
    return ()


@dataclass(frozen=True)
class ServiceDefinition:
    """One service. Lives in `services/<name>/service.py` as `SERVICE`."""

    name: str
    """Package, database, client id and gateway prefix."""
    title: str
    """Title of the OpenAPI document."""
    description: str
    """Paragraph of the OpenAPI document."""
    routers: Sequence[APIRouter]
    """Routers; full paths (`/v1/...`) in their decorators."""
    metadata: MetaData
    """Tables of this service, without the common ones."""
    migrations: Path
    """Folder of Alembic versions."""
    build: Callable[[ServiceContext], Any] = _nothing
    """Makes the service's own state (key rings, provider clients) at start; got back with `service_state`."""
    workers: Callable[[ServiceContext, Any], Sequence[Worker]] = _no_workers
    """Background work besides the outbox relay."""
    checks: Sequence[tuple[str, Callable[[ServiceContext, Any], None]]] = ()
    """Further conditions of readiness: a name and a function that raises when it is not met."""
    max_body_bytes: int = 256 * 1024
    """Bodies above this are refused with 413."""
    version: str = "1.0.0"
    """Version of the API."""


def load_definition(name: str) -> ServiceDefinition:
    """The definition of a bundled service; raises LookupError when there is none of that name."""
    if not name.isidentifier() or name == "common":
        raise LookupError(f"there is no service {name!r}")
    try:
        module = import_module(f"services.{name}.service")
    except ModuleNotFoundError as error:
        if error.name in {f"services.{name}", f"services.{name}.service"}:
            raise LookupError(f"there is no service {name!r}") from error
        raise
    definition = module.SERVICE
    assert isinstance(definition, ServiceDefinition)
    return definition
