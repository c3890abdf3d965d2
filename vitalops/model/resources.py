"""What a workload asks of a node."""

from __future__ import annotations

from vitalops.model.base import CpuQuantity, Frozen, MemoryQuantity


class Resources(Frozen):
    cpu: CpuQuantity
    """CPU request; no limit is set, so that an idle machine's cores are used."""
    memory: MemoryQuantity
    """Memory request and limit."""
