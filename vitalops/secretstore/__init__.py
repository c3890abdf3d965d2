"""Secrets that are made once and kept outside platform.yaml, the repository and every log."""

from vitalops.secretstore.files import FileSecretStore
from vitalops.secretstore.port import InMemorySecretStore, SecretStore

__all__ = ["FileSecretStore", "InMemorySecretStore", "SecretStore"]
