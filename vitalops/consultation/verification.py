"""The whole verification: every step in its order, and tidying up after it."""

from __future__ import annotations

import contextlib
import time

from vitalops.consultation import afterwards, before, incall, record, refusals, tokens, trail
from vitalops.consultation.access import Access, SigningKey
from vitalops.consultation.call import ProcessCall
from vitalops.consultation.http import Edge, bearer
from vitalops.consultation.report import VerificationReport
from vitalops.consultation.state import Walk
from vitalops.consultation.walk import Step, StepFailed, Watcher, run


def verification_steps(seconds: float, key: SigningKey) -> tuple[Step[Walk], ...]:
    """All steps. The note is written while the call is measured, as a practitioner does."""
    return (
        *before.STEPS,
        *incall.MEETING,
        *record.STEPS,
        incall.quality_step(seconds),
        *incall.PARTING,
        *afterwards.STEPS,
        *refusals.steps(lambda _, token: tokens.expired(token, key.private_pem, key.kid, time.time())),
        *trail.STEPS,
    )


async def verify(access: Access, seconds: float, watcher: Watcher | None = None) -> VerificationReport:
    """Walks one consultation through the pair's edge.

    Raises UsageError where the platform cannot be reached for want of its secrets or its authority; everything
    else that goes wrong is a failed step of the report.
    """
    with access.authority_file() as ca_file:
        edge = Edge.over_tls(access.edge_url, ca_file)
        try:
            secret, key = access.operator_secret(), access.signing_key()
            async with ProcessCall(ca_file) as call:
                walk = Walk(edge, call, seconds, secret)
                try:
                    result = await run(verification_steps(seconds, key), walk, watcher)
                finally:
                    await tidy_up(walk)
        finally:
            await edge.aclose()
    return VerificationReport.of(result, walk.receptions, pair=access.pair, edge=access.edge_url)


async def tidy_up(walk: Walk) -> None:
    """Lets go of what a walk that broke off has booked. Does its best: the walk's own finding counts more."""
    if walk.completed or walk.appointment is None:
        return
    path = f"/scheduling/v1/appointments/{walk.appointment.id}/cancellation"
    with contextlib.suppress(StepFailed):
        await walk.edge.send("POST", path, headers=bearer(walk.patient.token))
