"""The purposes that can be consented to, and the exact words of each version."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose; a changed text is a new version, and old grants keep naming theirs."""

    name: str
    version: int
    text: str

    @property
    def sha256(self) -> str:
        """Digest of the words that were shown."""
        return hashlib.sha256(self.text.encode()).hexdigest()


_CURRENT = (
    Purpose(
        "care",
        1,
        "I allow this practitioner to read and add to my health record in order to care for me. "
        "I can withdraw this at any time; what was done before stays lawful.",
    ),
    Purpose(
        "teleconsultation",
        1,
        "I agree to be examined by this practitioner by video. Image and sound are encrypted on their way and "
        "are not recorded. I can withdraw this at any time.",
    ),
    Purpose(
        "recording",
        1,
        "I agree that this practitioner records the sound and image of our consultations into my health "
        "record. I can withdraw this at any time.",
    ),
)
PURPOSES = {purpose.name: purpose for purpose in _CURRENT}
