"""Rules that join several parts of a platform, each a pure function that yields faults.

They are given a Draft: the parts that are sound in themselves, and the names of those that are not, so that one
fault in a file does not hide the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from ipaddress import ip_address
from itertools import combinations
from typing import TypeAlias

from vitalops.model.addresses import MAXIMUM_LOCAL_REGIONS
from vitalops.model.draft import Draft
from vitalops.model.failover import Replication
from vitalops.model.objective_rules import OBJECTIVE_RULES, objective_warnings
from vitalops.model.platform import CertificationScheme, DataClass, Region, Service
from vitalops.model.residency import HDS_ACTIVITIES, Gap, placement_gaps, transfer_gaps
from vitalops.model.source import Flaw, Pointer
from vitalops.suggest import shown, suggestion

EXPIRY_NOTICE = timedelta(days=30)
RESERVED_SERVICE_NAMES = frozenset(
    {"rtc", "twirp", "patroni", "postgres", "replicator", "rewinder", "template0", "template1"}
)
"""Paths of the media server at the gateway; roles and databases that PostgreSQL and Patroni have of their own."""


Rule: TypeAlias = Callable[[Draft], Iterator[Flaw]]


def references_exist(draft: Draft) -> Iterator[Flaw]:
    known = {
        "region": draft.region_names,
        "pair": draft.pair_names,
        "service": draft.service_names,
        "tier": draft.tier_names,
        "sli": draft.sli_names,
    }
    for reference in draft.references:
        names = known[reference.kind]
        if reference.name not in names:
            kind = "SLI" if reference.kind == "sli" else reference.kind
            problem = f"there is no {kind} {shown(reference.name)}"
            yield Flaw(reference.pointer, problem, suggestion(reference.name, names))


def lists_of_names_make_sense(draft: Draft) -> Iterator[Flaw]:
    seen: set[tuple[Pointer, str]] = set()
    for reference in draft.references:
        if len(reference.pointer) < 4:
            continue
        owner, around = reference.pointer[1], reference.pointer[:-1]
        if reference.kind == "service" and reference.name == owner:
            yield Flaw(reference.pointer, f"{owner} depends on itself", "remove it")
        elif (around, reference.name) in seen:
            yield Flaw(reference.pointer, f"{shown(reference.name)} is listed twice", "remove one")
        seen.add((around, reference.name))
    for name, service in draft.services.items():
        if service.pairs == ():
            yield Flaw(
                ("services", name, "pairs"),
                f"{name} is placed in no pair",
                "name a pair, or leave `pairs` out",
            )


def pairs_are_of_two_regions(draft: Draft) -> Iterator[Flaw]:
    owner: dict[str, str] = {}
    for name, pair in draft.pairs.items():
        if pair.primary == pair.standby:
            yield Flaw(
                ("pairs", name, "standby"), "primary and standby are the same region", "name another region"
            )
        for role, region in (("primary", pair.primary), ("standby", pair.standby)):
            other = owner.setdefault(region, name)
            if other != name:
                yield Flaw(
                    ("pairs", name, role),
                    f"region {shown(region)} is in pair {shown(other)} already",
                    "a region can be in one pair only",
                )


def recovery_points_are_reachable(draft: Draft) -> Iterator[Flaw]:
    for name, pair in draft.pairs.items():
        if pair.rpo_seconds == 0 and pair.replication is not Replication.SYNCHRONOUS:
            yield Flaw(
                ("pairs", name, "rpo_seconds"),
                "no loss at all cannot be promised with asynchronous replication",
                "set `replication: synchronous`, or 1 second or more",
            )


def edges_do_not_clash(draft: Draft) -> Iterator[Flaw]:
    for name, pair in draft.pairs.items():
        try:
            ip_address(pair.edge.address)
        except ValueError:
            yield Flaw(
                ("pairs", name, "edge", "address"),
                f"{shown(pair.edge.address)} is not an IP address",
                "such as 127.0.0.1",
            )
        if pair.edge.port < 1024 and pair.edge.port != 443:
            yield Flaw(
                ("pairs", name, "edge", "port"),
                f"port {pair.edge.port} belongs to the system's own services",
                "choose 443, or 1024 and above",
            )
    for (first, one), (second, other) in combinations(draft.pairs.items(), 2):
        if one.edge.port == other.edge.port and _overlap(one.edge.address, other.edge.address):
            yield Flaw(
                ("pairs", second, "edge", "port"),
                f"port {other.edge.port} is the edge of pair {shown(first)} already",
                "give each pair's edge a port of its own",
            )


def dns_names_are_in_their_zones(draft: Draft) -> Iterator[Flaw]:
    owner: dict[str, str] = {}
    for pair_name, pair in draft.pairs.items():
        if pair.dns is None:
            continue
        place = ("pairs", pair_name, "dns")
        name, zone = (each.rstrip(".").lower() for each in (pair.dns.name, pair.dns.zone))
        if not name.endswith(f".{zone}"):
            within = "is the zone itself" if name == zone else f"is not within the zone {shown(zone)}"
            yield Flaw((*place, "name"), f"{shown(name)} {within}", f"such as visits.{zone}")
        other = owner.setdefault(name, pair_name)
        if other != pair_name:
            yield Flaw(
                (*place, "name"),
                f"{shown(name)} leads to pair {shown(other)} already",
                "give each pair its own",
            )
        if pair.dns.ttl_seconds > pair.rto_seconds:
            yield Flaw(
                (*place, "ttl_seconds"),
                f"clients would go on to a lost region for {pair.dns.ttl_seconds} s, beyond the pair's"
                f" rto_seconds of {pair.rto_seconds}",
                f"{pair.rto_seconds} or less",
            )


def local_regions_have_addresses(draft: Draft) -> Iterator[Flaw]:
    for position, name in enumerate(draft.region_names, start=1):
        region = draft.regions.get(name)
        if position > MAXIMUM_LOCAL_REGIONS and region is not None and region.cluster == "local":
            yield Flaw(
                ("regions", name),
                f"is number {position} in the file, and a local region's number must be below 10",
                "move local regions to the top, or give it a `cluster: {context: ...}`",
            )


def services_are_sound(draft: Draft) -> Iterator[Flaw]:
    for name, service in draft.services.items():
        place = ("services", name)
        if name in RESERVED_SERVICE_NAMES:
            yield Flaw(place, f"{shown(name)} is taken by the platform itself", "choose another name")
        if service.replicas.minimum > service.replicas.maximum:
            yield Flaw(
                (*place, "replicas"),
                f"minimum {service.replicas.minimum} is above maximum {service.replicas.maximum}",
                "raise `maximum` or lower `minimum`",
            )


def dependencies_are_in_reach(draft: Draft) -> Iterator[Flaw]:
    for name, service in draft.services.items():
        for index, other in enumerate(service.depends_on):
            dependency = draft.services.get(other)
            if dependency is None or dependency.pairs is None:
                continue
            absent = [pair for pair in _placed(service, draft) if pair not in dependency.pairs]
            if absent and other != name:
                yield Flaw(
                    ("services", name, "depends_on", index),
                    f"{other} is not placed in pair {', '.join(absent)}, where {name} is",
                    f"add the pair to {other}'s `pairs`",
                )


def certifications_have_known_scope(draft: Draft) -> Iterator[Flaw]:
    for name, region in draft.regions.items():
        for index, certification in enumerate(region.certifications):
            if certification.scheme is not CertificationScheme.HDS:
                continue
            for position, activity in enumerate(certification.scope):
                if activity not in HDS_ACTIVITIES:
                    yield Flaw(
                        ("regions", name, "certifications", index, "scope", position),
                        f"{shown(activity)} is not an HDS activity",
                        f"activities are {', '.join(HDS_ACTIVITIES)}",
                    )


def data_stays_where_it_may(draft: Draft) -> Iterator[Flaw]:
    for name, pair in draft.pairs.items():
        for data in (DataClass.HEALTH, DataClass.PERSONAL):
            held = tuple(
                service.name
                for service in draft.services.values()
                if service.data_class is data and name in _placed(service, draft)
            )
            if not held:
                continue
            primary, standby = draft.regions.get(pair.primary), draft.regions.get(pair.standby)
            for region in (primary, standby):
                if region is not None:
                    gaps = placement_gaps(region, data, draft.today)
                    yield from _residency(
                        ("regions", region.name, "certifications"), region, gaps, name, data, held
                    )
            if primary is not None and standby is not None and primary != standby:
                gaps = transfer_gaps(primary, standby, data, draft.today)
                yield from _residency(("pairs", name, "standby"), standby, gaps, name, data, held)


RULES: tuple[Rule, ...] = (
    references_exist,
    lists_of_names_make_sense,
    pairs_are_of_two_regions,
    recovery_points_are_reachable,
    edges_do_not_clash,
    dns_names_are_in_their_zones,
    local_regions_have_addresses,
    services_are_sound,
    dependencies_are_in_reach,
    certifications_have_known_scope,
    data_stays_where_it_may,
    *OBJECTIVE_RULES,
)


def warnings(draft: Draft) -> Iterator[Flaw]:
    """What is allowed but will hurt: certifications about to expire, regions nobody uses, images nobody gets."""
    yield from objective_warnings(draft)
    for name, region in draft.regions.items():
        for index, certification in enumerate(region.certifications):
            left = (certification.expires - draft.today).days
            if left <= EXPIRY_NOTICE.days:
                when = f"expires in {left} days" if left >= 0 else "has expired"
                yield Flaw(
                    ("regions", name, "certifications", index),
                    f"{certification.scheme} {certification.certificate} {when} ({certification.expires})",
                    "renew it and write its new date",
                )
        if not any(name in (pair.primary, pair.standby) for pair in draft.pairs.values()):
            yield Flaw(
                ("regions", name), "is in no pair, so that nothing is placed there", "add it to a pair"
            )
        if region.cluster != "local" and draft.registry is None:
            yield Flaw(
                ("regions", name, "cluster"),
                "is not local, and no registry is named that its images could come from",
                "set `images: {registry: ...}`, or load the images into the cluster yourself",
            )


def _overlap(one: str, other: str) -> bool:
    return one == other or bool({one, other} & {"0.0.0.0", "::"})  # noqa: S104  # compared, not bound


def _placed(service: Service, draft: Draft) -> Iterable[str]:
    return draft.pair_names if service.pairs is None else service.pairs


def _residency(
    pointer: Pointer,
    region: Region,
    gaps: tuple[Gap, ...],
    pair: str,
    data: DataClass,
    services: tuple[str, ...],
) -> Iterator[Flaw]:
    for gap in gaps:
        holders = ", ".join(services)
        yield Flaw(
            pointer, f"{region.name} {gap.problem}, but pair {pair} holds {data} data ({holders})", gap.remedy
        )
