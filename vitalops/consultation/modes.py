"""What calls may be, as a pair's consultation service keeps it: asked and set through the pair's way in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from vitalops.consultation.access import Access
from vitalops.consultation.http import Edge, Partial, bearer, read
from vitalops.consultation.people import operator_token
from vitalops.consultation.walk import StepFailed
from vitalops.errors import RemoteError
from vitalops.ports.media import CallMode

PATH: Final = "/consultation/v1/call-mode"
T = TypeVar("T")


class _Mode(Partial):
    mode: CallMode


@dataclass(frozen=True, slots=True)
class ServiceCallModes:
    """`CallModes` of one pair, as its operator."""

    access: Access

    def mode(self) -> CallMode:
        async def ask(edge: Edge, token: str) -> CallMode:
            return (await edge.get(_Mode, PATH, token)).mode

        return self._asked(ask)

    def set_mode(self, mode: CallMode) -> None:
        async def put(edge: Edge, token: str) -> CallMode:
            return read(
                _Mode, await edge.ask("PUT", PATH, headers=bearer(token), json={"mode": mode.value})
            ).mode

        if (now := self._asked(put)) is not mode:
            raise RemoteError(
                f"calls of {self.access.pair} are {now.value}, not {mode.value}, after they were set"
            )

    def _asked(self, ask: Callable[[Edge, str], Awaitable[T]]) -> T:
        """In an event loop and a thread of its own: the caller may have a loop already."""

        async def run() -> T:
            with self.access.authority_file() as authority:
                edge = Edge.over_tls(self.access.edge_url, authority)
                try:
                    return await ask(edge, await operator_token(edge, self.access.operator_secret()))
                finally:
                    await edge.aclose()

        try:
            with ThreadPoolExecutor(max_workers=1, thread_name_prefix="modes") as pool:
                return pool.submit(lambda: asyncio.run(run())).result()
        except StepFailed as failure:
            raise RemoteError(f"what calls of {self.access.pair} may be: {failure}") from failure
