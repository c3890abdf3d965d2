"""What a guard is told: a file that `up` writes, and the pod's environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vitalops.errors import UsageError
from vitalops.fencing.machine import Rules

SETTINGS_FILE: Final = "guard.json"


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """One region's guard. Addresses are `host:port`."""

    pair: str
    region: str
    peer: str
    home: bool
    peer_address: str
    witness_address: str
    """Empty where there is none."""
    replication: str
    """As the platform means it: the standing of a pair that never had another."""
    lease_seconds: float | None
    member: str
    """Its own pod."""
    peer_members: tuple[str, ...]
    """Members of the other region, as they call themselves when they replicate."""
    upstream: Mapping[str, Any]
    """Patroni's `standby_cluster` with which this region follows the other."""
    required: Mapping[str, Any]
    """What Patroni's dynamic configuration must have, for the guard's rules to hold."""
    namespace: str
    standing_name: str
    patroni_config_name: str
    authority_file: str
    certificate_file: str
    key_file: str
    data_folder: str
    socket_folder: str
    port: int
    local_port: int
    patroni_port: int
    user: str
    password: str = field(repr=False)
    rest_user: str
    rest_password: str = field(repr=False)

    @property
    def rules(self) -> Rules:
        return Rules(self.region, self.peer, self.home, self.lease_seconds)


def read_settings(folder: Path, environment: Mapping[str, str]) -> GuardSettings:
    """Raises UsageError for what is missing."""
    try:
        document = json.loads((folder / SETTINGS_FILE).read_text())
        document["peer_members"] = tuple(document["peer_members"])
        return GuardSettings(
            **document,
            member=environment["POD_NAME"],
            namespace=environment["POD_NAMESPACE"],
            user=environment["PATRONI_SUPERUSER_USERNAME"],
            password=environment["PATRONI_SUPERUSER_PASSWORD"],
            rest_user=environment["PATRONI_RESTAPI_USERNAME"],
            rest_password=environment["PATRONI_RESTAPI_PASSWORD"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"the guard's settings in {folder} cannot be used: {error}") from None
