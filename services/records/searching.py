"""Search parameters of the FHIR interface: which there are, and how they are read."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from fastapi import Request

from services.common.auth import Principal
from services.common.problems import ProblemError
from services.records import store
from services.records.fhir import ID, ResourceType


def check_parameters(kind: ResourceType, request: Request) -> None:
    """Raise ProblemError 400 for a parameter that this type is not searched by."""
    # An unknown filter that is quietly ignored shows more than was asked for: http.html#search lets a server refuse.
    known = {"_id", "_count", "_offset", "patient", "subject", "encounter", "code"}
    if kind != "Observation":
        known -= {"encounter", "code"}
    if kind == "Patient":
        known -= {"patient", "subject"}
    if not set(request.query_params) <= known:
        raise ProblemError(400, "unknown-parameter", "Bad request", f"Search by: {', '.join(sorted(known))}.")


def whose(principal: Principal, kind: ResourceType, named: str | None, resource_id: str | None) -> str:
    """The patient in whose record is searched: the one named, or else the patient who asks."""
    if kind == "Patient":
        named = resource_id
    if named is None:
        if principal.role == "patient":
            return principal.subject
        raise ProblemError(400, "patient-missing", "Bad request", "Name the patient to search for.")
    return reference(named, "Patient")


def reference(value: str | None, kind: str) -> str:
    """The id in `id` or `<kind>/id`; empty when there is none."""
    if value is None:
        return ""
    identifier = value.removeprefix(f"{kind}/")
    if not ID.fullmatch(identifier):
        raise ProblemError(400, "bad-reference", "Bad request", f"A reference is an id or {kind}/id.")
    return identifier


def tokens(code: str | None) -> list[store.Token]:
    """The (system, code) pairs of a token parameter. Raises ProblemError 400 for a malformed one."""
    if code is None:
        return []
    tokens: list[store.Token] = []
    for part in code.split(","):
        system, bar, value = part.rpartition("|")
        if not value or re.search(r"[\x00-\x1f]", part):
            raise ProblemError(400, "bad-token", "Bad request", "A code is code or system|code.")
        tokens.append((system if bar else None, value))
    return tokens


def links(base: str, request: Request, found: store.Search, total: int) -> dict[str, str]:
    """Links of one page of results: itself, and the next where there is more."""
    given = dict(request.query_params)

    def link(offset: int) -> str:
        return f"{base}?{urlencode(given | {'_count': str(found.count), '_offset': str(offset)})}"

    links = {"self": link(found.offset)}
    if found.offset + found.count < total:
        links["next"] = link(found.offset + found.count)
    return links
