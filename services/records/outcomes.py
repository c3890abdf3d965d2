"""FHIR's own way of saying no: problems of /fhir routes go out as OperationOutcome, application/fhir+json.

Routes raise the same ProblemErrors as everywhere else (so transactions roll back and refusals are recorded by the same
code); on the way out the problem document is translated. A 500, a 413 and a path outside /fhir stay problem documents.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, cast

from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from services.common.problems import MEDIA_TYPE as PROBLEM_TYPE
from services.common.problems import ProblemError
from services.records.fhir import MEDIA_TYPE, InvalidResource, Issue, outcome

# http://hl7.org/fhir/R4/valueset-issue-type.html
_CODES: Final[dict[int, str]] = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    409: "conflict",
    412: "conflict",
    422: "processing",
    428: "required",
    503: "transient",
}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["resourceType", "issue"],
    "properties": {
        "resourceType": {"const": "OperationOutcome"},
        "issue": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "required": ["severity", "code"]},
        },
    },
}


def invalid_resource(error: InvalidResource) -> ProblemError:
    """422 that names every fault of a resource."""
    issues = [[issue.code, issue.diagnostics, issue.expression] for issue in error.issues]
    return ProblemError(
        422, "validation", "Invalid resource", "The resource is not valid.", extra={"issues": issues}
    )


def fhir_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a FHIR operation."""
    return {
        status: {
            "description": f"OperationOutcome ({_CODES[status]})",
            "content": {MEDIA_TYPE: {"schema": _SCHEMA}},
        }
        for status in statuses
    }


def translate(problem: dict[str, Any]) -> dict[str, Any]:
    """The OperationOutcome that says what a problem document says."""
    given = cast("Sequence[Sequence[str]]", problem.get("issues", ()))
    issues = [Issue(code, diagnostics, expression) for code, diagnostics, expression in given]
    issues += [
        Issue("invalid", f"breaks the rule {fault['rule']}", fault["pointer"])
        for fault in problem.get("errors", ())
    ]
    if not issues:
        text = problem.get("detail") or problem["title"]
        issues = [Issue(_CODES.get(problem["status"], "processing"), text)]
    return outcome(issues)


class FhirRoute(APIRoute):
    """A route whose problems go out as OperationOutcomes."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        held: Message | None = None

        async def send_translated(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                if Headers(raw=message["headers"]).get("content-type", "") == PROBLEM_TYPE:
                    held = message
                    return
            elif held is not None:
                # Problem documents are sent in one piece.
                body = json.dumps(translate(json.loads(message["body"]))).encode()
                headers = MutableHeaders(raw=list(held["headers"]))
                headers["content-type"] = MEDIA_TYPE
                headers["content-length"] = str(len(body))
                start, held = {**held, "headers": headers.raw}, None
                await send(start)
                await send({"type": "http.response.body", "body": body})
                return
            await send(message)

        await super().handle(scope, receive, send_translated)
