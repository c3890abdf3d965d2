"""From which figures on a call is not good any more: what dashboards draw and gates go by.

Seconds, and shares from 0 to 1. What a verification already insists on is taken from its gate.
"""

from __future__ import annotations

from typing import Final

from vitalops.consultation.quality import QualityGate

_GATE: Final = QualityGate()

# A sound call, at the 95th percentile (MOS at the 5th).
GOOD_RTT_SECONDS: Final = _GATE.maximum_rtt_ms / 1000
GOOD_JITTER_SECONDS: Final = 0.03
GOOD_LOSS_RATIO: Final = 0.01
"""On a clean network."""
IMPAIRED_LOSS_RATIO: Final = _GATE.maximum_loss_percent / 100
"""On a bad one; Twilio's network quality warnings begin here too."""
GOOD_MOS: Final = _GATE.minimum_mos
GOOD_FREEZE_RATIO: Final = 0.02

# Microsoft Teams' "poor audio stream" (Call Quality Dashboard, stream classification). Its jitter is the limit above.
POOR_RTT_SECONDS: Final = 0.5
POOR_LOSS_RATIO: Final = 0.1
