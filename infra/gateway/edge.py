"""Compiles a failover pair's edge: which region its clients reach. A pure function.

Exactly one region is active, and only an operation changes that: the other region's database is read-only, so sending
clients there because a health check failed would turn one fault into another. HAProxy 2.6 or later, with Lua.

The active region is not in the configuration but in a map, which HAProxy's runtime API changes between two requests:
nothing is reloaded, and connections that carry a running call stay. Whoever comes back to such a call is led to the
region where it runs, by the room that the join token names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from infra.gateway.common import DEFAULTS, error_pages
from vitalops.model.platform import EdgeListener

GATEWAY_NAME: Final = "gateway.vitalops-gateway"
"""Name that the gateway's certificate must carry."""
MAP_FILE: Final = "edge.map"
HOLD_FILE: Final = "hold.lua"
ACTIVE_KEY: Final = "active"
"""Key of the map: the active region."""
HOLD_KEY: Final = "hold"
"""Key of the map: seconds since 1970 until which new requests wait."""
CALLS_KEY: Final = "calls"
"""Key of the map: the region whose media servers take calls that begin now; `-`: the active region's."""
NO_REGION: Final = "-"
_ROOM_SECONDS: Final = 120
"""A call's region is remembered for so long after its last connection: as long as LiveKit keeps an empty room."""


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """All that the compiled file depends on. `regions` maps each region to the `host:port` of its gateway."""

    pair: str
    listener: EdgeListener
    regions: Mapping[str, str]
    folder: str
    """Where edge.pem (certificate and key), ca.crt, the map and the script are, and the admin socket is made."""
    drain_seconds: int
    """Calls that run through a process that was replaced may go on for so long."""


def region_backend(region: str) -> str:
    """HAProxy's name of what leads to a region."""
    return f"region_{region}"


def compile_map(config: EdgeConfig, active: str) -> str:
    """The map as it is on disk, where a start or a reload finds it.

    Raises ValueError where the active region is not one of the pair's.
    """
    if active not in config.regions:
        raise ValueError(f"{active} is not a region of {config.pair}")
    return map_text(active)


def map_text(active: str, calls: str = "") -> str:
    """The map's file: where new requests and new calls go, and that none waits."""
    return f"{ACTIVE_KEY} {active}\n{CALLS_KEY} {calls or NO_REGION}\n{HOLD_KEY} 0\n"


def compile_hold(config: EdgeConfig) -> str:
    """The script by which requests wait."""
    return f"""\
-- Compiled by vitalops. Requests that come while the pair is switched over wait here, before anything of them is sent:
-- so none has to be repeated, and none fails for having come at the wrong moment. It ends by itself at the map's time.
local map = Map.new("{config.folder}/{MAP_FILE}", Map._str)
core.register_action("hold", {{"http-req"}}, function(txn)
  while core.now().sec < (tonumber(map:lookup("{HOLD_KEY}")) or 0) do
    core.msleep(20)
  end
end, 0)
"""


def compile_edge(config: EdgeConfig) -> str:
    """The whole of haproxy.cfg, whichever region is active."""
    folder = config.folder
    backends = "\n".join(_region(name, address, folder) for name, address in config.regions.items())
    return f"""\
# Compiled by vitalops from platform.yaml: change that instead.
global
  log stdout format raw local0 info
  maxconn 4000
  hard-stop-after {max(config.drain_seconds, 60)}s
  stats socket {folder}/admin.sock mode 600 level admin
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
  tune.ssl.default-dh-param 2048
  lua-load {folder}/{HOLD_FILE}

{DEFAULTS}{error_pages()}
frontend edge
  bind {config.listener.address}:{config.listener.port} ssl crt {folder}/edge.pem alpn h2,http/1.1
  log-format '{{"ts":%Ts.%ms,"logger":"edge","method":"%HM","status":%ST,"bytes":%B,"ms":%Ta,"backend":"%b"}}'
  http-request del-header x-forwarded-for
  option forwardfor

  # Where the room of a join token runs already. LiveKit verifies the token; here it only chooses between two regions.
  acl to_room path /rtc
  acl to_room path_beg /rtc/
  http-request set-var(txn.room) urlp(access_token),jwt_payload_query('$.video.room') if to_room
  http-request set-var(txn.room) http_auth_bearer,jwt_payload_query('$.video.room') \
if to_room !{{ var(txn.room) -m found }}
  http-request track-sc0 var(txn.room) table rooms if {{ var(txn.room) -m found }}
{_call_regions(config)}{_new_calls(config)}
  # New requests wait while the pair is switched over; the health page, and calls that run, do not.
  http-request lua.hold unless {{ path /healthz }} or {{ var(txn.region) -m found }}
  http-request set-var(txn.region) str({ACTIVE_KEY}),map_str({folder}/{MAP_FILE}) unless {{ var(txn.region) -m found }}
{_remember(config)}  use_backend region_%[var(txn.region)]

backend rooms
  stick-table type string len 64 size 20k expire {_ROOM_SECONDS}s store gpt0

{backends}"""


def _call_regions(config: EdgeConfig) -> str:
    # A region that is gone keeps nobody: its calls are gone with it.
    return "".join(
        f"  http-request set-var(txn.region) str({name}) "
        f"if {{ sc0_get_gpt0 {number} }} {{ nbsrv({region_backend(name)}) gt 0 }}\n"
        for number, name in enumerate(config.regions, 1)
    )


def _new_calls(config: EdgeConfig) -> str:
    file = f"{config.folder}/{MAP_FILE}"
    return "".join(
        f"  http-request set-var(txn.region) str({name}) if to_room !{{ var(txn.region) -m found }} "
        f"{{ str({CALLS_KEY}),map_str({file}) -m str {name} }} {{ nbsrv({region_backend(name)}) gt 0 }}\n"
        for name in config.regions
    )


def _remember(config: EdgeConfig) -> str:
    return "".join(
        f"  http-request sc-set-gpt0(0) {number} if {{ sc0_tracked }} {{ var(txn.region) -m str {name} }}\n"
        for number, name in enumerate(config.regions, 1)
    )


def _region(name: str, address: str, folder: str) -> str:
    return f"""\
backend {region_backend(name)}
  option httpchk
  http-check send meth GET uri /healthz ver HTTP/1.1 hdr host {GATEWAY_NAME}
  http-check expect status 200
  timeout server 35s
  timeout check 1s
  server gateway {address} ssl verify required ca-file {folder}/ca.crt crt {folder}/edge.pem sni str({GATEWAY_NAME}) \
verifyhost {GATEWAY_NAME} alpn http/1.1 check check-sni {GATEWAY_NAME} check-alpn http/1.1 inter 500ms fall 4 rise 1
"""
