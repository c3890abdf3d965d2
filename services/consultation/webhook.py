"""What LiveKit tells us. At the gateway its signature is no access token, so the webhook is for the cluster alone.

A media server tells the service of its own region. Calls run in a standby region too, after a switchover and while the
other region's media server is emptied; there the event is handed on, as it came, to the region that can store it.
"""

from __future__ import annotations

from typing import Annotated

import httpx
from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response

from services.common.context import ServiceContext, service_context, service_state
from services.common.logs import get_logger
from services.common.problems import ProblemError
from services.consultation.log import MEDIA_SERVER, append, lock_by_room
from services.consultation.media import UnsignedWebhook
from services.consultation.rules import Event
from services.consultation.state import ConsultationState

log = get_logger("services.webhook")
router = APIRouter(include_in_schema=False)

RELAY_PATH = "/v1/livekit/relay"
"""Open at the gateway: the other region comes from outside. What comes is signed all the same."""


async def _body(request: Request) -> bytes:
    return await request.body()


BodyDep = Annotated[bytes, Depends(_body)]
ContextDep = Annotated[ServiceContext, Depends(service_context)]
StateDep = Annotated[ConsultationState, Depends(service_state)]
Signature = Annotated[str, Header()]


@router.post("/v1/livekit/webhook")
def receive(body: BodyDep, context: ContextDep, state: StateDep, authorization: Signature = "") -> Response:
    """Take an event. 401 for anything not signed with our key; repeats and foreign rooms change nothing."""
    reported = _read(body, context, state, authorization)
    if reported is not None:
        if context.database.role() == "primary":
            _store(context, state, *reported)
        else:
            _hand_on(body, authorization, state)
    return Response(status_code=204)


@router.post(RELAY_PATH)
def receive_relayed(
    body: BodyDep, context: ContextDep, state: StateDep, authorization: Signature = ""
) -> Response:
    """The same from the other region's service; 503 where nothing can be stored here either: it is told again."""
    reported = _read(body, context, state, authorization)
    if reported is not None:
        if context.database.role() != "primary":
            raise _not_now()
        _store(context, state, *reported)
    return Response(status_code=204)


def _read(
    body: bytes, context: ServiceContext, state: ConsultationState, authorization: str
) -> tuple[str, Event] | None:
    try:
        return state.media.read_webhook(body, authorization, context.clock.now())
    except UnsignedWebhook as error:
        raise ProblemError(
            401, "unauthorized", "Unauthorized", "The webhook's signature does not verify."
        ) from error


def _store(context: ServiceContext, state: ConsultationState, room: str, event: Event) -> None:
    with context.unit_of_work() as session:
        consultation = lock_by_room(session, room)
        if consultation is not None:
            append(session, consultation, [event], MEDIA_SERVER, state.metrics)


def _hand_on(body: bytes, authorization: str, state: ConsultationState) -> None:
    if state.peer is None:
        raise _not_now()
    headers = {"authorization": authorization, "content-type": "application/webhook+json"}
    try:
        answer = state.peer.post(f"/consultation{RELAY_PATH}", content=body, headers=headers)
    except httpx.HTTPError as error:
        log.warning("event not handed on", reason=type(error).__name__)
        raise _not_now() from error
    if answer.status_code != 204:
        log.warning("event not handed on", status=answer.status_code)
        raise _not_now()


def _not_now() -> ProblemError:
    # LiveKit tells it again after any 5xx.
    return ProblemError(503, "standby", "Service unavailable", "Nothing can be stored here now.")
