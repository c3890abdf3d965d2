"""TSIG keys: made here, kept in the secret store, and written once for the DNS server's own configuration."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Final

from infra.traffic.dns import secret_name
from vitalops.model.failover import DnsRecord
from vitalops.secretstore.port import SecretStore

_BYTES: Final = {"hmac-sha256": 32, "hmac-sha512": 64}
"""As long as the digest (RFC 8945, section 8)."""


def write_key(store: SecretStore, pair: str, record: DnsRecord, folder: Path) -> tuple[Path, Path]:
    """The key as BIND (`named.conf`) and Knot (`knot.conf`) include it, each readable by its owner alone.

    The secret is made the first time and stays the same after that. Returns the two files.
    """
    secret = store.get_or_create(
        secret_name(pair, record),
        lambda: base64.b64encode(secrets.token_bytes(_BYTES[record.algorithm])).decode(),
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    bind, knot = folder / f"{record.key}.bind.conf", folder / f"{record.key}.knot.conf"
    _write(bind, f'key "{record.key}" {{\n  algorithm {record.algorithm};\n  secret "{secret}";\n}};\n')
    _write(knot, f"key:\n  - id: {record.key}\n    algorithm: {record.algorithm}\n    secret: {secret}\n")
    return bind, knot


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_text(text)
    temporary.replace(path)
