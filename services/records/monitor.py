"""Remote monitors: which measurements are watched, and which of them somebody has to look at.

Limits, from published guidance:
- oxygen saturation of 92 % or less: NHS England, COVID Oximetry @home (95 and more is fine, 93 and 94 are for a call,
  92 and less is an emergency). Patients with COPD may live at 88 to 92 % (British Thoracic Society): for them this
  limit is too high, and it is the same for everybody here.
- capillary glucose below 70 mg/dL (3.9 mmol/L), the alert value for hypoglycaemia, or above 250 mg/dL (13.9 mmol/L):
  Diabetes Care 2017;40:1622.
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
class _Watched:
    """One kind of measurement: its units with what makes its first unit of them, and its limits in that."""

    units: Mapping[str, float]
    most: float
    """What no device measures more than."""
    low: float
    """A value below it is a finding."""
    low_finding: Finding
    high: float = float("inf")
    """A value above it is a finding."""
    high_finding: Finding | None = None


_WATCHED: Final[Mapping[str, _Watched]] = MappingProxyType(
    {
        # Devices show whole percents: "92 or less" is "less than 93".
        OXYGEN_SATURATION: _Watched({"%": 1.0}, most=100, low=93, low_finding=Finding.OXYGEN_LOW),
        CAPILLARY_GLUCOSE: _Watched(
            {"mg/dL": 1.0, "mmol/L": 18.016},
            most=3000,
            low=70,
            low_finding=Finding.GLUCOSE_LOW,
            high=250,
            high_finding=Finding.GLUCOSE_HIGH,
        ),
    }
)


def is_watched(resource: Resource) -> bool:
    """Whether it is a measurement that remote monitors send."""
    return _kind(resource) is not None


def finding_of(resource: Resource) -> Finding | None:
    """What a watched measurement gives cause to look at; None where it is within its limits.

    Raises InvalidResource where it cannot be told: no value, or in a unit that is not known. An alert that is not
    raised for that must not look like a measurement that was fine.
    """
    watched = _kind(resource)
    assert watched is not None, "only what is watched has findings"
    if resource.document.get("status") in _WITHDRAWN:
        return None
    value = _value(resource, watched)
    if value < watched.low:
        return watched.low_finding
    return watched.high_finding if value > watched.high else None


def _kind(resource: Resource) -> _Watched | None:
    if resource.type != "Observation":
        return None
    return next((each for code, each in _WATCHED.items() if (LOINC, code) in resource.codes), None)


def _value(resource: Resource, watched: _Watched) -> float:
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
