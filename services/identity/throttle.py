"""Slowing down whoever guesses: after a few failures an account is locked for a doubling time."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from services.identity.models import Throttle

FREE_FAILURES = 5
FIRST_LOCK = timedelta(seconds=30)
LONGEST_LOCK = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(hours=24)


def lock_after(failures: int) -> timedelta | None:
    """How long an account is locked after this many failures in a row; None: not at all."""
    if failures < FREE_FAILURES:
        return None
    return min(LONGEST_LOCK, FIRST_LOCK * 2 ** min(failures - FREE_FAILURES, 10))


def seconds_locked(session: Session, key: str, now: datetime) -> int:
    """Seconds until another attempt is allowed; 0: now. Holds the row, so that attempts count one by one."""
    row = session.get(Throttle, key, with_for_update=True)
    if row is None or row.locked_until is None or row.locked_until <= now:
        return 0
    return max(1, int((row.locked_until - now).total_seconds()))


def record_failure(session: Session, key: str, now: datetime) -> None:
    """Count a failed attempt."""
    row = session.get(Throttle, key)
    if row is None:
        row = Throttle(key=key, failures=0, locked_until=None, updated_at=now)
        session.add(row)
    elif now - row.updated_at > FORGOTTEN_AFTER:
        row.failures = 0
    row.failures += 1
    row.updated_at = now
    lock = lock_after(row.failures)
    row.locked_until = now + lock if lock else None
    session.flush()


def record_success(session: Session, key: str) -> None:
    """Forget the failures."""
    row = session.get(Throttle, key)
    if row is not None:
        session.delete(row)
        session.flush()
