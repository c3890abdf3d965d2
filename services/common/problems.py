"""Errors as RFC 9457 problem details. One exception type, no echo of what the client sent.

Inputs may hold patient data, so a validation problem names the place and the rule, never the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from sqlalchemy import exc as sa_exc
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:vitalops:problem:"

# SQLSTATE classes that pass by themselves: another attempt may succeed.
_READ_ONLY = "25006"
_PASSING = {
    "40001": "serialization failure",
    "40P01": "deadlock",
    "55P03": "lock not available in time",
    "57014": "statement took too long",
}


class ProblemError(HTTPException):
    """Raised anywhere in a request to answer with a problem document.

    `type` is a short slug (`not-found`), published as `urn:vitalops:problem:not-found`. `detail` must hold
    nothing that came from a person. `extra` are extension members. `audit` is recorded in a transaction of
    its own, since the request's own is rolled back.
    """

    def __init__(
        self,
        status: int,
        type: str,
        title: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        audit: Any = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.type = type
        self.title = title
        self.extra = dict(extra or {})
        self.audit = audit

    def document(self) -> dict[str, Any]:
        """The members of the problem document."""
        members: dict[str, Any] = {
            "type": _TYPE_PREFIX + self.type,
            "title": self.title,
            "status": self.status_code,
        }
        if self.detail:
            members["detail"] = self.detail
        return members | self.extra


def not_found(what: str = "resource", *, audit: Any = None) -> ProblemError:
    """404. Also the answer for things that exist but are not the caller's to know of."""
    return ProblemError(404, "not-found", "Not found", f"There is no such {what}.", audit=audit)


def forbidden(detail: str, *, audit: Any = None) -> ProblemError:
    """403: known who, not allowed."""
    return ProblemError(403, "forbidden", "Forbidden", detail, audit=audit)


def conflict(detail: str, *, type: str = "conflict") -> ProblemError:
    """409: the state does not allow it."""
    return ProblemError(409, type, "Conflict", detail)


def unprocessable(detail: str, *, type: str = "unprocessable") -> ProblemError:
    """422: understood, and wrong."""
    return ProblemError(422, type, "Unprocessable content", detail)


def unavailable(detail: str, *, type: str = "unavailable", retry_after: int = 2) -> ProblemError:
    """503 with Retry-After in seconds."""
    return ProblemError(
        503, type, "Temporarily unavailable", detail, headers={"Retry-After": str(retry_after)}
    )


def problem_response(problem: ProblemError) -> JSONResponse:
    """The response that carries a problem."""
    return JSONResponse(
        problem.document(), status_code=problem.status_code, headers=problem.headers, media_type=MEDIA_TYPE
    )


def internal_error() -> ProblemError:
    """500, telling nothing."""
    return ProblemError(500, "internal", "Internal server error", "The request could not be completed.")


def database_problem(error: sa_exc.SQLAlchemyError) -> ProblemError:
    """What a database error means to the client."""
    if isinstance(error, sa_exc.TimeoutError):
        return unavailable("Every database connection is busy.", type="busy", retry_after=1)
    if not isinstance(error, sa_exc.DBAPIError):
        return internal_error()
    state = getattr(error.orig, "sqlstate", None) or ""
    if state == _READ_ONLY:
        return unavailable(
            "This region is the standby and takes no writes; try again shortly.",
            type="standby",
            retry_after=5,
        )
    if state in _PASSING:
        return unavailable(f"The database could not complete this now: {_PASSING[state]}.", retry_after=1)
    if isinstance(error, sa_exc.IntegrityError):
        return conflict("The request contradicts what is already stored.")
    if isinstance(error, sa_exc.DataError):
        return unprocessable("A value cannot be stored.", type="validation")
    if isinstance(error, sa_exc.OperationalError | sa_exc.InterfaceError) or error.connection_invalidated:
        return unavailable("The database cannot be reached.")
    return internal_error()


def validation_problem(errors: Sequence[Any], known: frozenset[str]) -> ProblemError:
    """A validation failure without the values: place and rule of each fault.

    `known` are the names that the interface documents; a place named by the client itself becomes `*`.
    """
    faults = [
        {
            "pointer": _pointer(error, known),
            "rule": str(error.get("type", "invalid")),
        }
        for error in errors
    ]
    if any(fault["rule"] == "json_invalid" for fault in faults):
        return ProblemError(400, "malformed", "Malformed request", "The body is not JSON.")
    if all(fault == {"pointer": "/header/Idempotency-Key", "rule": "missing"} for fault in faults):
        return ProblemError(
            400,
            "idempotency-key-missing",
            "Idempotency-Key is missing",
            "Send a fresh UUID in Idempotency-Key.",
        )
    return ProblemError(
        422,
        "validation",
        "Invalid request",
        "The request does not fit its description.",
        extra={"errors": faults},
    )


def _pointer(error: Any, known: frozenset[str]) -> str:
    parts = [str(part) if isinstance(part, int) or part in known else "*" for part in error.get("loc", ())]
    return "/" + "/".join(parts)


def http_problem(error: HTTPException) -> ProblemError:
    """The problem for an exception that Starlette or FastAPI raised itself."""
    if isinstance(error, ProblemError):
        return error
    title = HTTPStatus(error.status_code).phrase
    slug = title.lower().replace(" ", "-")
    return ProblemError(error.status_code, slug, title, headers=error.headers)
