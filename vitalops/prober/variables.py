"""Environment variables of a prober in a pod: what its Deployment sets and its settings read."""

from __future__ import annotations

from typing import Final

URL: Final = "VITALOPS_PROBER_URL"
"""The pair's public address."""
VIA: Final = "VITALOPS_PROBER_VIA"
"""Where that is reached from the pod: the region's own gateway."""
CA_FILE: Final = "VITALOPS_PROBER_CA_FILE"
SECRET_FILE: Final = "VITALOPS_PROBER_SECRET_FILE"
"""File with the client's secret at identity."""
INTERVAL: Final = "VITALOPS_PROBER_INTERVAL_SECONDS"
REGION: Final = "VITALOPS_REGION"
