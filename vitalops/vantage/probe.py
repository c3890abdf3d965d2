"""One line of sight as something that can be asked: the port, its fake, and the HTTPS of it.

Whatever answers HTTP is there, whatever it says: a region of which a part says "503" is not a lost region. What cannot
prove who it is (a certificate that has run out) is there too, but its word is not taken.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from vitalops.detection.sights import Vantage
from vitalops.errors import VitalopsError
from vitalops.fencing.report import GuardReport, from_json

if TYPE_CHECKING:
    import httpx

LARGEST_REPORT = 65_536
BACKSTOP_SECONDS = 10.0
"""For one part of an attempt; whoever looks gives up long before."""


@dataclass(frozen=True, slots=True)
class Answer:
    """There was one. `report` is what a guard said, where one was asked and its word can be taken."""

    report: GuardReport | None = None


class Probe(Protocol):
    """One line of sight of the witness's own."""

    @property
    def vantage(self) -> Vantage: ...

    async def look(self) -> Answer | None:
        """Ask once; None where there is no answer. Whoever calls sets the time limit. Raises nothing."""
        ...

    async def aclose(self) -> None: ...


class Judge(Protocol):
    """A place that keeps its own watch over both regions, such as the edge. Called in a thread."""

    @property
    def name(self) -> str: ...

    def sees(self) -> Mapping[str, bool]:
        """By region, whether it is reached; without those of which nothing is known. Raises VitalopsError."""
        ...


@dataclass(slots=True)
class FakeProbe:
    """The in-memory fake: `answers` is asked at every look; `hangs` makes looks wait until they are given up."""

    vantage: Vantage
    answers: Callable[[], Answer | None] = Answer
    hangs: bool = False
    looks: int = 0
    closed: bool = False

    async def look(self) -> Answer | None:
        self.looks += 1
        if self.hangs:
            await asyncio.Event().wait()
        return self.answers()

    async def aclose(self) -> None:
        self.closed = True


@dataclass(slots=True)
class FakeJudge:
    """The in-memory fake."""

    name: str = "fake edge"
    seen: dict[str, bool] = field(default_factory=dict[str, bool])
    fails: bool = False

    def sees(self) -> Mapping[str, bool]:
        if self.fails:
            raise VitalopsError("the fake edge does not run")
        return self.seen


class HttpsProbe:
    """GET of one URL, on connections that are kept. `reports` says that a guard's report is expected there."""

    def __init__(
        self,
        vantage: Vantage,
        url: str,
        trust: ssl.SSLContext,
        *,
        reports: bool = False,
        server_name: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`server_name` is the name in the server's certificate, where that is not the host of `url`."""
        import httpx

        self._vantage = vantage
        self._url = url
        self._reports = reports
        self._extensions = {"sni_hostname": server_name} if server_name else {}
        self._client = httpx.AsyncClient(
            transport=transport or httpx.AsyncHTTPTransport(verify=trust, trust_env=False),
            timeout=BACKSTOP_SECONDS,
            headers={"user-agent": "vitalops-witness"},
        )

    @property
    def vantage(self) -> Vantage:
        return self._vantage

    async def look(self) -> Answer | None:
        import httpx

        try:
            response = await self._client.get(self._url, extensions=self._extensions)
        except (httpx.TransportError, OSError) as error:
            return Answer() if _is_there(error) else None
        if not self._reports or response.status_code != 200 or len(response.content) > LARGEST_REPORT:
            return Answer()
        try:
            report = from_json(response.text)
        except ValueError:
            return Answer()
        return Answer(report if report.place == self._vantage.region else None)

    async def aclose(self) -> None:
        await self._client.aclose()


def _is_there(error: BaseException) -> bool:
    """Whether the failure itself shows that somebody answered: with a certificate that is not to be trusted, or with
    something that is no HTTP."""
    import httpx

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    # The server closed a kept connection just now: that is no answer, and httpx says so with the same class.
    return isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error)
