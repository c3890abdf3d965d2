"""Definition of the payment service."""

from __future__ import annotations

from pathlib import Path

from services.common.context import ServiceContext
from services.common.definition import ServiceDefinition
from services.payment.api import router
from services.payment.flow import PaymentFlow
from services.payment.models import Base
from services.payment.provider import LocalProvider


def _build(context: ServiceContext) -> PaymentFlow:
    return PaymentFlow(context, LocalProvider())


SERVICE = ServiceDefinition(
    name="payment",
    title="Payment",
    description="Payments for appointments by tokens of a payment provider, with gapless invoices and credit notes.",
    routers=(router,),
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    build=_build,
)
