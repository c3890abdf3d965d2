"""A DNS name as a traffic director: RFC 2136 updates signed with TSIG (RFC 8945). Alone in importing dnspython.

An update names the value it replaces, and the server does all of it or nothing: of two operators at once one is
refused. What an update did is then asked of the same, authoritative, server.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, TypeVar

from infra.traffic.regions import require_region
from vitalops.errors import RemoteError, UsageError
from vitalops.model.failover import DnsRecord
from vitalops.model.platform import FailoverPair
from vitalops.secretstore.port import SecretStore

if TYPE_CHECKING:
    import dns.rrset

T = TypeVar("T")

_SECONDS: Final = 5.0
_TYPES: Final = ("A", "AAAA", "CNAME")
_RESULTS: Final = {
    "REFUSED": ("its policy refuses this key or this client", "allow the key to update the name there"),
    "NOTAUTH": ("it is not authoritative for the zone", "set pairs.*.dns.zone and server"),
    "NOTZONE": ("the name is not within the zone", "set pairs.*.dns.name and zone"),
    "NXRRSET": ("the name was changed by somebody else meanwhile", "look at it, then try again"),
    "YXRRSET": ("the name was changed by somebody else meanwhile", "look at it, then try again"),
    "SERVFAIL": ("it failed (SERVFAIL)", "see its log: often it may not write the zone"),
    "NOTIMP": ("it takes no updates (NOTIMP)", "allow dynamic updates of the zone there"),
    "FORMERR": ("it does not understand the update (FORMERR)", "does it speak RFC 2136?"),
}


def secret_name(pair: str, record: DnsRecord) -> str:
    """Where the key's secret is in the store."""
    return f"{pair}/dns/{record.key}"


