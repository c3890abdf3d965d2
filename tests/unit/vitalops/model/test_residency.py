from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.vitalops.model.conftest import TODAY, Text
from vitalops.errors import SpecErrors
from vitalops.model.loader import parse_platform
from vitalops.model.platform import Certification, CertificationScheme, DataClass, Region
from vitalops.model.residency import EEA, placement_gaps, transfer_gaps

S = CertificationScheme
NEXT_YEAR = TODAY + timedelta(days=365)
ALL_ACTIVITIES = ("1", "2", "3", "4", "5", "6")


def region(
    jurisdiction: str, *schemes: S, expires: date = NEXT_YEAR, hds: tuple[str, ...] = ALL_ACTIVITIES
) -> Region:
    certifications = tuple(
        Certification(scheme=each, scope=hds if each is S.HDS else (), certificate="X", expires=expires)
        for each in schemes
    )
    return Region(
        name=jurisdiction.lower(), jurisdiction=jurisdiction, certifications=certifications, cluster="local"
    )


def problems(place: Region, data: DataClass = DataClass.HEALTH, today: date = TODAY) -> list[str]:
    return [gap.problem for gap in placement_gaps(place, data, today)]


@pytest.mark.parametrize(
    "place",
    [
        region("FR", S.HDS, S.GDPR),
        region("CH", S.ISO_27001, S.NLPD),
        region("DE", S.ISO_27001, S.GDPR),
        region("NO", S.ISO_27001, S.GDPR),
        region("US", S.HIPAA),
    ],
    ids=lambda place: place.name,
)
def test_a_covered_region_may_hold_health_data_and_no_certification_can_be_spared(place: Region) -> None:
    assert problems(place) == []
    for spared in place.certifications:
        rest = tuple(each for each in place.certifications if each is not spared)
        assert problems(place.model_copy(update={"certifications": rest})) == [f"has no {spared.scheme}"]


@pytest.mark.parametrize("jurisdiction", ["GB", "CN", "RU", "CA", "XX"])
def test_health_data_is_refused_where_no_rule_is_known_whatever_is_certified(jurisdiction: str) -> None:
    (problem,) = problems(region(jurisdiction, *S))
    assert "no rule" in problem


def test_hds_needs_all_six_activities_of_valid_certificates_together() -> None:
    assert problems(region("FR", S.HDS, S.GDPR, hds=("1", "2", "3", "5", "6"))) == [
        "has HDS without activities 4"
    ]
    halves = region("FR", S.GDPR).certifications + tuple(
        Certification(scheme=S.HDS, scope=scope, certificate="X", expires=NEXT_YEAR)
        for scope in (("1", "2", "3"), ("4", "5", "6"))
    )
    assert problems(region("FR").model_copy(update={"certifications": halves})) == []


def test_a_certification_holds_on_its_last_day_and_not_on_the_next() -> None:
    place = region("CH", S.ISO_27001, S.NLPD, expires=TODAY)
    assert problems(place) == []
    assert problems(place, today=TODAY + timedelta(days=1)) == [
        f"has ISO-27001 expired on {TODAY}",
        f"has nLPD expired on {TODAY}",
    ]


def test_personal_data_needs_gdpr_or_nlpd_and_technical_data_nothing() -> None:
    assert problems(region("FR", S.GDPR), DataClass.PERSONAL) == []
    assert problems(region("CH", S.NLPD), DataClass.PERSONAL) == []
    assert problems(region("FR", S.HDS), DataClass.PERSONAL) == ["covers neither GDPR nor nLPD"]
    assert problems(region("CN"), DataClass.TECHNICAL) == []


def transfers(source: Region, target: Region, data: DataClass = DataClass.HEALTH) -> list[str]:
    return [gap.problem for gap in transfer_gaps(source, target, data, TODAY)]


FRANCE = region("FR", S.HDS, S.GDPR)
GERMANY = region("DE", S.ISO_27001, S.GDPR)
SWITZERLAND = region("CH", S.ISO_27001, S.NLPD)
AMERICA = region("US", *S)


def test_hds_data_stays_in_the_eea_whatever_the_target_is_certified_for() -> None:
    assert "outside the European Economic Area" in transfers(FRANCE, region("CH", *S))[0]
    assert transfers(FRANCE, region("BE", S.ISO_27001, S.GDPR, S.HDS)) == []


def test_the_target_must_cover_the_law_of_the_source() -> None:
    assert transfers(FRANCE, GERMANY) == ["has no HDS, which data from FR brings along"]
    assert transfers(GERMANY, SWITZERLAND) == ["has no GDPR, which data from DE brings along"]
    assert transfers(GERMANY, region("CH", S.ISO_27001, S.NLPD, S.GDPR)) == []
    assert transfers(SWITZERLAND, region("DE", S.ISO_27001, S.GDPR, S.NLPD)) == []


@pytest.mark.parametrize("data", [DataClass.HEALTH, DataClass.PERSONAL])
@pytest.mark.parametrize("other", [FRANCE, GERMANY, SWITZERLAND])
def test_nothing_but_technical_data_crosses_to_or_from_elsewhere(other: Region, data: DataClass) -> None:
    assert "may not cross" in transfers(other, AMERICA, data)[0]
    assert "may not cross" in transfers(AMERICA, other, data)[0]
    assert transfers(AMERICA, other, DataClass.TECHNICAL) == []


def test_personal_data_crosses_between_the_eea_and_switzerland() -> None:
    assert transfers(FRANCE, SWITZERLAND, DataClass.PERSONAL) == []
    assert transfers(SWITZERLAND, GERMANY, DataClass.PERSONAL) == []


# What the loader does with it ---------------------------------------------------------------------------------------


