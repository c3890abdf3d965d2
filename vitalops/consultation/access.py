"""What a verification needs to reach a platform: the edge's address, whom to trust, and the operator's secrets."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from vitalops.conventions import OPERATOR_CLIENT
from vitalops.errors import UsageError
from vitalops.model.platform import FailoverPair, Platform
from vitalops.paths import Paths
from vitalops.secretstore import FileSecretStore, SecretStore

AUTHORITY_SECRET = "authority"
"""Secret that holds the platform's certificate authority, as JSON with `certificate` and `key`."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of the platform's identity provider. Its private half never leaves this process."""

    kid: str
    private_pem: str

    def __repr__(self) -> str:
        return f"SigningKey({self.kid!r})"


@dataclass(frozen=True, slots=True)
class Access:
    """One pair of a platform, as its operator reaches it. `named_authority` is a file that the user named."""

    pair: str
    edge_url: str
    secrets: SecretStore
    named_authority: Path | None = None

    def operator_secret(self) -> str:
        """Client secret of the operator at identity. Raises UsageError where the platform was never set up."""
        return self._secret(f"{self.pair}/clients/{OPERATOR_CLIENT}")

    def signing_key(self) -> SigningKey:
        """The oldest key of the identity provider: one that every verifier knows.

        Raises UsageError where the platform was never set up.
        """
        oldest = min(json.loads(self._secret(f"{self.pair}/token-keys")), key=lambda key: key["not_before"])
        return SigningKey(oldest["kid"], oldest["private_pem"])

    @contextmanager
    def authority_file(self) -> Generator[Path]:
        """The certificate authority as a file, for as long as it is needed.

        Raises UsageError where none was named and the platform was never set up.
        """
        if self.named_authority is not None:
            yield self.named_authority
            return
        certificate = json.loads(self._secret(AUTHORITY_SECRET))["certificate"]
        with TemporaryDirectory(prefix="vitalops-ca-") as folder:
            path = Path(folder) / "ca.crt"
            path.write_text(certificate)
            yield path

    def _secret(self, name: str) -> str:
        value = self.secrets.get(name)
        if value is None:
            raise UsageError(
                f"there is no secret {name}: this platform was not set up from here",
                hint="run vitalops up first",
            )
        return value


def access_to(
    platform: Platform,
    pair: FailoverPair,
    paths: Paths,
    *,
    edge: str | None = None,
    ca_file: Path | None = None,
) -> Access:
    """Access to `pair` as platform.yaml and this machine's state say, unless named otherwise."""
    return Access(
        pair=pair.name,
        edge_url=(edge or pair.edge.public_url).rstrip("/"),
        secrets=FileSecretStore(paths.secrets(platform.name)),
        named_authority=ca_file,
    )