@dataclass(frozen=True, slots=True)
class DnsDirector:
    """`addresses` maps each region to the host or address of its gateway, without a port."""

    pair: FailoverPair
    record: DnsRecord
    addresses: Mapping[str, str]
    secrets: SecretStore
    timeout: float = _SECONDS
    """Seconds for each question."""

    @property
    def name(self) -> str:
        return f"dns {self.record.name.rstrip('.')}"

    def active(self) -> str:
        return self._region_of(self._values())

    def switch(self, region: str) -> None:
        require_region(self.pair, region)
        found = self._values()
        if self._wanted(region) == found:
            return
        self._update(region, found)
        if (now := self.active()) != region:
            raise RemoteError(f"{self.name} leads to {now or 'no region'} after it was switched to {region}")

    def hold(self, seconds: float) -> bool:
        del seconds
        return False

    def lead_calls(self, region: str) -> bool:
        del region
        return False

    def calls_lead_to(self) -> str:
        return ""

    def sees(self) -> Mapping[str, bool]:
        return {}

    def fault(self) -> str:
        try:
            return "" if self.active() else "it leads to neither region"
        except RemoteError as error:
            return error.message

    def repair(self, region: str) -> str:
        if self.active() == region:
            return ""
        self.switch(region)
        return f"led to {region}"

    def delay_seconds(self) -> float:
        return float(self.record.ttl_seconds)

    def _wanted(self, region: str) -> dict[str, frozenset[str]]:
        kind, value = typed(self.addresses[region])
        return {kind: frozenset({value})}

    def _region_of(self, values: Mapping[str, frozenset[str]]) -> str:
        for region in (self.pair.primary, self.pair.standby):
            if values == self._wanted(region):
                return region
        return ""

    def _values(self) -> dict[str, frozenset[str]]:
        """What the authoritative server has for the name: values by type."""
        import dns.flags
        import dns.message
        import dns.query
        import dns.rcode
        import dns.rdatatype

        found: dict[str, frozenset[str]] = {}
        for kind in _TYPES:
            query = dns.message.make_query(self.record.name, kind)
            query.flags &= ~dns.flags.RD
            answer = self._asked(
                lambda where, query=query: dns.query.udp_with_fallback(
                    query, where, timeout=self.timeout, port=self.record.port
                )[0]
            )
            result = dns.rcode.to_text(answer.rcode())
            if result not in ("NOERROR", "NXDOMAIN"):
                raise self._refused(result)
            if not answer.flags & dns.flags.AA:
                raise self._refused("NOTAUTH")
            values = {
                item.to_text().rstrip(".").lower()
                for rrset in answer.answer
                if dns.rdatatype.to_text(rrset.rdtype) == kind and _is(rrset, self.record.name)
                for item in rrset
            }
            if values:
                found[kind] = frozenset(values)
        return found

    def _update(self, region: str, found: Mapping[str, frozenset[str]]) -> None:
        import dns.query
        import dns.rcode
        import dns.update

        zone = f"{self.record.zone.rstrip('.')}."
        name = f"{self.record.name.rstrip('.')}."
        update = dns.update.UpdateMessage(zone)
        update.use_tsig(self._keyring(), algorithm=self.record.algorithm)
        for kind in _TYPES:
            if kind in found:
                update.present(name, kind, *(_written(kind, value) for value in sorted(found[kind])))
                update.delete(name, kind)
            else:
                update.absent(name, kind)
        kind, value = typed(self.addresses[region])
        update.add(name, self.record.ttl_seconds, kind, _written(kind, value))
        # By TCP: sent once, so that an answer lost on the way is not taken for another's change.
        answer = self._asked(
            lambda where: dns.query.tcp(update, where, timeout=self.timeout, port=self.record.port)
        )
        result = dns.rcode.to_text(answer.rcode())
        if result != "NOERROR":
            raise self._refused(result)

    def _keyring(self) -> dict[Any, Any]:
        import dns.name
        import dns.tsig

        secret = self.secrets.get(secret_name(self.pair.name, self.record))
        if secret is None:
            raise UsageError(
                f"{self.name}: there is no key {self.record.key} yet",
                hint=f"vitalops dns key {self.pair.name}",
            )
        try:
            value = base64.b64decode(secret, validate=True)
        except ValueError:
            raise UsageError(f"{self.name}: the secret of key {self.record.key} is not base64") from None
        name = dns.name.from_text(f"{self.record.key}.")
        return {name: dns.tsig.Key(name, value, self.record.algorithm)}

    def _asked(self, ask: Callable[[str], T]) -> T:
        import dns.exception
        import dns.tsig

        server = f"{self.record.server}:{self.record.port}"
        try:
            return ask(self._server_address())
        except dns.tsig.PeerBadTime:
            problem, hint = "its clock and this machine's differ too much (BADTIME)", "set both by NTP"
        except dns.tsig.PeerBadKey:
            problem, hint = f"it does not know the key {self.record.key} (BADKEY)", self._key_hint()
        except (dns.tsig.PeerBadSignature, dns.tsig.PeerBadTruncation):
            problem, hint = f"it has another secret for the key {self.record.key} (BADSIG)", self._key_hint()
        except (dns.tsig.BadTime, dns.tsig.BadSignature, dns.tsig.BadKey, dns.tsig.BadAlgorithm) as error:
            problem, hint = f"its answer is not signed as it should be ({type(error).__name__})", ""
        except dns.exception.Timeout:
            problem, hint = f"no answer within {self.timeout:g} s", "is it running, and reached from here?"
        except (dns.exception.DNSException, OSError, EOFError) as error:
            said = " ".join(str(error).split()) or type(error).__name__
            problem, hint = f"no usable answer: {said[:120]}", "is it running, and reached from here?"
        raise RemoteError(f"{self.name}: server {server}: {problem}", hint=hint)

    def _server_address(self) -> str:
        found = socket.getaddrinfo(self.record.server, self.record.port, type=socket.SOCK_STREAM)
        return str(found[0][4][0])

    def _key_hint(self) -> str:
        return f"vitalops dns key {self.pair.name} writes it for the server"

    def _refused(self, result: str) -> RemoteError:
        problem, hint = _RESULTS.get(result, (f"it answers {result}", ""))
        return RemoteError(
            f"{self.name}: server {self.record.server}:{self.record.port}, zone {self.record.zone.rstrip('.')}:"
            f" {problem}",
            hint=hint,
        )


def typed(address: str) -> tuple[str, str]:
    """The type and value of the record that leads to a host or an address."""
    try:
        found = ip_address(address.strip("[]"))
    except ValueError:
        return "CNAME", address.rstrip(".").lower()
    return ("A" if found.version == 4 else "AAAA"), str(found)


def _written(kind: str, value: str) -> str:
    return f"{value}." if kind == "CNAME" else value


def _is(rrset: dns.rrset.RRset, name: str) -> bool:
    return rrset.name.to_text().rstrip(".").lower() == name.rstrip(".").lower()
