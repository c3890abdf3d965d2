"""What a region keeps, durably, of who may write in its pair. The higher token is the newer word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

SYNCHRONOUS = "synchronous"
ASYNCHRONOUS = "asynchronous"


class Proof(StrEnum):
    """How an operation knew, before it changed who may write or what commits wait for, that the other region is no
    danger: the reason for which a region may act on a standing without having heard of the other region."""

    NONE = "none"
    CONFIRMED = "confirmed"
    """The other region has said itself that it knows, and takes no writes (or, of a standby, will not be promoted)."""
    SYNCHRONOUS = "synchronous"
    """The other region's commits wait for this one, which will acknowledge none of them any more."""
    LEASE = "lease"
    """Everybody who could have given the other region leave to go on knows better, and the last leave has run out."""
    ATTESTED = "attested"
    """A person says that the other region is off, and answers for it."""


@dataclass(frozen=True, slots=True)
class PairStanding:
    """`spent` says that the region has used the proof for one promotion: it serves for no second one."""

    active: str
    token: int
    replication: str
    """As it is meant: `synchronous` or `asynchronous`."""
    proof: Proof = Proof.NONE
    spent: bool = True
    alone: bool = False
    """Whether the other region has heard nothing of this one since it became active: nobody is there who could have
    taken over, so the region may go on without a word from anybody."""

    def to_data(self) -> dict[str, str]:
        """As the data of a ConfigMap."""
        return {
            "active": self.active,
            "token": str(self.token),
            "replication": self.replication,
            "proof": self.proof.value,
            "spent": "true" if self.spent else "false",
            "alone": "true" if self.alone else "false",
        }

    @staticmethod
    def from_data(data: Mapping[str, str]) -> PairStanding:
        """Raises ValueError for what is no standing."""
        try:
            return PairStanding(
                active=data["active"],
                token=int(data["token"]),
                replication=data["replication"],
                proof=Proof(data.get("proof", "none")),
                spent=data.get("spent", "true") == "true",
                alone=data.get("alone", "false") == "true",
            )
        except KeyError as error:
            raise ValueError(f"it has no {error}") from None
