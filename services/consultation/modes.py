"""What calls may be at present, for the whole platform.

Set by its operators when the network or the servers cannot bear more; kept by whoever joins a call from then on.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session

from services.common.audit import record_audit
from services.common.auth import Principal, require
from services.common.context import ServiceContext, service_context
from services.common.db import SessionDep
from services.common.types import Body, View
from services.consultation.models import CallModeRow

router = APIRouter(tags=["consultation"])

SCOPE: Final = "calls:steer"
_ONLY: Final = 1


class CallMode(StrEnum):
    """The best first; each asks less of the network and of the media servers than the one before."""

    VIDEO = "video"
    LOW = "low"
    """Clients send small pictures, few a second."""
    AUDIO = "audio"
    """Nobody may send pictures: join tokens allow the microphone alone."""
    CALLBACK = "callback"
    """No call begins: the practitioner telephones, and the patient is told so."""


class CallModeRequest(Body):
    """The mode from now on."""

    mode: CallMode


class CallModeView(View):
    """The present mode."""

    mode: CallMode
    since: datetime | None


def present_mode(session: Session) -> CallMode:
    """The mode in which calls begin now; video until somebody says otherwise."""
    row = session.get(CallModeRow, _ONLY)
    return CallMode.VIDEO if row is None else CallMode(row.mode)


@router.get("/v1/call-mode")
def read_mode(
    principal: Annotated[
        Principal, Depends(require(role={"patient", "practitioner", "service", "operator"}))
    ],
    session: SessionDep,
) -> CallModeView:
    """What calls may be at present."""
    del principal
    return _view(session.get(CallModeRow, _ONLY))


@router.put("/v1/call-mode")
def set_mode(
    body: CallModeRequest,
    principal: Annotated[Principal, Depends(require(role="operator", scope=SCOPE))],
    context: Annotated[ServiceContext, Depends(service_context)],
    session: SessionDep,
) -> CallModeView:
    """Set what calls may be. Doing so again changes nothing."""
    row = session.get(CallModeRow, _ONLY)
    if present_mode(session) is body.mode:
        return _view(row)
    if row is None:
        row = CallModeRow(id=_ONLY)
        session.add(row)
    row.mode, row.since = body.mode, context.clock.now()
    record_audit(session, principal, "call-mode.set", "call-mode", detail={"mode": body.mode})
    return _view(row)


def _view(row: CallModeRow | None) -> CallModeView:
    if row is None:
        return CallModeView(mode=CallMode.VIDEO, since=None)
    return CallModeView(mode=CallMode(row.mode), since=row.since)
