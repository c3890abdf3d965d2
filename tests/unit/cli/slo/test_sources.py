"""Which Prometheus answers for which region."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from cli.scopes import scopes_of
from cli.sources import sources
from vitalops.errors import UsageError
from vitalops.model.loader import load_platform
from vitalops.model.platform import Platform

FRANCE = ("fr-par", "fr-gra")


@pytest.fixture(scope="module")
def platform() -> Platform:
    return load_platform(Path(__file__).parents[4] / "platform.yaml", date(2026, 11, 22))


@pytest.mark.parametrize(
    ("named", "asked"),
    [
        ([], [("fr-par",), ("fr-gra",)]),
        (["http://one:9090"], [("fr-par", "fr-gra")]),
        (["fr-gra=http://two:9090"], [("fr-gra",), ("fr-par",)]),
        (["fr-gra=http://two:9090", "https://rest/prom?a=b"], [("fr-gra",), ("fr-par",)]),
    ],
)
def test_each_region_is_asked_for_once(
    platform: Platform, named: list[str], asked: list[tuple[str, ...]]
) -> None:
    assert [source.regions for source in sources(platform, FRANCE, named)] == asked


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (["localhost:9090"], "no URL"),
        (["=http://one"], "no URL"),
        (["fr-par=one"], "no URL"),
        (["fr-prr=http://one"], "unknown region"),
        (["ch-gva=http://one"], "not asked for"),
        (["http://one", "http://two"], "more URLs"),
        (["fr-par=http://one", "fr-gra=http://two", "http://three"], "more URLs"),
    ],
)
def test_what_cannot_be_meant_is_refused(platform: Platform, named: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        sources(platform, FRANCE, named)


def test_pairs_are_joined_and_named_regions_stand_alone(platform: Platform) -> None:
    assert [(each.name, each.regions) for each in scopes_of(platform, None, None, None)] == [
        ("france", FRANCE)
    ]
    assert [each.regions for each in scopes_of(platform, ["fr-gra", "fr-par"], None, None)] == [
        ("fr-par",),
        ("fr-gra",),
    ]
    (swiss,) = scopes_of(platform, None, "switzerland", "records")
    assert swiss.regions == ("ch-gva", "ch-zrh")
    assert {slo.service for slo in swiss.slos} == {"records"}


@pytest.mark.parametrize(
    ("regions", "pair", "service", "words"),
    [
        (["fr-par"], "france", None, "exclude"),
        (["france"], None, None, "--pair france"),
        (["fr-prr"], None, None, "fr-par"),
        (None, "frnce", None, "france"),
        (None, None, "recods", "records"),
    ],
)
def test_unknown_names_are_refused(
    platform: Platform, regions: list[str] | None, pair: str | None, service: str | None, words: str
) -> None:
    with pytest.raises(UsageError) as refused:
        scopes_of(platform, regions, pair, service)
    assert words in str(refused.value)
