"""Compiles a region's API gateway: platform -> haproxy.cfg. A pure function; a golden file shows the result.

Written for HAProxy 3.0; everything in it is also understood by 2.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from infra.gateway.common import DEFAULTS, error_pages, refuse
from infra.gateway.telling import identify, log_format
from vitalops import conventions as c
from vitalops.model.platform import Service
from vitalops.revocation import MAP_FILE

CONFIG_FOLDER: Final = "/etc/haproxy"
TLS_FILE: Final = f"{CONFIG_FOLDER}/tls/gateway.pem"
AUTHORITY_FILE: Final = f"{CONFIG_FOLDER}/authority/ca.crt"
KEYS_FOLDER: Final = f"{CONFIG_FOLDER}/keys"
EDGE_COMMON_NAME: Final = "vitalops-edge"
"""Subject of the edge's client certificate: only its word on the client's address is taken."""
REGION_HEALTH_PATH: Final = "/region-health"
"""What the paired region scrapes: one metric, which says that this region's gateway answers over TLS."""
RELAY_PATH: Final = "/v1/livekit/relay"
ROLES: Final = ("patient", "practitioner", "service", "operator")

_UNAUTHORIZED: Final = (("www-authenticate", "Bearer"),)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Requests within `seconds`, counted over a sliding window of that length."""

    seconds: int = 10
    per_subject: int = 300
    """For one signed-in person or service."""
    per_source: int = 1200
    """For one client address, signed in or not."""


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """All that the compiled file depends on."""

    region: str
    issuer: str
    key_ids: tuple[str, ...]
    services: tuple[Service, ...]
    """The public ones, in the platform's order."""
    media_host: str
    service_domain: str
    """Domain of the services' names, as `vitalops-services.svc.cluster.local`."""
    trace_ratio: float = 1.0
    """Share of the requests whose trace is recorded. Decided here, whatever the outside asks for."""
    limits: RateLimits = RateLimits()


def key_file(kid: str) -> str:
    """File of a public key; HAProxy must know all of them when it starts."""
    return f"{KEYS_FOLDER}/{kid}.pem"


def compile_gateway(config: GatewayConfig) -> str:
    """The whole of haproxy.cfg."""
    sections = [
        _global(),
        DEFAULTS + error_pages(),
        _resolvers(),
        _tables(config.limits),
        _metrics(),
        _frontend(config),
        *(_backend(service, name, config) for service in config.services for name in _names(service)),
        _media(config),
    ]
    return "# Compiled by vitalops from platform.yaml: change that instead.\n" + "\n".join(sections)


def _global() -> str:
    return """\
global
  log stdout format raw local0 info
  maxconn 2000
  hard-stop-after 25s
  stats socket /tmp/haproxy.sock mode 600 level admin
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
  tune.ssl.default-dh-param 2048
"""


def _resolvers() -> str:
    # The gateway starts, and stays up, while a service does not exist: its name is asked for again and again.
    return """\
resolvers kubernetes
  parse-resolv-conf
  accepted_payload_size 4096
  resolve_retries 3
  timeout resolve 1s
  timeout retry 500ms
  hold valid 5s
  hold nx 3s
  hold other 3s
  hold obsolete 10s
"""


def _tables(limits: RateLimits) -> str:
    return f"""\
backend rate_by_source
  stick-table type ipv6 size 100k expire {limits.seconds * 2}s store http_req_rate({limits.seconds}s)

backend rate_by_subject
  stick-table type string len 64 size 100k expire {limits.seconds * 2}s store http_req_rate({limits.seconds}s)
"""


def _metrics() -> str:
    return f"""\
frontend metrics
  bind :{c.GATEWAY_METRICS_PORT}
  option dontlog-normal
  monitor-uri /healthz
  http-request use-service prometheus-exporter if {{ path /metrics }}
  http-request return status 404
"""


def _frontend(config: GatewayConfig) -> str:
    limits = config.limits
    retry_after = ("retry-after", str(limits.seconds))
    head = f"""\
frontend api
  bind :{c.GATEWAY_PORT} ssl crt {TLS_FILE} alpn h2,http/1.1 ca-file {AUTHORITY_FILE} verify optional
{log_format(config.region)}
{identify(config.trace_ratio)}  http-after-response set-header {c.HEADER_REQUEST_ID} %[var(txn.request_id)]
  http-after-response set-header x-vitalops-region {config.region}
  http-after-response set-header x-content-type-options nosniff
  http-after-response del-header server

  # The client's address: the edge's word for it, nobody else's.
  acl from_edge ssl_c_used 1
  acl from_edge_verified ssl_c_verify 0
  acl from_edge_named ssl_c_s_dn(CN) -m str {EDGE_COMMON_NAME}
  http-request set-src req.hdr(x-forwarded-for) if from_edge from_edge_verified from_edge_named
  http-request set-header x-forwarded-for %[src]
  http-request set-header x-forwarded-proto https

  http-request return status 200 content-type application/json \
string '{{"status":"ok","region":"{config.region}"}}' if {{ path /healthz }}
  http-request return status 200 content-type "text/plain; version=0.0.4" \
string "vitalops_region_up 1\\n" if {{ path {REGION_HEALTH_PATH} }}
  http-request track-sc0 src table rate_by_source
"""
    rules = [
        refuse(429, "Too many requests", f"if {{ sc_http_req_rate(0) gt {limits.per_source} }}", retry_after),
        refuse(413, "Request body too large", "if { req.hdr_val(content-length) gt 2097152 }"),
        # Probes, metrics and what only the cluster may call are not for the outside.
        "  acl inner path_reg ^/[^/]+/(livez|readyz|metrics)(/|$)\n",
        "  acl inner path_reg ^/[^/]+/v1/livekit/webhook\n",
        "  acl inner path,url_dec -m sub ..\n",
        refuse(404, "Not found", "if inner"),
        "\n",
        *(f"  acl to_{service.name} path_beg /{service.name}/\n" for service in config.services),
        refuse(
            404,
            "Not found",
            " ".join(["unless { path /rtc } or { path_beg /rtc/ }", *_or_routes(config.services)]),
        ),
        "\n  # What needs no token. LiveKit verifies its own.\n",
        "  acl public path /rtc\n",
        "  acl public path_beg /rtc/ /identity/\n",
        "  acl public path_reg ^/[^/]+/openapi\\.json$\n",
        # Events of the other region's media server: signed with the pair's media key, which the service checks.
        *(
            f"  acl public path /{service.name}{RELAY_PATH}\n"
            for service in config.services
            if service.uses_media
        ),
        "  acl public path_reg ^/[^/]+/\\.well-known/\n",
        *_token_rules(config),
        "\n",
        "  use_backend media if { path /rtc } or { path_beg /rtc/ }\n",
        *(
            f"  use_backend {_synthetic(service)} if to_{service.name} synthetic\n"
            for service in config.services
        ),
        *(f"  use_backend {service.name} if to_{service.name}\n" for service in config.services),
    ]
    return head + "".join(rules)


