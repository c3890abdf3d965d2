"""The OpenAPI document: every operation says which problems it answers with, so that it can be held to it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import compile_path

from services.common.problems import MEDIA_TYPE

_PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "type": "object",
    "description": "RFC 9457 problem details",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "rule"],
                "properties": {"pointer": {"type": "string"}, "rule": {"type": "string"}},
            },
        },
    },
}
_MEANINGS = {
    400: "The request cannot be read",
    401: "No acceptable access token",
    403: "Not allowed for this caller",
    404: "No such resource, or none that the caller may know of",
    409: "Contradicts the present state, or the same key is being worked on",
    410: "No longer available",
    413: "The body is too large",
    422: "The request is understood and wrong, or its key was used with other parameters",
    429: "Too many attempts",
    500: "Something went wrong inside",
    503: "Not possible now (standby region, busy, or a dependency is down); see Retry-After",
}
_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")


def problem_doc(status: int) -> dict[str, Any]:
    """Documentation of one problem response."""
    return {
        "description": _MEANINGS.get(status, "Problem"),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": {"type": "urn:vitalops:problem:example", "title": "Title", "status": status},
            }
        },
    }


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of an operation for the problems it has besides the usual ones."""
    return {status: problem_doc(status) for status in statuses}


def _usual(operation: dict[str, Any]) -> set[int]:
    """Problems that follow from an operation's shape."""
    parameters = operation.get("parameters", [])
    names = {parameter["name"].lower() for parameter in parameters}
    statuses = {500, 503}
    if operation.get("security"):
        statuses |= {401, 403}
    if parameters:
        statuses.add(422)
    if any(parameter["in"] == "path" for parameter in parameters):
        statuses.add(404)
    if "requestBody" in operation:
        statuses |= {400, 413, 422}
    if "idempotency-key" in names:
        statuses |= {400, 409, 422}
    return statuses


def documented_names(schema: dict[str, Any]) -> frozenset[str]:
    """Every name that the interface itself uses: of fields, of parameters, and of the places they are in."""
    names = {"body", "query", "path", "header", "cookie"}
    for model in schema.get("components", {}).get("schemas", {}).values():
        names |= set(model.get("properties", {}))
    for path in schema.get("paths", {}).values():
        for method in _METHODS:
            names |= {parameter["name"] for parameter in path.get(method, {}).get("parameters", [])}
    return frozenset(names)


def documented_methods(schema: dict[str, Any], path: str) -> frozenset[str]:
    """The methods of every documented route that a path fits."""
    return frozenset(
        method.upper()
        for template, operations in schema.get("paths", {}).items()
        if compile_path(template)[0].match(path)
        for method in _METHODS
        if method in operations
    )


def install_openapi(app: FastAPI) -> None:
    """Have `/openapi.json` document the problems of every operation."""

    def document() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            summary=app.summary,
        )
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = _PROBLEM
        for path in schema.get("paths", {}).values():
            for method in _METHODS:
                if method not in path:
                    continue
                responses = path[method].setdefault("responses", {})
                # FastAPI's own description of validation errors is not what is answered here.
                if "HTTPValidationError" in str(responses.get("422", "")):
                    del responses["422"]
                for status in sorted(_usual(path[method])):
                    responses.setdefault(str(status), problem_doc(status))
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        app.openapi_schema = schema
        return schema

    app.openapi = document  # pyright: ignore[reportAttributeAccessIssue] - how FastAPI wants it done