def test_the_loader_names_region_pair_and_services(bundled: Text) -> None:
    fault = bundled.edit(
        "- {scheme: nLPD, certificate: EXAMPLE-FADP-ZRH, expires: 2028-05-31}",
        "- {scheme: nLPD, certificate: EXAMPLE-FADP-ZRH, expires: 2026-05-31}",
    ).faults()
    assert [each.pointer for each in fault] == ["/regions/ch-zrh/certifications"] * 2
    health, personal = sorted(fault, key=lambda each: "personal data" in each.problem)
    assert "ch-zrh has nLPD expired on 2026-05-31" in health.problem
    assert (
        "pair switzerland holds health data (scheduling, records, consultation, prescription, audit)"
        in health.problem
    )
    assert "neither GDPR nor nLPD" in personal.problem


def test_french_health_data_may_not_fail_over_to_switzerland(bundled: Text) -> None:
    faults = (
        bundled.edit("standby: fr-gra", "standby: ch-gva").edit("primary: ch-gva", "primary: fr-gra").faults()
    )
    france = [fault for fault in faults if fault.pointer == "/pairs/france/standby"]
    assert len(france) == 1
    assert "outside the European Economic Area" in france[0].problem


def test_a_service_kept_out_of_a_pair_asks_nothing_of_it(bundled: Text) -> None:
    uncovered = bundled.edit(
        'scope: ["1", "2", "3", "4", "5", "6"], certificate: EXAMPLE-HDS-PAR', "certificate: X"
    )
    (fault,) = uncovered.faults()
    assert "(scheduling, records, consultation, prescription, audit)" in fault.problem
    moved = uncovered
    for service in ("scheduling", "records", "consultation", "prescription", "audit"):
        moved = moved.edit(f"  {service}:\n", f"  {service}:\n    pairs: [switzerland]\n")
    assert all("not placed in pair france" in each.problem for each in moved.faults())


CERTIFICATES = st.lists(
    st.builds(
        Certification,
        scheme=st.sampled_from(S),
        scope=st.lists(st.sampled_from(ALL_ACTIVITIES), max_size=6).map(tuple) | st.just(ALL_ACTIVITIES),
        certificate=st.just("X"),
        expires=st.dates(TODAY - timedelta(days=3), TODAY + timedelta(days=3)),
    ),
    max_size=5,
)
JURISDICTIONS = st.sampled_from(["FR", "CH", "DE", "US", "GB"])


def rendered(
    first: str, one: list[Certification], second: str, other: list[Certification], placed: bool
) -> str:
    def lines(name: str, jurisdiction: str, certificates: list[Certification]) -> str:
        listed = "".join(
            f"\n      - {{scheme: {each.scheme}, scope: [{', '.join(repr(part) for part in each.scope)}], "
            f"certificate: X, expires: {each.expires}}}"
            for each in certificates
        )
        head = f"  {name}:\n    jurisdiction: {jurisdiction}\n    cluster: local\n"
        return f"{head}    certifications: {listed or '[]'}\n"

    service = (
        "tiers: {plain: {}}\nservices:\n  records: {layer: system, data_class: health, tier: plain"
        ", resources: {cpu: 50m, memory: 1Gi}" + ("" if placed else ", pairs: [two]") + "}\n"
    )
    resources = "{resources: {cpu: 50m, memory: 1Gi}}"
    safe = [
        Certification(scheme=scheme, scope=ALL_ACTIVITIES, certificate="X", expires=NEXT_YEAR) for scheme in S
    ]
    return (
        "name: generated\nregions:\n"
        + lines("a", first, one)
        + lines("b", second, other)
        + lines("c", "FR", safe)
        + lines("d", "FR", safe)
        + "pairs:\n"
        + "  one: {primary: a, standby: b, rto_seconds: 1, rpo_seconds: 1, edge: {port: 8443}}\n"
        + "  two: {primary: c, standby: d, rto_seconds: 1, rpo_seconds: 1, edge: {port: 8444}}\n"
        + f"database: {resources}\ngateway: {resources}\nmedia: {resources}\n"
        + service
    )


def independently_covered(place: Region) -> bool:
    """The rule once more, written from the requirement's words rather than from the code."""
    valid = [each for each in place.certifications if each.expires >= TODAY]
    has = {each.scheme for each in valid}
    activities = {part for each in valid if each.scheme is S.HDS for part in each.scope}
    if place.jurisdiction == "FR":
        return {S.HDS, S.GDPR} <= has and activities == set(ALL_ACTIVITIES)
    if place.jurisdiction == "CH":
        return {S.ISO_27001, S.NLPD} <= has
    if place.jurisdiction == "US":
        return S.HIPAA in has
    return place.jurisdiction in EEA and {S.ISO_27001, S.GDPR} <= has


@given(JURISDICTIONS, CERTIFICATES, JURISDICTIONS, CERTIFICATES, st.booleans())
def test_no_file_loads_in_which_health_data_reaches_an_uncovered_region(
    first: str, one: list[Certification], second: str, other: list[Certification], placed: bool
) -> None:
    text = rendered(first, one, second, other, placed)
    try:
        platform = parse_platform(text.encode(), "generated", TODAY).platform
    except SpecErrors as error:
        assert placed, error
        assert {fault.pointer for fault in error.faults} <= {
            "/regions/a/certifications",
            "/regions/b/certifications",
            "/pairs/one/standby",
        }
        return
    for service in platform.services.values():
        for name in service.pairs or platform.pairs:
            pair = platform.pairs[name]
            for reached in (pair.primary, pair.standby):
                assert independently_covered(platform.regions[reached])
            primary, standby = platform.regions[pair.primary], platform.regions[pair.standby]
            assert not (primary.jurisdiction == "FR" and standby.jurisdiction not in EEA)
