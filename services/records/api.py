"""FHIR R4 interface of records: read, vread, create, update and search of three resource types."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.common.access import record_access
from services.common.audit import record_audit
from services.common.auth import Principal, require
from services.common.context import ServiceContext, service_context, service_state
from services.common.db import SessionDep
from services.common.idempotency import OnceDep, Reply
from services.common.problems import ProblemError, conflict, not_found, unprocessable
from services.records import store
from services.records.alerts import RecordsState, raise_alert
from services.records.fhir import (
    ID,
    MEDIA_TYPE,
    InvalidResource,
    Resource,
    ResourceType,
    bundle,
    capability_statement,
    parse,
    present,
)
from services.records.limits import own_limits
from services.records.models import ResourceRow, VersionRow
from services.records.monitor import Finding, finding_of, watched_code
from services.records.outcomes import FhirRoute, fhir_problems, invalid_resource
from services.records.rights import check_access, check_writer
from services.records.searching import check_parameters, links, reference, tokens, whose

_USUAL = fhir_problems(400, 401, 403, 404, 422, 503)
_WRITING = _USUAL | fhir_problems(409)
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["resourceType"],
                    "properties": {"resourceType": {"enum": ["Patient", "Encounter", "Observation"]}},
                }
            }
        },
    }
}

router = APIRouter(tags=["fhir"], route_class=FhirRoute)

ContextDep = Annotated[ServiceContext, Depends(service_context)]
PersonDep = Annotated[Principal, Depends(require(role={"patient", "practitioner"}))]
IdPath = Annotated[str, Path(pattern=f"^{ID.pattern}$")]
Reference = Annotated[str | None, Query(max_length=200)]


class FhirResponse(JSONResponse):
    """JSON as FHIR names it."""

    media_type = MEDIA_TYPE


async def _read_body(request: Request) -> bytes:
    return await request.body()


BodyDep = Annotated[bytes, Depends(_read_body)]


@router.get("/fhir/metadata", response_class=FhirResponse, responses=fhir_problems(503))
def metadata(context: ContextDep) -> Response:
    """The CapabilityStatement. Needs no token."""
    return FhirResponse(capability_statement(context.clock.now()))


@router.post(
    "/fhir/{kind}", status_code=201, response_class=FhirResponse, responses=_WRITING, openapi_extra=_BODY
)
def create(
    kind: ResourceType,
    body: BodyDep,
    principal: PersonDep,
    context: ContextDep,
    state: Annotated[RecordsState, Depends(service_state)],
    session: SessionDep,
    once: OnceDep,
) -> Response:
    """Create a resource.

    A patient creates their own Patient, a practitioner what belongs to a consenting patient. A patient's remote
    monitor adds oxygen saturation (LOINC 59408-5) and capillary glucose (41653-7) as Observations; one outside its
    limits raises an alert for the practitioner who treats the patient.
    """

    def effect() -> Reply:
        resource, finding = _offered(session, kind, body, principal)
        identifier = principal.subject if kind == "Patient" else str(uuid.uuid4())
        patient = resource.patient or identifier
        name = f"{kind}/{identifier}"
        check_access(context, principal, patient=patient, action="record.created", resource=name)
        _check_encounter(session, resource, patient)
        try:
            row = store.create(session, identifier, resource, principal.subject, context.clock.now())
        except IntegrityError as error:
            raise conflict("The resource exists: update it instead.", type="exists") from error
        record_audit(session, principal, "record.created", name, patient=patient)
        if finding is not None:
            raise_alert(
                context,
                session,
                state.metrics,
                principal,
                patient=patient,
                observation=identifier,
                finding=finding,
            )
        return Reply(_present(row), location=f"/records/fhir/{name}/_history/1", media_type=MEDIA_TYPE)

    response = once(effect)
    response.headers["etag"] = _etag(1)
    return response


@router.put(
    "/fhir/{kind}/{resource_id}",
    response_class=FhirResponse,
    responses=_WRITING | fhir_problems(412, 428),
    openapi_extra=_BODY,
)
def update(
    kind: ResourceType,
    resource_id: IdPath,
    body: BodyDep,
    principal: PersonDep,
    context: ContextDep,
    session: SessionDep,
    if_match: Annotated[
        str | None, Header(description="ETag of the version that is replaced", max_length=40)
    ] = None,
) -> Response:
    """Replace a resource by a new version; the one replaced is named in If-Match."""
    check_writer(principal, kind)
    resource = _parse(kind, body)
    seen = _load(session, kind, resource_id)
    name = f"{kind}/{resource_id}"
    check_access(context, principal, patient=seen.patient, action="record.updated", resource=name)
    if resource.given_id not in ("", resource_id) or (resource.patient or resource_id) != seen.patient:
        raise unprocessable("The id and the patient of a resource do not change.", type="moved")
    _check_encounter(session, resource, seen.patient)
    if if_match is None:
        raise ProblemError(
            428, "precondition-required", "Precondition required", "Name the version in If-Match."
        )
    row = session.get_one(ResourceRow, (kind, resource_id), with_for_update=True, populate_existing=True)
    if if_match != _etag(row.version):
        raise ProblemError(412, "version-conflict", "Precondition failed", "There is another version by now.")
    store.update(session, row, resource, principal.subject, context.clock.now())
    record_audit(
        session, principal, "record.updated", name, patient=row.patient, detail={"version": str(row.version)}
    )
    return _respond(row)


@router.get("/fhir/{kind}/{resource_id}", response_class=FhirResponse, responses=_USUAL)
def read(
    kind: ResourceType, resource_id: IdPath, principal: PersonDep, context: ContextDep, session: SessionDep
) -> Response:
    """One resource as it is now."""
    row = _load(session, kind, resource_id)
    _record_read(context, session, principal, row.patient, f"{kind}/{resource_id}")
    return _respond(row)


@router.get("/fhir/{kind}/{resource_id}/_history/{version}", response_class=FhirResponse, responses=_USUAL)
def read_version(
    kind: ResourceType,
    resource_id: IdPath,
    version: Annotated[int, Path(ge=1, le=2**31 - 1)],
    principal: PersonDep,
    context: ContextDep,
    session: SessionDep,
) -> Response:
    """One resource as it was."""
    row = _load(session, kind, resource_id)
    _record_read(context, session, principal, row.patient, f"{kind}/{resource_id}/_history/{version}")
    kept = session.get(VersionRow, (kind, resource_id, version))
    if kept is None:
        raise not_found("version")
    return _respond(kept)


@router.get("/fhir/{kind}", response_class=FhirResponse, responses=_USUAL)
def search(
    kind: ResourceType,
    request: Request,
    principal: PersonDep,
    context: ContextDep,
    session: SessionDep,
    resource_id: Annotated[str | None, Query(alias="_id", max_length=64)] = None,
    patient: Reference = None,
    subject: Reference = None,
    encounter: Reference = None,
    code: Annotated[
        str | None, Query(max_length=400, description="[system|]code, several separated by commas")
    ] = None,
    count: Annotated[int, Query(alias="_count", ge=1, le=200)] = 50,
    offset: Annotated[int, Query(alias="_offset", ge=0, le=100_000)] = 0,
) -> Response:
    """Search in one patient's record: a patient's own, or the one that a practitioner names."""
    check_parameters(kind, request)
    patient_searched = whose(principal, kind, patient or subject, resource_id)
    found = store.Search(
        type=kind,
        patient=patient_searched,
        id=resource_id or "",
        encounter=reference(encounter, "Encounter"),
        codes=tokens(code),
        count=count,
        offset=offset,
    )
    _record_read(context, session, principal, patient_searched, kind)
    rows, total = store.find(session, found)
    base = f"{context.settings.issuer.removesuffix('/identity')}/records/fhir"
    return FhirResponse(
        bundle(
            [(f"{base}/{kind}/{row.id}", _present(row)) for row in rows],
            total=total,
            links=links(f"{base}/{kind}", request, found, total),
        )
    )


def _parse(kind: ResourceType, body: bytes) -> Resource:
    try:
        return parse(kind, body)
    except InvalidResource as error:
        raise invalid_resource(error) from error


def _offered(
    session: Session, kind: ResourceType, body: bytes, principal: Principal
) -> tuple[Resource, Finding | None]:
    """The resource, if the caller may create its like; and what a patient's own measurement gives cause to look at.

    What a practitioner measures, a practitioner has seen.
    """
    measuring = principal.role == "patient" and kind == "Observation"
    if not measuring:
        check_writer(principal, kind)
    resource = _parse(kind, body)
    code = watched_code(resource)
    check_writer(principal, kind, measured=measuring and code != "")
    if not measuring:
        return resource, None
    try:
        return resource, finding_of(resource, own_limits(session, resource.patient, code))
    except InvalidResource as error:
        raise invalid_resource(error) from error


def _load(session: Session, kind: ResourceType, resource_id: str) -> ResourceRow:
    row = session.get(ResourceRow, (kind, resource_id))
    if row is None:
        raise not_found("resource")
    return row


def _record_read(
    context: ServiceContext, session: Session, principal: Principal, patient: str, resource: str
) -> None:
    check_access(context, principal, patient=patient, action="record.read", resource=resource)
    record_access(session, principal, "record.read", resource, patient=patient)


def _check_encounter(session: Session, resource: Resource, patient: str) -> None:
    if resource.encounter:
        encounter = session.get(ResourceRow, ("Encounter", resource.encounter))
        if encounter is None or encounter.patient != patient:
            raise unprocessable("There is no such encounter of this patient.", type="unknown-encounter")


def _etag(version: int) -> str:
    return f'W/"{version}"'


def _present(row: ResourceRow | VersionRow) -> dict[str, Any]:
    return present(row.document, id=row.id, version=row.version, updated=row.updated_at)


def _respond(row: ResourceRow | VersionRow) -> Response:
    return FhirResponse(_present(row), headers={"etag": _etag(row.version)})
