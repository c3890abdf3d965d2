"""Whose traffic this is: patients' and practitioners' (`real`), or the prober's made-up consultations (`synthetic`).

A header marks a request as synthetic; it goes along with everything the request causes: calls to other services,
messages in the outbox, the consultation it opens. Anybody may set it: it changes in which column a request is counted,
and nothing else. Who may do what, and how often, is the same for both.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

HEADER_SYNTHETIC: Final = "x-vitalops-synthetic"
MARK: Final = "1"
"""The header's one value that counts."""
REAL: Final = "real"
SYNTHETIC: Final = "synthetic"
TRAFFIC: Final = (REAL, SYNTHETIC)

_synthetic: ContextVar[bool] = ContextVar("vitalops_synthetic", default=False)


def label(synthetic: bool) -> str:
    """The value of the metrics' label `traffic`."""
    return SYNTHETIC if synthetic else REAL


def is_synthetic() -> bool:
    """Whether what is being done now was caused by synthetic traffic."""
    return _synthetic.get()


@contextmanager
def traffic(synthetic: bool) -> Generator[None]:
    """Within the block, everything done is caused by this traffic."""
    token = _synthetic.set(synthetic)
    try:
        yield
    finally:
        _synthetic.reset(token)
