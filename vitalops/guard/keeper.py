"""Where a region's standing is kept: a ConfigMap, shared by the guards of all members."""

from __future__ import annotations

from vitalops.fencing.standing import PairStanding
from vitalops.guard.kube import ConfigMaps, Conflict


class Keeper:
    """Methods raise RemoteError where the API server does not answer."""

    def __init__(self, maps: ConfigMaps, name: str) -> None:
        self._maps = maps
        self._name = name

    def read(self) -> PairStanding | None:
        """None where there is none yet. Raises ValueError for one that cannot be read."""
        found = self._maps.get(self._name)
        return PairStanding.from_data(found.get("data") or {}) if found else None

    def write(self, standing: PairStanding) -> PairStanding:
        """Keep `standing` unless a newer one is kept already; returns what is kept then.

        What is known already stays known: that the other region was heard of, that a proof is spent.
        """
        while True:
            found = self._maps.get(self._name)
            if found is None:
                body = {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": self._name},
                    "data": standing.to_data(),
                }
                try:
                    self._maps.create(body)
                except Conflict:
                    continue
                return standing
            kept = PairStanding.from_data(found.get("data") or {})
            merged = newer(kept, standing)
            if merged == kept:
                return kept
            body = {
                "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
                "data": merged.to_data(),
            }
            try:
                self._maps.patch(self._name, body)
            except Conflict:
                continue
            return merged


def newer(kept: PairStanding, other: PairStanding) -> PairStanding:
    """The one with the higher token; of two with the same, what each knows more."""
    alone = kept.alone and other.alone
    if other.token < kept.token:
        chosen = kept
    elif other.token > kept.token:
        return other
    elif other.active != kept.active:
        chosen = kept
    elif other.proof is kept.proof:
        chosen = other if other.spent else kept
    else:
        # The operation itself, after the word of another place has been faster.
        chosen = other if kept.proof.value == "none" else kept
        alone = chosen.alone
    return PairStanding(chosen.active, chosen.token, chosen.replication, chosen.proof, chosen.spent, alone)
