"""What the prescription service holds while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from services.common.keyring import KeyRing
from services.common.reloaded import ReloadedFile
from services.prescription.metrics import SignatureMetrics


@dataclass(frozen=True, slots=True)
class PrescriptionState:
    """The keys it signs with, as their file says now, and its instruments."""

    ring: ReloadedFile[KeyRing]
    metrics: SignatureMetrics
