"""`python -m services.common.queues NAME`: what waits in a service's queues, and sending again what was given up.

    NAME                                        depth of every queue, as JSON
    NAME --replay QUEUE --before T --limit N    send again what was given up until T (seconds since 1970)

Replaying keeps the order of creation, and gives each message one more chance: what is given up again is later than T.
Receivers know a message by its id, so none has its effect twice. Exit status 2: wrong call; 3: the database refused.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from sqlalchemy import Engine, create_engine, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.common.settings import SettingsError, load_settings
from services.common.tables import OUTBOX


@dataclass(frozen=True, slots=True)
class Depth:
    """`waiting` are due or have failed before; `oldest` is when the first of them was made, seconds since 1970."""

    queue: str
    waiting: int
    oldest: float
    given_up: int
    first_given_up: float
    last_given_up: float
    """When, seconds since 1970; 0 where nothing is."""


class Queue(Protocol):
    """Messages of one service. Every method runs in the caller's transaction."""

    @property
    def name(self) -> str: ...

    def depth(self, session: Session, now: datetime) -> Depth: ...

    def replay(self, session: Session, before: datetime, limit: int, now: datetime) -> int:
        """Make at most `limit` messages that were given up until `before` due again, oldest first; returns how many."""
        ...


class OutboxQueue:
    """Messages to other services (services/common/outbox.py)."""

    name = "outbox"

    def depth(self, session: Session, now: datetime) -> Depth:
        waiting, oldest = session.execute(
            select(func.count(), func.min(OUTBOX.c.created_at)).where(OUTBOX.c.dead.is_(False))
        ).one()
        # A dead row is never due: the time of its next attempt is when it was given up.
        dead, first, last = session.execute(
            select(
                func.count(), func.min(OUTBOX.c.next_attempt_at), func.max(OUTBOX.c.next_attempt_at)
            ).where(OUTBOX.c.dead.is_(True))
        ).one()
        return Depth(self.name, waiting, seconds(oldest), dead, seconds(first), seconds(last))

    def replay(self, session: Session, before: datetime, limit: int, now: datetime) -> int:
        chosen = (
            select(OUTBOX.c.id)
            .where(OUTBOX.c.dead.is_(True), OUTBOX.c.next_attempt_at <= before)
            .order_by(OUTBOX.c.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        found = list(session.scalars(chosen))
        if found:
            session.execute(
                update(OUTBOX)
                .where(OUTBOX.c.id.in_(found))
                .values(dead=False, next_attempt_at=now, last_error="")
            )
        return len(found)


def queues(name: str) -> tuple[Queue, ...]:
    """Every queue of a service: its outbox, and those of its module `queue` where it has one (`QUEUES`).

    The service itself is not imported: what is asked often must start fast. Raises LookupError for a name that is none.
    """
    if not name.isidentifier() or name == "common" or find_spec(f"services.{name}") is None:
        raise LookupError(f"there is no service {name!r}")
    if find_spec(f"services.{name}.queue") is None:
        return (OutboxQueue(),)
    return (OutboxQueue(), *import_module(f"services.{name}.queue").QUEUES)


def seconds(moment: datetime | None) -> float:
    """Seconds since 1970; 0 for nothing."""
    return moment.timestamp() if moment else 0.0


def run(name: str, engine: Engine, arguments: Sequence[str], now: datetime) -> object:
    """What `main` prints. Raises LookupError for an unknown queue, ValueError for a wrong call."""
    known = {queue.name: queue for queue in queues(name)}
    with Session(engine) as session, session.begin():
        match arguments:
            case []:
                return [asdict(queue.depth(session, now)) for queue in known.values()]
            case ["--replay", queue, "--before", before, "--limit", limit]:
                if queue not in known:
                    raise LookupError(f"{name} has no queue {queue!r}")
                until = datetime.fromtimestamp(float(before), UTC)
                return {"replayed": known[queue].replay(session, until, int(limit), now)}
            case _:
                raise ValueError("usage: NAME [--replay QUEUE --before T --limit N]")


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """See the module's text."""
    try:
        if not arguments:
            raise ValueError(
                "usage: python -m services.common.queues NAME [--replay QUEUE --before T --limit N]"
            )
        queues(arguments[0])
        url = load_settings(environ, service=arguments[0]).database_url
        limits = {"connect_timeout": 3, "options": "-c statement_timeout=10000 -c timezone=UTC"}
        postgresql = url.get_backend_name() == "postgresql"
        engine = create_engine(url, hide_parameters=True, connect_args=limits if postgresql else {})
        try:
            document = run(arguments[0], engine, arguments[1:], datetime.now(UTC))
        finally:
            engine.dispose()
    except (LookupError, SettingsError, ValueError) as error:
        print(f"queues: {error}", file=sys.stderr)
        return 2
    except SQLAlchemyError as error:
        print(f"queues: the database of {arguments[0]} refused: {type(error).__name__}", file=sys.stderr)
        return 3
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
