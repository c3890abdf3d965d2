"""Where a pair's witness is reached."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from vitalops.model.addresses import WAN_HOST_ADDRESS, witness_of
from vitalops.model.failover import Witness
from vitalops.model.loader import load_platform
from vitalops.model.platform import ClusterContext, Platform


def bundled(root: Path) -> Platform:
    return load_platform(root / "platform.yaml", date(2026, 11, 1))


def test_pairs_of_local_regions_have_a_port_each_on_this_machine(root: Path) -> None:
    platform = bundled(root)
    found = [witness_of(platform, pair) for pair in platform.pairs.values()]
    assert found == [
        Witness(address=WAN_HOST_ADDRESS, port=7443),
        Witness(address=WAN_HOST_ADDRESS, port=7444),
    ]


def test_what_the_pair_says_counts(root: Path) -> None:
    platform = bundled(root)
    pair = platform.pairs["france"]
    there = Witness(address="witness.example.org", port=9443)
    named = pair.model_copy(update={"failover": pair.failover.model_copy(update={"witness": there})})
    assert witness_of(platform, named) == there


def test_regions_elsewhere_have_none_that_nobody_named(root: Path) -> None:
    platform = bundled(root)
    away = platform.regions["fr-gra"].model_copy(
        update={"cluster": ClusterContext(context="gra", gateway_address="192.0.2.7")}
    )
    moved = platform.model_copy(update={"regions": {**platform.regions, "fr-gra": away}})
    assert witness_of(moved, moved.pairs["france"]) is None
