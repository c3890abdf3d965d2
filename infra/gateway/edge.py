"""Compiles a failover pair's edge: which region its clients reach. A pure function.

Exactly one region is active, and only an operation changes that: the other region's database is read-only, so sending
clients there because a health check failed would turn one fault into another. HAProxy 2.6 or later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from infra.gateway.common import DEFAULTS, error_pages
from vitalops.model.platform import EdgeListener

GATEWAY_NAME: Final = "gateway.vitalops-gateway"
"""Name that the gateway's certificate must carry."""


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """All that the compiled file depends on. `regions` maps each region to the `host:port` of its gateway."""

    pair: str
    listener: EdgeListener
    active: str
    regions: Mapping[str, str]
    folder: str
    """Where edge.pem (certificate and key) and ca.crt are, and the admin socket is made."""


def compile_edge(config: EdgeConfig) -> str:
    """The whole of haproxy.cfg. Raises ValueError where the active region is not one of the pair's."""
    if config.active not in config.regions:
        raise ValueError(f"{config.active} is not a region of {config.pair}")
    backends = "\n".join(_region(name, address, config.folder) for name, address in config.regions.items())
    return f"""\
# Compiled by vitalops from platform.yaml: change that instead.
global
  log stdout format raw local0 info
  maxconn 4000
  hard-stop-after 60s
  stats socket {config.folder}/admin.sock mode 600 level admin
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
  tune.ssl.default-dh-param 2048

{DEFAULTS}{error_pages()}
frontend edge
  bind {config.listener.address}:{config.listener.port} ssl crt {config.folder}/edge.pem alpn h2,http/1.1
  log-format '{{"ts":%Ts.%ms,"logger":"edge","method":"%HM","status":%ST,"bytes":%B,"ms":%Ta,"backend":"%b"}}'
  http-request del-header x-forwarded-for
  option forwardfor
  default_backend region_{config.active}

{backends}"""


def _region(name: str, address: str, folder: str) -> str:
    return f"""\
backend region_{name}
  option httpchk
  http-check send meth GET uri /healthz ver HTTP/1.1 hdr host {GATEWAY_NAME}
  http-check expect status 200
  timeout server 35s
  server gateway {address} ssl verify required ca-file {folder}/ca.crt crt {folder}/edge.pem sni str({GATEWAY_NAME}) \
verifyhost {GATEWAY_NAME} alpn http/1.1 check check-sni {GATEWAY_NAME} check-alpn http/1.1 inter 1s fall 3 rise 1
"""
