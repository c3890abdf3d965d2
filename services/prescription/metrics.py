"""Whether prescriptions are signed when their practitioner asks."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import product
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.common import metric_names as names
from services.common.db import finally_do, when_committed
from services.common.problems import ProblemError, database_problem
from services.common.telemetry import Telemetry
from services.common.traffic import TRAFFIC, is_synthetic, label

SIGNED: Final = "signed"
FAILED: Final = "failed"


class SignatureMetrics:
    """Counts attempts that ended in a stored, signed prescription, and those that something here prevented.

    What the practitioner asked for and may not have (somebody else's consultation, one that did not take place) is
    neither.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._signatures = telemetry.counter(
            names.PRESCRIPTION_SIGNATURES,
            "Prescriptions that were to be signed, by outcome",
            (names.LABEL_OUTCOME, names.LABEL_TRAFFIC),
            product((SIGNED, FAILED), TRAFFIC),
        )

    @contextmanager
    def attempt(self, session: Session) -> Generator[None]:
        """One attempt; it succeeds when the transaction of `session` has been committed."""
        traffic = label(is_synthetic())
        outcome = FAILED

        def signed() -> None:
            nonlocal outcome
            outcome = SIGNED

        def count() -> None:
            if outcome:
                self._signatures.labels(outcome, traffic).inc()

        when_committed(session, signed)
        finally_do(session, count)
        try:
            yield
        except (ProblemError, SQLAlchemyError) as error:
            problem = error if isinstance(error, ProblemError) else database_problem(error)
            if problem.status_code < 500:
                outcome = ""
            raise
