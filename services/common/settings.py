"""Everything a service reads from its surroundings, read once at the edge and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from sqlalchemy.engine import URL, make_url

DEFAULT_SECRETS_DIR = "/etc/vitalops/secrets"
DEFAULT_JWKS_FILE = "/etc/vitalops/jwks/jwks.json"
OTHER_PASSWORD = "database-password-next"
_URL_PREFIX = "VITALOPS_URL_"


class SettingsError(Exception):
    """The environment lacks something; the message names the variable or file."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one service process."""

    service: str
    """Name of the service: its database, its role, its prefix at the gateway, its client id at identity."""
    region: str
    """Region this process runs in, or `local`."""
    database_url: URL = field(repr=False)
    """SQLAlchemy URL, password included."""
    issuer: str
    """Issuer of access tokens: the public URL of identity."""
    audience: str = "vitalops"
    """Audience that access tokens must carry."""
    port: int = 8080
    """Port to listen on."""
    host: str = "0.0.0.0"  # noqa: S104 - a pod listens on its own address, which it does not know beforehand
    """Address to listen on."""
    secrets_dir: Path = Path(DEFAULT_SECRETS_DIR)
    """Folder of secret files."""
    jwks_file: Path = Path(DEFAULT_JWKS_FILE)
    """Public keys of identity, reloaded when the file changes."""
    other_database_password: str = field(default="", repr=False)
    """Tried when the database refuses the one in `database_url`: while passwords are replaced, either may be valid."""
    client_secret: str = field(default="", repr=False)
    """This service's client secret at identity; empty where it calls nobody."""
    service_urls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Base URL of each other service, by its name in lower case."""
    otlp_endpoint: str = ""
    """Where traces go; empty: they are made (their ids are in the logs) but not exported."""
    trace_ratio: float = 1.0
    """Share of the traces recorded that begin in this process; others follow where they began."""
    telemetry_enabled: bool = True
    """False: requests are neither traced nor measured."""
    pool_size: int = 5
    """Database connections for requests."""
    drain_seconds: float = 3.0
    """Time between the first SIGTERM (readiness turns 503) and the end of accepting connections."""
    grace_seconds: int = 20
    """Time that requests in flight get to finish after that."""
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """The VITALOPS_* variables as read, for the few settings that only one service has."""

    def secret(self, name: str) -> str:
        """The text of one secret file, stripped.

        Raises SettingsError when it is missing or empty.
        """
        return read_secret(self.secrets_dir, name)

    def url_of(self, service: str) -> str:
        """Base URL of another service.

        Raises SettingsError when its variable is not set.
        """
        try:
            return self.service_urls[service]
        except KeyError:
            raise SettingsError(f"{_URL_PREFIX}{service.upper()} is not set") from None


def read_secret(folder: Path, name: str) -> str:
    """Read one secret file; raises SettingsError when it is missing or empty."""
    try:
        text = (folder / name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"secret {folder / name} cannot be read: {error.strerror}") from error
    if not text:
        raise SettingsError(f"secret {folder / name} is empty")
    return text


def database_url(template: str, service: str, secrets_dir: Path) -> URL:
    """The URL of a service's database with its password.

    On PostgreSQL the user and the database are always the service's name, and the password comes from
    `<secrets_dir>/<service>/database-password` or else `<secrets_dir>/database-password` when the URL has
    none.
    """
    url = make_url(template.replace("<service>", service).replace("{service}", service))
    if url.get_backend_name() != "postgresql":
        return url
    url = url.set(drivername="postgresql+psycopg", username=service, database=service)
    if url.password is not None:
        return url
    own = secrets_dir / service / "database-password"
    folder = own.parent if own.exists() else secrets_dir
    return url.set(password=read_secret(folder, "database-password"))


def load_settings(environ: Mapping[str, str], *, service: str = "") -> Settings:
    """Build the settings from environment variables and secret files.

    Raises SettingsError naming the first variable or file that is missing or wrong.
    """
    name = service or environ.get("VITALOPS_SERVICE", "")
    if not name:
        raise SettingsError("VITALOPS_SERVICE is not set")
    secrets_dir = Path(environ.get("VITALOPS_SECRETS_DIR", DEFAULT_SECRETS_DIR))
    template = environ.get("VITALOPS_DATABASE_URL", "")
    if not template:
        raise SettingsError("VITALOPS_DATABASE_URL is not set")
    issuer = environ.get("VITALOPS_ISSUER", "")
    if not issuer:
        raise SettingsError("VITALOPS_ISSUER is not set")
    try:
        port = int(environ.get("VITALOPS_PORT", "8080"))
        drain = float(environ.get("VITALOPS_DRAIN_SECONDS", "3"))
        grace = int(environ.get("VITALOPS_GRACE_SECONDS", "20"))
        ratio = float(environ.get("OTEL_TRACES_SAMPLER_ARG", "1"))
    except ValueError as error:
        raise SettingsError(
            "VITALOPS_PORT, _DRAIN_SECONDS and _GRACE_SECONDS and OTEL_TRACES_SAMPLER_ARG"
            f" must be numbers: {error}"
        ) from None
    if not 0 <= ratio <= 1:
        raise SettingsError(f"OTEL_TRACES_SAMPLER_ARG is a share from 0 to 1, not {ratio}")
    other = secrets_dir / OTHER_PASSWORD
    has_client_secret = (secrets_dir / "client-secret").exists()
    urls = {
        key.removeprefix(_URL_PREFIX).lower(): value.rstrip("/")
        for key, value in environ.items()
        if key.startswith(_URL_PREFIX)
    }
    own = {key: value for key, value in environ.items() if key.startswith("VITALOPS_")}
    return Settings(
        service=name,
        region=environ.get("VITALOPS_REGION", "local"),
        database_url=database_url(template, name, secrets_dir),
        issuer=issuer.rstrip("/"),
        port=port,
        host=environ.get("VITALOPS_HOST", "0.0.0.0"),  # noqa: S104
        secrets_dir=secrets_dir,
        jwks_file=Path(environ.get("VITALOPS_JWKS_FILE", DEFAULT_JWKS_FILE)),
        other_database_password=read_secret(secrets_dir, OTHER_PASSWORD) if other.exists() else "",
        client_secret=read_secret(secrets_dir, "client-secret") if has_client_secret else "",
        service_urls=MappingProxyType(urls),
        otlp_endpoint=environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        trace_ratio=ratio,
        telemetry_enabled=environ.get("OTEL_SDK_DISABLED", "").lower() != "true",
        drain_seconds=drain,
        grace_seconds=grace,
        environment=MappingProxyType(own),
    )
