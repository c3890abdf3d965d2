"""Where data of which class may be, by law: requirements of each jurisdiction as data, and pure checks over them.

A region covers a requirement when it shows a certification of that scheme, with that scope, which has not expired.
This is a guard against mistakes, not legal advice: what it lets pass still needs an assessment, and it refuses what it
has no rule for.

Sources
    HDS         Code de la santé publique, art. L.1111-8; HDS certification referential v2 (order of 26 April 2024):
                activities 1 to 6; requirements 28 to 31: health data is hosted in the European Economic Area.
    GDPR        Regulation (EU) 2016/679: art. 9 and 32 (health data, security), art. 44 and 45 (transfers, adequacy);
                Commission decision 2000/518/EC finds Switzerland adequate, confirmed by COM(2024) 7 of 15 January 2024.
    nLPD        Swiss Federal Act on Data Protection of 25 September 2020: art. 5 c (health data), 8 (security),
                16 (transfers); Data Protection Ordinance, annex 1: the EEA states are adequate.
    ISO-27001   ISO/IEC 27001:2022, the common proof of the "appropriate measures" that both acts ask for.
    HIPAA       45 CFR part 164, subpart C (security rule) and 164.314 (business associates).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from vitalops.model.platform import Certification, CertificationScheme, DataClass, Region

_EEA_CODES = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"
EEA: Final = frozenset(_EEA_CODES.split())
"""The European Economic Area: the 27 member states of the EU, Iceland, Liechtenstein and Norway."""
ADEQUATE: Final = EEA | {"CH"}
"""Jurisdictions among which each finds the others' protection adequate."""
HDS_ACTIVITIES: Final = tuple("123456")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One scheme that a region must be certified for; `scope` are the parts of it that must be covered."""

    scheme: CertificationScheme
    scope: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.scheme} (activities {', '.join(self.scope)})" if self.scope else str(self.scheme)


_HDS = Requirement(CertificationScheme.HDS, HDS_ACTIVITIES)
_ISO = Requirement(CertificationScheme.ISO_27001)
_GDPR = Requirement(CertificationScheme.GDPR)
_NLPD = Requirement(CertificationScheme.NLPD)
_HIPAA = Requirement(CertificationScheme.HIPAA)


@dataclass(frozen=True, slots=True)
class Gap:
    """Why a region may not hold some data: `problem` completes "REGION ...", `remedy` says what would be right."""

    problem: str
    remedy: str


def health_requirements(jurisdiction: str) -> tuple[Requirement, ...] | None:
    """What health data needs under this jurisdiction's law; None where there is no rule, hence no permission."""
    match jurisdiction:
        case "FR":
            return (_HDS, _GDPR)
        case "CH":
            return (_ISO, _NLPD)
        case "US":
            return (_HIPAA,)
        case _ if jurisdiction in EEA:
            return (_ISO, _GDPR)
        case _:
            return None


def placement_gaps(region: Region, data: DataClass, today: date) -> tuple[Gap, ...]:
    """What keeps data of this class out of `region`; empty when it may be there."""
    match data:
        case DataClass.TECHNICAL:
            return ()
        case DataClass.PERSONAL:
            if any(covers(region, requirement, today) for requirement in (_GDPR, _NLPD)):
                return ()
            return (Gap("covers neither GDPR nor nLPD", "personal data needs one of the two, not expired"),)
        case DataClass.HEALTH:
            requirements = health_requirements(region.jurisdiction)
            if requirements is None:
                known = "FR, CH, US and the other states of the EEA"
                return (
                    Gap(
                        f"is in {region.jurisdiction}, for which no rule on health data is known",
                        f"health data may be placed in {known}",
                    ),
                )
            return tuple(_missing(region, requirements, today))


def transfer_gaps(source: Region, target: Region, data: DataClass, today: date) -> tuple[Gap, ...]:
    """What keeps data of this class, placed in `source`, from failing over to `target`.

    Only what the transfer itself adds: `target` must pass `placement_gaps` besides.
    """
    if data is DataClass.TECHNICAL or source.jurisdiction == target.jurisdiction:
        return ()
    between = f"{source.jurisdiction} to {target.jurisdiction}"
    if not {source.jurisdiction, target.jurisdiction} <= ADEQUATE:
        return (
            Gap(
                f"is across a border that {data} data may not cross ({between})",
                "pair regions of one jurisdiction, or of the EEA and Switzerland",
            ),
        )
    if data is DataClass.PERSONAL:
        return ()
    if source.jurisdiction == "FR" and target.jurisdiction not in EEA:
        return (
            Gap(
                f"is outside the European Economic Area, where HDS data must stay ({between})",
                "choose a standby in the EEA (HDS referential v2, requirements 28 to 31)",
            ),
        )
    requirements = health_requirements(source.jurisdiction) or ()
    own = health_requirements(target.jurisdiction) or ()
    added = tuple(requirement for requirement in requirements if requirement not in own)
    return tuple(
        Gap(f"{gap.problem}, which data from {source.jurisdiction} brings along", gap.remedy)
        for gap in _missing(target, added, today)
    )


def covers(region: Region, requirement: Requirement, today: date) -> bool:
    """Whether valid certifications of the scheme together have all of the required scope. Valid on `expires` too."""
    valid = [each for each in _of_scheme(region, requirement) if each.expires >= today]
    scope = {part for each in valid for part in each.scope}
    return bool(valid) and scope.issuperset(requirement.scope)


def _of_scheme(region: Region, requirement: Requirement) -> list[Certification]:
    return [each for each in region.certifications if each.scheme is requirement.scheme]


def _missing(region: Region, requirements: tuple[Requirement, ...], today: date) -> Iterator[Gap]:
    for requirement in requirements:
        if covers(region, requirement, today):
            continue
        shown = _of_scheme(region, requirement)
        valid = [each for each in shown if each.expires >= today]
        if not shown:
            yield Gap(f"has no {requirement.scheme}", f"add a certification of {requirement}")
        elif not valid:
            last = max(each.expires for each in shown)
            yield Gap(f"has {requirement.scheme} expired on {last}", "renew it and write its new date")
        else:
            scope = {part for each in valid for part in each.scope}
            absent = ", ".join(part for part in requirement.scope if part not in scope)
            yield Gap(f"has {requirement.scheme} without activities {absent}", f"it must be {requirement}")
