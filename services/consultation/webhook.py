"""What LiveKit tells us. Reached inside the cluster only: at the gateway its signature is no access token."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response

from services.common.context import ServiceContext, service_context, service_state
from services.common.db import SessionDep
from services.common.problems import ProblemError
from services.consultation.log import MEDIA_SERVER, append, lock_by_room
from services.consultation.media import UnsignedWebhook
from services.consultation.state import ConsultationState

router = APIRouter(include_in_schema=False)


async def _body(request: Request) -> bytes:
    return await request.body()


@router.post("/v1/livekit/webhook")
def receive(
    body: Annotated[bytes, Depends(_body)],
    context: Annotated[ServiceContext, Depends(service_context)],
    state: Annotated[ConsultationState, Depends(service_state)],
    session: SessionDep,
    authorization: Annotated[str, Header()] = "",
) -> Response:
    """Take an event. 401 for anything not signed with our key; repeats and foreign rooms change nothing."""
    try:
        reported = state.media.read_webhook(body, authorization, context.clock.now())
    except UnsignedWebhook as error:
        raise ProblemError(
            401, "unauthorized", "Unauthorized", "The webhook's signature does not verify."
        ) from error
    if reported is not None:
        room, event = reported
        consultation = lock_by_room(session, room)
        if consultation is not None:
            append(session, consultation, [event], MEDIA_SERVER, state.metrics)
    return Response(status_code=204)
