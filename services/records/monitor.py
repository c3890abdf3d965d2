"""Remote monitors: which measurements are watched, and which of them somebody has to look at.

Limits, from published guidance:
- oxygen saturation of 92 % or less: NHS England, COVID Oximetry @home (95 and more is fine, 93 and 94 are for a call,
  92 and less is an emergency).
- capillary glucose below 70 mg/dL (3.9 mmol/L), the alert value for hypoglycaemia, or above 250 mg/dL (13.9 mmol/L):
  Diabetes Care 2017;40:1622.

They are not right for everybody: patients with COPD may live at 88 to 92 % (British Thoracic Society). A practitioner
sets a patient's own, which then hold in their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, cast

from services.records.fhir import LOINC, InvalidResource, Issue, Resource

OXYGEN_SATURATION: Final = "59408-5"
CAPILLARY_GLUCOSE: Final = "41653-7"
_WITHDRAWN: Final = frozenset({"cancelled", "entered-in-error"})


class Finding(StrEnum):
    OXYGEN_LOW = "oxygen-low"
    GLUCOSE_LOW = "glucose-low"
    GLUCOSE_HIGH = "glucose-high"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a patient's values are expected to be within, in a measurement's first unit; None: no limit."""

    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Watched:
    """One kind of measurement."""

    units: Mapping[str, float]
    """Its units, with what makes its first unit of them."""
    most: float
    """What no device measures more than."""
    limits: Limits
    """Where a patient has none of their own."""
    low_finding: Finding
    high_finding: Finding | None = None

    @property
    def unit(self) -> str:
        """The unit that limits are in."""
        return next(iter(self.units))


WATCHED: Final[Mapping[str, Watched]] = MappingProxyType(
    {
        # Devices show whole percents: "92 or less" is "less than 93".
        OXYGEN_SATURATION: Watched({"%": 1.0}, 100, Limits(93, None), Finding.OXYGEN_LOW),
        CAPILLARY_GLUCOSE: Watched(
            {"mg/dL": 1.0, "mmol/L": 18.016},
            3000,
            Limits(70, 250),
            Finding.GLUCOSE_LOW,
            Finding.GLUCOSE_HIGH,
        ),
    }
)


def watched_code(resource: Resource) -> str:
    """The LOINC code of a measurement that remote monitors send; empty for anything else."""
    if resource.type != "Observation":
        return ""
    return next((code for code in WATCHED if (LOINC, code) in resource.codes), "")


def finding_of(resource: Resource, own: Limits | None = None) -> Finding | None:
    """What a watched measurement gives cause to look at; None where it is within the patient's `own` limits, if any,
    or else everybody's.

    Raises InvalidResource where it cannot be told: no value, or in a unit that is not known. An alert that is not
    raised for that must not look like a measurement that was fine.
    """
    watched = WATCHED[watched_code(resource)]
    limits = own or watched.limits
    if resource.document.get("status") in _WITHDRAWN:
        return None
    value = _value(resource, watched)
    if limits.low is not None and value < limits.low:
        return watched.low_finding
    return watched.high_finding if limits.high is not None and value > limits.high else None


def _value(resource: Resource, watched: Watched) -> float:
    quantity = cast("dict[str, Any]", resource.document.get("valueQuantity") or {})
    unit = str(quantity.get("code") or quantity.get("unit") or "")
    if "value" not in quantity or "comparator" in quantity or unit not in watched.units:
        known = " or ".join(watched.units)
        raise InvalidResource(
            [Issue("value", f"a plain value in {known} is needed", "Observation.valueQuantity")]
        )
    value = float(quantity["value"]) * watched.units[unit]
    if not 0 <= value <= watched.most:
        raise InvalidResource([Issue("value", "no device measures that", "Observation.valueQuantity.value")])
    return value
