"""What a walk knows so far. Each step fills in its part; a later step may rely on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from joserfc.jwk import KeySet

from vitalops.consultation.call import Call
from vitalops.consultation.http import Edge, Partial
from vitalops.consultation.mode import CallMode
from vitalops.consultation.people import Person
from vitalops.consultation.quality import QualityGate, Reception


class Slot(Partial):
    id: str
    practitioner: str


class Appointment(Partial):
    id: str
    patient: str
    practitioner: str
    status: str


class Amount(Partial):
    minor: int
    currency: str


class Payment(Partial):
    id: str
    status: str
    amount: Amount
    invoices: tuple[str, ...]


class Prescription(Partial):
    id: str
    patient: str
    document: str
    status: str


class Head(Partial):
    """The end of the audit chain: the number of its last record, and that record's digest."""

    sequence: int
    digest: str


@dataclass(slots=True)
class Walk:
    """One consultation from outside. Fields without a value are set by the step that learns them."""

    edge: Edge
    call: Call
    seconds: float
    """How long the call is measured."""
    operator_secret: str = field(repr=False)
    gate: QualityGate = field(default_factory=QualityGate)

    operator: str = field(init=False, repr=False)
    """The operator's access token."""
    audit_start: Head = field(init=False)
    """The end of the audit chain before any of this."""
    token_keys: KeySet = field(init=False, repr=False)
    """Public keys of the identity provider."""
    patient: Person = field(init=False)
    practitioner: Person = field(init=False)
    stranger: Person = field(init=False)
    """Another patient, who has no business with any of this."""
    slot: Slot = field(init=False)
    appointment: Appointment | None = None
    consultation_id: str = field(init=False)
    mode: CallMode = CallMode.VIDEO
    """What calls may be at present, as the platform said when the last party joined."""
    receptions: tuple[Reception, ...] = ()
    record_paths: tuple[str, ...] = ()
    """Where the patient's record is read, as this consultation left it."""
    prescription: Prescription = field(init=False)
    prescription_keys: KeySet = field(init=False, repr=False)
    payment: Payment = field(init=False)
    payment_key: str = field(init=False)
    """Idempotency key that the payment was made with."""
    payment_body: dict[str, object] = field(init=False)
    completed: bool = False
