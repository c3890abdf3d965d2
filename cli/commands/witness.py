"""`vitalops witness`: the third place of a pair, which notices that a region is lost."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cli import context
from cli.examples import examples
from cli.output import emit, table
from cli.way_in import PairOption
from vitalops.model.failover import FailoverMode

if TYPE_CHECKING:
    from runbooks.engine.engine import Engine
    from vitalops.model.platform import FailoverPair, Platform
    from vitalops.witness.automation import Automation
    from vitalops.witness.background import Background
    from vitalops.witness.status import WitnessStatus

app = typer.Typer(help="The witness of a pair: outside both regions, it notices the loss of one.")

ModeOption = Annotated[
    FailoverMode | None,
    typer.Option(help="Instead of the pair's failover.mode, for a trial."),
]


@dataclass(frozen=True, slots=True)
class _Done:
    """What `--output json` prints for start and stop."""

    pair: str
    action: str
    process: int | None
    log: str


@app.command()
@examples("vitalops witness run", "vitalops witness run --pair switzerland --mode approval")
def run(pair: PairOption = None, mode: ModeOption = None) -> None:
    """Be the witness, in the foreground, until interrupted.

    Looks at both regions twice a second. A region that neither it, nor the other region's guard, nor the edge has
    reached for failover.detection_seconds is lost: in mode automatic region-failover begins at once, in mode approval
    it waits for somebody to approve it. Whatever else is seen changes nothing.
    """
    import asyncio

    platform, chosen = _chosen(pair)
    asyncio.run(_be_witness(platform, chosen, mode or chosen.failover.mode))


@app.command()
@examples("vitalops witness start", "vitalops witness start --mode automatic")
def start(pair: PairOption = None, mode: ModeOption = None) -> None:
    """Start the witness in the background of this machine. Does nothing where it runs already."""
    platform, chosen = _chosen(pair)
    from infra.operations.witness import require_witness

    require_witness(platform, chosen)
    found = _background(chosen.name)
    before = found.pid()
    command = [sys.executable, "-m", "cli", "--platform", str(context.current().platform_path.resolve())]
    command += ["witness", "run", "--pair", chosen.name, *(["--mode", mode.value] if mode else [])]
    process = found.start(command, lambda: bool(_status(platform, chosen).answers))
    action = "runs already" if before is not None else "started"
    emit(_Done(chosen.name, action, process, str(found.log)), _told)


@app.command()
@examples("vitalops witness stop")
def stop(pair: PairOption = None) -> None:
    """Stop this machine's witness. Nothing is lost by it but the automation."""
    _, chosen = _chosen(pair)
    found = _background(chosen.name)
    action = "stopped" if found.stop() else "did not run"
    emit(_Done(chosen.name, action, None, str(found.log)), _told)


@app.command()
@examples("vitalops witness status", "vitalops witness status --output json | jq -r .state")
def status(pair: PairOption = None) -> None:
    """Show what the witness thinks and sees. Exits with 1 where it does not answer, or thinks all is not well."""
    platform, chosen = _chosen(pair)
    found = _status(platform, chosen)
    emit(found, _render)
    if not found.answers or found.state != "healthy":
        raise typer.Exit(1)


def _told(done: _Done) -> str:
    where = f" (process {done.process}, log {done.log})" if done.process else ""
    return f"witness {done.pair}: {done.action}{where}"


def _render(found: WitnessStatus) -> str:
    rows = [
        (word.vantage, "reached" if word.reached else "silent", _age(word.seconds)) for word in found.words
    ]
    lines = [found.summary]
    if found.problem:
        lines.append(f"  {found.problem}")
    if rows:
        lines.append(table(("line of sight", "state", "last answer"), rows))
    return "\n".join(lines)


def _age(seconds: float) -> str:
    return f"{seconds:.1f} s ago" if seconds else "-"


def _chosen(name: str | None) -> tuple[Platform, FailoverPair]:
    from vitalops.model.selection import resolve_pair

    platform = context.current().load_platform()
    return platform, resolve_pair(platform, name)


def _background(pair: str) -> Background:
    from vitalops.paths import Paths
    from vitalops.witness.background import Background

    return Background(pair, Paths.from_environment().run / "witness" / pair)


def _status(platform: Platform, pair: FailoverPair) -> WitnessStatus:
    from infra.operations.witness import trust_of
    from vitalops.model.addresses import witness_of
    from vitalops.paths import Paths
    from vitalops.secretstore import FileSecretStore
    from vitalops.witness.status import witness_status

    store = FileSecretStore(Paths.from_environment().secrets(platform.name))
    return witness_status(pair.name, witness_of(platform, pair), trust_of(store, platform))


class _Lines:
    """The log: one line each, with the time, on standard output."""

    def say(self, text: str) -> None:
        from datetime import UTC, datetime

        print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + f"Z {text}", flush=True)


def _make_ready(engine: Engine, automation: Automation) -> None:
    """What a failover needs is loaded before one is needed; an earlier witness's goes on."""
    from importlib import import_module

    for name in ("runbooks.region_failover", "vitalops.consultation.verification", "infra.operations.up"):
        import_module(name)
    engine.launch()
    automation.take_up()


async def _be_witness(platform: Platform, pair: FailoverPair, mode: FailoverMode) -> None:
    import asyncio
    import signal

    from cli.operations import journal
    from cli.setting import setting_of
    from infra.operations import witness as made_of
    from infra.operations.running import OperatedPlatform
    from runbooks.common.failovers import EngineFailovers
    from runbooks.engine.local import open_engine
    from vitalops.detection.machine import Limits
    from vitalops.paths import Paths
    from vitalops.ports.clock import SystemClock
    from vitalops.witness.automation import Automation
    from vitalops.witness.notes import Notes
    from vitalops.witness.service import Listening, Witness

    listens = made_of.require_witness(platform, pair)
    # A pair's mode is what its runbook goes by, too.
    acting = pair.model_copy(update={"failover": pair.failover.model_copy(update={"mode": mode})})
    platform = platform.model_copy(update={"pairs": {**platform.pairs, pair.name: acting}})
    paths, clock, log = Paths.from_environment(), SystemClock(), _Lines()
    running = OperatedPlatform(setting_of(platform, paths, (pair.primary, pair.standby)), clock)
    keys = made_of.witness_certificate(running.secrets, platform, acting)
    limits = Limits(pair.failover.detection_seconds)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with open_engine(running, paths) as engine:
        failovers = EngineFailovers(engine, acting)
        automation = Automation(pair.name, mode, failovers, journal(platform.name), clock, log)
        probes, judges = made_of.lines_of_sight(running, pair), made_of.judges_of(running, pair)
        active = running.active_region(pair)
        witness = Witness(
            Notes.begin(pair.name, (pair.primary, pair.standby), active, limits, clock),
            automation,
            probes,
            judges,
            Listening(listens.address, listens.port, made_of.server_context(keys)),
        )
        log.say(f"witness of {pair.name}: {mode.value}, {listens.address}:{listens.port}")
        await asyncio.to_thread(_make_ready, engine, automation)
        await witness.run(stop)
        log.say("stopped")
