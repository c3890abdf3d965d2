"""What each image is made of, and what a pod that runs it must know. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from vitalops.conventions import (
    ALERTMANAGER_PORT,
    COLLECTOR_METRICS_PORT,
    GATEWAY_METRICS_PORT,
    GATEWAY_PORT,
    LIVEKIT_METRICS_PORT,
    LIVEKIT_PORT,
    LOGS_PORT,
    OBJECTS_PORT,
    PATRONI_PORT,
    POSTGRES_PORT,
    PROBER_METRICS_PORT,
    PROMETHEUS_PORT,
    TRACES_METRICS_PORT,
    TRACES_OTLP_PORT,
    TRACES_QUERY_PORT,
    UID_GATEWAY,
    UID_MEDIA,
    UID_OBJECTS,
    UID_PAUSE,
    UID_POSTGRES,
    UID_PROBER,
    UID_SERVICES,
    UID_TELEMETRY,
)

SUITE: Final = "trixie"
PYTHON: Final = "3.13"
GLIBC: Final = "2_40"
"""Newest glibc that wheels may ask for; trixie has 2.41."""
DEBIAN_REVISION: Final = "2026-11-22T19:00"
"""Raise to take newer Debian packages: it is part of every tag, and the time (UTC) that all files carry."""

SITE_PACKAGES: Final = "/opt/site-packages"
CODE: Final = "/app"
POSTGRES_BIN: Final = "/usr/lib/postgresql/17/bin"
_PATH: Final = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin"

USERS: Final[Mapping[str, tuple[int, str]]] = {
    "services": (UID_SERVICES, "/tmp"),  # noqa: S108  # a home that exists and is writable in a pod
    "postgres": (UID_POSTGRES, "/var/lib/postgresql"),
    "gateway": (UID_GATEWAY, "/tmp"),  # noqa: S108
    "media": (UID_MEDIA, "/tmp"),  # noqa: S108
    "telemetry": (UID_TELEMETRY, "/tmp"),  # noqa: S108
    "prober": (UID_PROBER, "/tmp"),  # noqa: S108
}
"""Numeric user (and group of the same number) and home by name: the same in every Debian image."""

UNWANTED: Final = (
    "dev/*",
    "etc/*-",
    "etc/ssl/private/*",  # a key made while installing would be the same secret for everybody
    "etc/ssl/certs/ssl-cert-snakeoil.pem",
    "usr/lib/python3*.pyc",  # compiled again, in a form that needs no file times
    "usr/lib/python3.*/ensurepip/*",
    "usr/lib/python3.*/idlelib/*",
    "usr/lib/python3.*/pydoc_data/*",
    "usr/lib/python3.*/test/*",
    "usr/share/doc/*[!t]",  # all but the copyright files
    "usr/share/i18n/*",
    "usr/share/info/*",
    "usr/share/lintian/*",
    "usr/share/locale/*",
    "usr/share/man/*",
    "var/cache/*",
    "var/lib/apt/*",
    "var/lib/dpkg/*-old",
    "var/log/*",
    "tmp/*",
    "run/*",
)
"""Patterns of Debian files that no image needs."""


@dataclass(frozen=True, slots=True)
class Debian:
    """Packages of the suite with what they depend on; over a parent, only what that does not have yet."""

    packages: tuple[str, ...]
    unwanted: tuple[str, ...] = ()
    """Patterns of files to leave out, besides UNWANTED."""


@dataclass(frozen=True, slots=True)
class Wheels:
    """A dependency group of the lock, installed from wheels whose hashes the lock pins."""

    group: str
    target: str = SITE_PACKAGES
    from_source: tuple[str, ...] = ()
    """Packages in pure Python that are published without a wheel."""
    scripts: tuple[str, ...] = ()
    """Commands of the packages to keep, in the target's folder `bin`."""


@dataclass(frozen=True, slots=True)
class Code:
    """One Python package of this repository."""

    package: str
    target: str = CODE
    parts: tuple[str, ...] = ()
    """Files and folders of the package to take; all where empty."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program of the toolchain."""

    group: str
    tool: str
    target: str = "/usr/local/bin"


@dataclass(frozen=True, slots=True)
class CProgram:
    """A C file beside this one, linked statically."""

    path: str
    target: str


Content = Debian | Wheels | Code | Tool | CProgram


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a pod must know to run an image. The root file system is meant to be read-only."""

    summary: str
    uid: int
    command: tuple[str, ...]
    ports: tuple[int, ...] = ()
    writable: tuple[str, ...] = ()
    """Where a volume or emptyDir must be mounted."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    working_directory: str = "/"
    stop_signal: str = "SIGTERM"


