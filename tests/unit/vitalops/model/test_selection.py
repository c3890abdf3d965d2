from __future__ import annotations

import pytest

from tests.unit.vitalops.model.conftest import Text
from vitalops.errors import UsageError
from vitalops.model.platform import Platform
from vitalops.model.selection import default_regions, pair_of, resolve_pair, resolve_regions


@pytest.fixture
def platform(bundled: Text) -> Platform:
    return bundled.load().platform


def test_without_names_the_default_pairs_regions_are_taken(platform: Platform) -> None:
    assert default_regions(platform) == ("fr-par", "fr-gra")
    assert resolve_regions(platform, []) == ("fr-par", "fr-gra")


def test_named_regions_come_once_in_the_files_order(platform: Platform) -> None:
    assert resolve_regions(platform, ["ch-zrh", "fr-par", "ch-zrh"]) == ("fr-par", "ch-zrh")
    assert resolve_regions(platform, ["switzerland", "fr-par"]) == ("fr-par", "ch-gva", "ch-zrh")


def test_an_unknown_region_is_answered_with_the_known_ones(platform: Platform) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_regions(platform, ["fr-pra"])
    assert "fr-par, fr-gra, ch-gva, ch-zrh" in caught.value.message
    assert caught.value.hint == "did you mean 'fr-par'?"
    with pytest.raises(UsageError) as caught:
        resolve_regions(platform, ["elsewhere"])
    assert str(caught.value).count("ch-zrh") == 1, "the known ones are named once"


def test_a_pair_is_the_named_one_or_the_only_default(platform: Platform, bundled: Text) -> None:
    assert resolve_pair(platform, "switzerland").standby == "ch-zrh"
    assert resolve_pair(platform, None).name == "france"
    with pytest.raises(UsageError, match="frence"):
        resolve_pair(platform, "frence")
    both = bundled.edit("start_by_default: false", "start_by_default: true").load().platform
    with pytest.raises(UsageError, match="france, switzerland"):
        resolve_pair(both, None)


def test_the_pair_of_a_region(platform: Platform) -> None:
    pair = pair_of(platform, "ch-zrh")
    assert pair is not None
    assert pair.name == "switzerland"
    assert pair_of(platform, "de-fra") is None
