"""`vitalops probe`: synthetic consultations at a steady beat, as the regions' own probers walk them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from cli import context, output
from cli.examples import examples
from cli.way_in import AuthorityOption, EdgeOption, PairOption

if TYPE_CHECKING:
    from vitalops.prober.probe import ProbeResult


@examples(
    "vitalops probe",
    "vitalops probe --count 1",
    "vitalops probe --interval 30 --metrics-port 9188",
    "vitalops probe --edge https://edge.example.org --ca ca.crt --output json",
)
def probe(
    pair: PairOption = None,
    edge: EdgeOption = None,
    ca: AuthorityOption = None,
    interval: Annotated[
        float, typer.Option(min=5, max=3600, help="Seconds from the start of a walk to that of the next.")
    ] = 60.0,
    count: Annotated[
        int | None, typer.Option(min=1, help="How many walks; without end where not given.")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Serve Prometheus metrics at this port of the loopback address."),
    ] = None,
) -> None:
    """Walk synthetic consultations through the edge, one after another, and print each as a line.

    They are shorter than those of `vitalops verify`, keep their two accounts from walk to walk, and say in every
    request that they are synthetic. Run it on a machine outside the regions for a witness that no region's own
    troubles can silence. With --count, exit status 1 where a walk failed. With --output json, one document a line.
    """
    from vitalops.consultation.access import access_to
    from vitalops.consultation.http import check_https, trust
    from vitalops.conventions import OPERATOR_CLIENT
    from vitalops.errors import GateFailed
    from vitalops.model.selection import resolve_pair
    from vitalops.paths import Paths
    from vitalops.prober.loop import Beat, until_told, walk_on
    from vitalops.prober.metrics import ProberMetrics
    from vitalops.prober.probe import Probe, Target

    called = context.current()
    platform = called.load_platform()
    access = access_to(
        platform, resolve_pair(platform, pair), Paths.from_environment(), edge=edge, ca_file=ca
    )
    failed: list[ProbeResult] = []
    with access.authority_file() as ca_file:
        # What would fail every walk is told at once.
        trust(ca_file)
        check_https(access.edge_url)
        prober = Probe(Target(access.edge_url, ca_file, access.operator_secret(), OPERATOR_CLIENT))
        metrics = ProberMetrics(prober.step_names) if metrics_port is not None else None
        if metrics is not None and metrics_port is not None:
            metrics.serve(metrics_port, "127.0.0.1")

        def report(result: ProbeResult) -> None:
            if count is not None and not result.passed:
                failed.append(result)
            if metrics is not None:
                metrics.record(result)
            text = json.dumps(output.jsonable(result)) if called.output == "json" else line_of(result)
            print(text, flush=True)

        asyncio.run(until_told(walk_on(prober.once, report, Beat(interval, count=count))))
    if failed:
        last = failed[-1]
        raise GateFailed(
            f"{len(failed)} of {count} synthetic consultations failed, the last at "
            f"'{last.failed_step}': {last.problem}",
            hint="vitalops verify tells more; vitalops status shows what runs",
        )


def line_of(result: ProbeResult) -> str:
    """One walk in a line: local time, outcome, seconds, what failed, trace."""
    at = result.started.astimezone().strftime("%H:%M:%S")
    mark = output.paint("✓", "green") if result.passed else output.paint("✗", "red")
    said = "" if result.passed else output.paint(f"  {result.failed_step}: {result.problem}", "red")
    return f"{at} {mark} {result.outcome.value} {result.seconds:6.2f} s  trace {result.trace_id}{said}"
