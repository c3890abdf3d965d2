"""What the failover tests share: a client that writes straight to a region's database, and cuts around a region."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import psycopg
from psycopg import sql

from infra.local.regions.faults import between, cut, to_machine
from infra.local.regions.layout import Layout, layout
from vitalops import conventions as c
from vitalops.model.addresses import LocalAddresses
from vitalops.model.platform import Platform
from vitalops.paths import Paths
from vitalops.ports.running import RunningPlatform

API_PORT = 6443
NOT_THE_DATABASE = (API_PORT, c.NODE_PORT_GATEWAY, c.NODE_PORT_GUARD)


def region_layout(platform: Platform, name: str) -> Layout:
    return layout(platform, name, Paths.from_environment())


@contextmanager
def partitioned(platform: Platform, region: str, other: str) -> Generator[None]:
    """`region` is cut off from the other region, and from operators and the edge; its own clients still reach its
    database, as the test's writer does."""
    one, two = region_layout(platform, region), region_layout(platform, other)
    with cut(between(one, two), to_machine(one, NOT_THE_DATABASE)):
        yield


@dataclass(frozen=True, slots=True)
class Databases:
    """The way to the pair's databases for a client of them."""

    platform: Platform
    pair: str
    password: str = field(repr=False)

    @staticmethod
    def of(running: RunningPlatform, pair: str) -> Databases:
        def missing() -> str:
            raise AssertionError("the platform was never set up")

        password = running.secrets.get_or_create(f"{pair}/database/superuser", missing)
        return Databases(running.platform, pair, password)

    def connect(self, region: str) -> psycopg.Connection:
        return psycopg.connect(
            host=LocalAddresses.of(self.platform, region).node,
            port=c.NODE_PORT_POSTGRES,
            user="postgres",
            password=self.password,
            dbname="postgres",
            connect_timeout=2,
            autocommit=True,
            sslmode="require",
            application_name="a test's writer",
        )

    def until_connected(self, region: str, seconds: float) -> psycopg.Connection:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.connect(region)
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


@dataclass(slots=True)
class Writer:
    """Writes numbers to the regions' databases, one after another, and keeps which were acknowledged, where and when.

    It stays with a region until that one refuses it; then it tries the next one. A number is never written twice: what
    was not acknowledged may be there or not.
    """

    databases: Databases
    table: str
    regions: tuple[str, ...]
    step: int = 1
    """Writers of one table take different remainders, by `first`."""
    first: int = 0
    acknowledged: list[tuple[int, float, str]] = field(default_factory=list[tuple[int, float, str]])
    _thread: threading.Thread | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Writer:
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(15)

    def _write(self) -> None:
        number, turn = self.first, 0
        while not self._ended.is_set():
            region = self.regions[turn % len(self.regions)]
            try:
                with self.databases.connect(region) as connection:
                    while not self._ended.is_set():
                        number += self.step
                        connection.execute(_statement("INSERT INTO {} VALUES ({})", self.table, number))
                        self.acknowledged.append((number, time.time(), region))
                        time.sleep(0.01)
            except psycopg.Error:
                turn += 1
                time.sleep(0.02)

    def until(self, count: int, seconds: float = 60.0, region: str = "") -> None:
        """Until `count` more writes are acknowledged, by `region` where one is given."""
        before = self._count(region)
        deadline = time.monotonic() + seconds
        while self._count(region) < before + count:
            assert time.monotonic() < deadline, (
                f"no {count} writes acknowledged by {region or 'anybody'} in {seconds} s"
            )
            time.sleep(0.02)

    def _count(self, region: str) -> int:
        return sum(1 for _, _, where in self.acknowledged if not region or where == region)

    @property
    def pause(self) -> float:
        """The longest time between two acknowledged writes, seconds."""
        times = [at for _, at, _ in self.acknowledged]
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    def last_by(self, region: str) -> float:
        """When `region` acknowledged last (seconds since the epoch); 0 where it never did."""
        return max((at for _, at, where in self.acknowledged if where == region), default=0.0)


@contextmanager
def table(databases: Databases, active: str, name: str) -> Generator[str]:
    """A table of numbers, removed again wherever the active region is by then."""
    with databases.until_connected(active, 10) as connection:
        connection.execute(_statement("DROP TABLE IF EXISTS {}", name))
        connection.execute(_statement("CREATE TABLE {} (number bigint PRIMARY KEY)", name))
    try:
        yield name
    finally:
        pair = databases.platform.pairs[databases.pair]
        for region in (pair.primary, pair.standby):
            try:
                with databases.connect(region) as connection:
                    connection.execute("SET lock_timeout = '5s'")
                    connection.execute(_statement("DROP TABLE IF EXISTS {}", name))
                break
            except psycopg.Error:
                continue


def found(databases: Databases, region: str, name: str) -> set[int]:
    with databases.until_connected(region, 20) as connection:
        rows = connection.execute(_statement("SELECT number FROM {}", name)).fetchall()
    return {int(row[0]) for row in rows}


def _statement(text: str, name: str, *values: int) -> sql.Composed:
    return sql.SQL(text).format(sql.Identifier(name), *(sql.Literal(value) for value in values))
