"""Who calls, and where a platform's operations are kept on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitalops.evidence.files import FileJournal

ACTOR_VARIABLE = "VITALOPS_ACTOR"


def actor() -> str:
    """VITALOPS_ACTOR, else the name that this user logged in with."""
    named = os.environ.get(ACTOR_VARIABLE, "").strip()
    if named:
        return named
    import getpass

    try:
        # sudo says who it is, where root is nobody in particular.
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def journal(platform: str) -> FileJournal:
    """The journal of a platform's operations; records that hold a secret of its store are refused."""
    from vitalops.evidence.files import FileJournal
    from vitalops.paths import Paths
    from vitalops.secretstore import FileSecretStore

    paths = Paths.from_environment()
    return FileJournal(paths.journal(platform), secrets=FileSecretStore(paths.secrets(platform)))