@dataclass(frozen=True, slots=True)
class Layer:
    """One OCI layer over the parent's. Images share the layers that they have in common."""

    name: str
    parent: str | None
    content: Content
    compiled: tuple[str, ...] = ()
    """Folders whose Python files are compiled ahead: nothing can be written when the image runs."""
    facts: ImageFacts | None = None
    """Given for layers that end an image; the image has the layer's name."""


_PYTHON_ENVIRONMENT: Final = {
    "PATH": _PATH,
    "LANG": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}

LAYERS: Final[Mapping[str, Layer]] = {
    layer.name: layer
    for layer in (
        Layer(
            "pause",
            None,
            CProgram("pause/pause.c", "/pause"),
            facts=ImageFacts("holds a pod's namespaces and reaps its orphans", UID_PAUSE, ("/pause",)),
        ),
        Layer(
            "base",
            None,
            Debian(("ca-certificates", "python3", "tzdata")),
            compiled=(f"/usr/lib/python{PYTHON}",),
            facts=ImageFacts(
                "Debian with Python", UID_SERVICES, ("python3",), environment=_PYTHON_ENVIRONMENT
            ),
        ),
        Layer("services-packages", "base", Wheels("services"), compiled=(SITE_PACKAGES,)),
        Layer(
            "services",
            "services-packages",
            Code("services"),
            compiled=(CODE,),
            facts=ImageFacts(
                "the reference services; the service's name is the argument",
                UID_SERVICES,
                ("python3", "-m", "services.common.serve"),
                ports=(8080,),
                writable=("/tmp",),  # noqa: S108
                environment={**_PYTHON_ENVIRONMENT, "PYTHONPATH": f"{CODE}:{SITE_PACKAGES}"},
                working_directory=CODE,
            ),
        ),
        Layer(
            "database-debian",
            "base",
            Debian(
                ("pgbackrest", "postgresql-17"),
                unwanted=(
                    # LLVM is 170 MB for just-in-time compilation; PostgreSQL goes on without it.
                    "usr/lib/*/libLLVM*",
                    "usr/lib/*/libz3*",
                    "usr/lib/postgresql/*/lib/bitcode/*",
                    "usr/lib/postgresql/*/lib/llvmjit*",
                    "usr/lib/postgresql/*/lib/pgxs/*",
                    # Debian's cluster scripts are in Perl; Patroni takes their place.
                    "usr/lib/*/perl/*",
                    "usr/lib/*/libperl.so*",
                    "usr/share/perl/*",
                    "usr/share/perl5/*",
                    "etc/postgresql/*",
                    "var/lib/postgresql/*",
                ),
            ),
        ),
        Layer(
            "database-packages",
            "database-debian",
            Wheels("database", from_source=("ydiff",), scripts=("patronictl",)),
            compiled=(SITE_PACKAGES,),
        ),
        Layer(
            "database",
            "database-packages",
            # What runs beside PostgreSQL in its pod.
            Code(
                "vitalops", parts=("__init__.py", "backup", "conventions.py", "errors.py", "fencing", "guard")
            ),
            compiled=(CODE,),
            facts=ImageFacts(
                "PostgreSQL 17 under Patroni, with pgBackRest",
                UID_POSTGRES,
                ("python3", "-m", "patroni", "/etc/patroni/patroni.yaml"),
                ports=(POSTGRES_PORT, PATRONI_PORT),
                writable=("/var/lib/postgresql", "/run/postgresql", "/tmp"),  # noqa: S108
                environment={
                    **_PYTHON_ENVIRONMENT,
                    "PATH": f"{POSTGRES_BIN}:{SITE_PACKAGES}/bin:{_PATH}",
                    "PYTHONPATH": f"{CODE}:{SITE_PACKAGES}",
                },
                working_directory="/var/lib/postgresql",
            ),
        ),
        Layer(
            "gateway",
            "base",
            Debian(("haproxy",)),
            facts=ImageFacts(
                "HAProxy 3.0",
                UID_GATEWAY,
                ("haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"),
                ports=(GATEWAY_PORT, GATEWAY_METRICS_PORT),
                writable=("/tmp", "/run"),  # noqa: S108
                environment={"PATH": _PATH, "LANG": "C.UTF-8"},
                stop_signal="SIGUSR1",  # HAProxy's request to finish what is in flight
            ),
        ),
        Layer(
            "tracing",
            "base",
            Tool("jaeger", "jaeger"),
            facts=ImageFacts(
                "Jaeger, the store of traces",
                UID_TELEMETRY,
                ("jaeger",),
                ports=(TRACES_OTLP_PORT, TRACES_QUERY_PORT, TRACES_METRICS_PORT),
                writable=("/tmp",),  # noqa: S108
                environment={"PATH": _PATH, "LANG": "C.UTF-8"},
            ),
        ),
        Layer(
            "logs",
            "base",
            Tool("loki", "loki"),
            facts=ImageFacts(
                "Loki, the store of logs",
                UID_TELEMETRY,
                ("loki", "-config.file=/etc/loki/loki.yaml"),
                ports=(LOGS_PORT,),
                writable=("/loki", "/tmp"),  # noqa: S108
                environment={"PATH": _PATH, "LANG": "C.UTF-8"},
            ),
        ),
        Layer(
            "log-collector",
            "base",
            Tool("logcollector", "log-collector"),
            facts=ImageFacts(
                "an OpenTelemetry Collector that ships pods' logs",
                UID_TELEMETRY,
                ("log-collector", "--config=/etc/log-collector/log-collector.yaml"),
                ports=(COLLECTOR_METRICS_PORT,),
                writable=("/var/lib/log-collector", "/tmp"),  # noqa: S108
                environment={"PATH": _PATH, "LANG": "C.UTF-8"},
            ),
        ),
        Layer(
            "telemetry",
            "base",
            Debian(
                ("prometheus", "prometheus-alertmanager"),
                unwanted=(
                    # Its pages: what they would show is shown by `vitalops` and by Grafana.
                    "etc/default/prometheus*",
                    "etc/prometheus/*",
                    "usr/share/fonts*",
                    "usr/share/javascript*",
                    "usr/share/nodejs*",
                    "usr/share/perl5/*",
                    "usr/share/prometheus/web/*",
                    "usr/share/sass*",
                ),
            ),
            facts=ImageFacts(
                "Prometheus with promtool, Alertmanager with amtool",
                UID_TELEMETRY,
                ("prometheus", "--config.file=/etc/prometheus/prometheus.yml"),
                ports=(PROMETHEUS_PORT, ALERTMANAGER_PORT),
                writable=("/prometheus", "/alertmanager", "/tmp"),  # noqa: S108
                environment={"PATH": _PATH, "LANG": "C.UTF-8"},
            ),
        ),
        Layer(
            "media",
            "base",
            Tool("livekit", "livekit-server"),
            facts=ImageFacts(
                "the LiveKit media server",
                UID_MEDIA,
                ("livekit-server", "--config", "/etc/livekit/livekit.yaml"),
                ports=(LIVEKIT_PORT, LIVEKIT_METRICS_PORT),
                environment={"PATH": _PATH, "LANG": "C.UTF-8"},
            ),
        ),
        Layer(
            "objects",
            "base",
            Tool("versitygw", "versitygw"),
            facts=ImageFacts(
                "an S3 server on a folder, for the other region's backups",
                UID_OBJECTS,
                ("versitygw", "posix", "/data"),
                ports=(OBJECTS_PORT,),
                writable=("/data", "/tmp"),  # noqa: S108
                environment={"PATH": _PATH, "LANG": "C.UTF-8"},
            ),
        ),
        Layer("prober-packages", "base", Wheels("prober"), compiled=(SITE_PACKAGES,)),
        Layer(
            "prober",
            "prober-packages",
            # Only what it imports, so that a change elsewhere in the suite does not start it anew.
            Code("vitalops", parts=("__init__.py", "consultation", "conventions.py", "errors.py", "prober")),
            compiled=(CODE,),
            facts=ImageFacts(
                "walks synthetic consultations",
                UID_PROBER,
                ("python3", "-m", "vitalops.prober"),
                ports=(PROBER_METRICS_PORT,),
                writable=("/tmp",),  # noqa: S108
                environment={**_PYTHON_ENVIRONMENT, "PYTHONPATH": f"{CODE}:{SITE_PACKAGES}"},
                working_directory=CODE,
            ),
        ),
    )
}

IMAGES: Final[Mapping[str, ImageFacts]] = {
    name: layer.facts for name, layer in LAYERS.items() if layer.facts is not None
}


def tool_groups() -> tuple[str, ...]:
    """The groups of the toolchain that images take programs from, each once."""
    groups = (layer.content.group for layer in LAYERS.values() if isinstance(layer.content, Tool))
    return tuple(dict.fromkeys(groups))
