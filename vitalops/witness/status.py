"""How a pair's witness stands, asked of itself."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any

from vitalops.errors import RemoteError
from vitalops.model.failover import Witness
from vitalops.witness.server import STATUS_PATH

ASK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One line of sight, as the witness tells it. `seconds` is since the last answer."""

    vantage: str
    reached: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class WitnessStatus:
    """`answers` is None where the pair has no witness."""

    pair: str
    address: str
    answers: bool | None
    mode: str = ""
    """Who decides: `automatic` or `approval`."""
    state: str = ""
    """`healthy`, `suspect`, `lost`, `blind` or `split`."""
    active: str = ""
    token: int = -1
    run: str = ""
    """The failover that it started or filed, while that matters."""
    said: str = ""
    words: tuple[Seen, ...] = ()
    process: int | None = None
    problem: str = ""

    @property
    def summary(self) -> str:
        """One line for `vitalops status`."""
        if self.answers is None:
            return f"witness {self.pair}  none: failing over is a person's to begin"
        if not self.answers:
            return f"witness {self.pair}  does not run: failing over is a person's to begin (vitalops witness start)"
        told = self.said or f"{self.active} is active"
        return f"witness {self.pair}  {self.state}  {self.mode}  {told}"


def witness_status(pair: str, witness: Witness | None, trust: ssl.SSLContext) -> WitnessStatus:
    """Asks the witness at its address. That it does not answer is part of the answer, not an error."""
    if witness is None:
        return WitnessStatus(pair, "", None)
    address = f"{witness.address}:{witness.port}"
    try:
        told = _ask(witness, trust)
        if told["pair"] != pair:
            return WitnessStatus(pair, address, False, problem=f"it is the witness of {told['pair']}")
        return WitnessStatus(
            pair,
            address,
            True,
            mode=str(told["mode"]),
            state=str(told["state"]),
            active=str(told["active"]),
            token=int(told["token"]),
            run=str(told["run"]),
            said=str(told["said"]),
            words=tuple(Seen(**word) for word in told.get("words", ())),
            process=int(told["process"]),
        )
    except RemoteError as error:
        return WitnessStatus(pair, address, False, problem=str(error))
    except (KeyError, TypeError, ValueError) as error:
        return WitnessStatus(pair, address, False, problem=f"its answer cannot be read: {error}")


def _ask(witness: Witness, trust: ssl.SSLContext) -> dict[str, Any]:
    connection = http.client.HTTPSConnection(
        witness.address, witness.port, timeout=ASK_SECONDS, context=trust
    )
    try:
        connection.request("GET", STATUS_PATH)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise RemoteError(f"no answer from {witness.address}:{witness.port}: {error}") from None
    finally:
        connection.close()
    if response.status != 200:
        raise RemoteError(f"{witness.address}:{witness.port} answers {response.status}")
    return json.loads(body)