def _or_routes(services: Sequence[Service]) -> list[str]:
    return [f"or to_{service.name}" for service in services]


def _token_rules(config: GatewayConfig) -> list[str]:
    def unauthorized(title: str, condition: str) -> str:
        return refuse(401, title, f"if !public {condition}", *_UNAUTHORIZED)

    query = {"alg": "jwt_header_query('$.alg')", "kid": "jwt_header_query('$.kid')"}
    claims = {name: f"jwt_payload_query('$.{name}')" for name in ("iss", "aud", "sub", "role")}
    claims["exp"] = "jwt_payload_query('$.exp','int')"
    known = " ".join(config.key_ids)
    subjects = "{ sc_http_req_rate(1) gt " + str(config.limits.per_subject) + " }"
    return [
        "\n  # Access tokens: ES256 by a key of the platform, from this issuer, for this platform, not expired.\n",
        unauthorized("A bearer token is required", "!{ http_auth_bearer -m found }"),
        *(
            f"  http-request set-var(txn.{name}) http_auth_bearer,{expression} if !public\n"
            for name, expression in {**query, **claims}.items()
        ),
        "  http-request set-var(txn.now) date()\n",
        unauthorized("Algorithm of the token is not accepted", "!{ var(txn.alg) -m str ES256 }"),
        unauthorized("Key of the token is not known", f"!{{ var(txn.kid) -m str {known} }}"),
        *(
            unauthorized(
                "Signature of the token is wrong",
                f"{{ var(txn.kid) -m str {kid} }}"
                f' !{{ http_auth_bearer,jwt_verify(txn.alg,"{key_file(kid)}") -m int 1 }}',
            )
            for kid in config.key_ids
        ),
        unauthorized("The token is of another issuer", f"!{{ var(txn.iss) -m str {config.issuer} }}"),
        unauthorized("The token is for another audience", f"!{{ var(txn.aud) -m str {c.TOKEN_AUDIENCE} }}"),
        unauthorized("The token has expired", "!{ var(txn.exp),sub(txn.now) -m int gt 0 }"),
        # A map, so that the runtime API changes it between two requests; its values are when each entry ends.
        f"  http-request set-var(txn.denied) var(txn.sub),map_str_int({MAP_FILE},0) if !public\n",
        unauthorized("Access is revoked", "{ var(txn.denied),sub(txn.now) -m int gt 0 }"),
        refuse(
            403,
            "Role of the token may not use this platform",
            f"if !public !{{ var(txn.role) -m str {' '.join(ROLES)} }}",
        ),
        "  http-request track-sc1 var(txn.sub) table rate_by_subject if !public\n",
        refuse(
            429,
            "Too many requests",
            f"if !public {subjects}",
            ("retry-after", str(config.limits.seconds)),
        ),
    ]


def _names(service: Service) -> tuple[str, str]:
    """Backends of a service: twins, so that HAProxy counts synthetic requests apart."""
    return service.name, _synthetic(service)


def _synthetic(service: Service) -> str:
    return f"{service.name}{c.GATEWAY_SYNTHETIC_SUFFIX}"


def _backend(service: Service, backend: str, config: GatewayConfig) -> str:
    name = service.name
    # Only what may be repeated is repeated; a failed connection has done nothing yet and always may.
    return f"""\
backend {backend}
  retry-on conn-failure empty-response response-timeout
  http-request disable-l7-retry unless METH_GET or {{ method HEAD OPTIONS }}
  http-request set-header x-forwarded-prefix /{name}
  http-request set-path "%[path,regsub(^/{name}/,/)]"
  server {name} {name}.{config.service_domain}:{service.port} resolvers kubernetes resolve-prefer ipv4 init-addr none
"""


def _media(config: GatewayConfig) -> str:
    return f"""\
backend media
  timeout server 1h
  server livekit {config.media_host}:{c.LIVEKIT_PORT} resolvers kubernetes resolve-prefer ipv4 init-addr none
"""
