"""`vitalops verify`: one consultation, end to end, through the edge."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli import context, output
from cli.examples import examples
from cli.way_in import AuthorityOption, EdgeOption, PairOption

if TYPE_CHECKING:
    from vitalops.consultation.report import StepReport, VerificationReport

NAME_WIDTH = 50


@examples(
    "vitalops verify",
    "vitalops verify --seconds 20",
    "vitalops verify --pair switzerland --output json",
    "vitalops verify --edge https://edge.example.org --ca ca.crt",
)
def verify(
    pair: PairOption = None,
    edge: EdgeOption = None,
    ca: AuthorityOption = None,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long the call is measured.")] = 5.0,
) -> None:
    """Walk one consultation end to end through the edge, and try what must be refused.

    A patient and a practitioner (synthetic, made for the occasion) sign in, book, consent, meet in a real WebRTC
    call and leave a note, a signed prescription and a payment behind. Exit status 1 names the step that failed.
    """
    from vitalops.consultation.access import access_to
    from vitalops.consultation.verification import verify as walk
    from vitalops.errors import GateFailed
    from vitalops.model.selection import resolve_pair
    from vitalops.paths import Paths

    called = context.current()
    platform = called.load_platform()
    access = access_to(
        platform, resolve_pair(platform, pair), Paths.from_environment(), edge=edge, ca_file=ca
    )
    watcher = _printer(live=called.output == "text")
    report = asyncio.run(walk(access, seconds, watcher))
    output.emit(report, _summary)
    if not report.verified:
        failed = report.steps[-1]
        raise GateFailed(
            f"verification failed at '{failed.name}': {failed.detail}", hint="vitalops status shows what runs"
        )


def _summary(report: VerificationReport) -> str:
    if not report.verified:
        return ""
    lines = [f"  {reception.summary}" for reception in report.call]
    verdict = output.paint("verified", "green")
    return "\n".join([f"{verdict}: {len(report.steps)} steps in {report.seconds:.1f} s", *lines])


def _line(step: StepReport) -> str:
    mark = output.paint("✓", "green") if step.outcome == "passed" else output.paint("✗", "red")
    detail = output.paint(step.detail, "dim" if step.outcome == "passed" else "red")
    return f"{mark} {step.name:<{NAME_WIDTH}} {step.seconds:6.2f} s  {detail}"


def _printer(*, live: bool):
    """Tells of each step on stdout as it ends; on a terminal also of the one that is going on."""
    from vitalops.consultation.report import StepReport
    from vitalops.consultation.walk import StepResult, Watcher

    class Printer(Watcher):
        def began(self, name: str) -> None:
            if sys.stdout.isatty():
                print(f"… {name}", end="", flush=True)

        def ended(self, result: StepResult) -> None:
            # Back to the start of the line and clear it: over the name of the step that was going on.
            clear = "\r\x1b[K" if sys.stdout.isatty() else ""
            print(clear + _line(StepReport.of(result)), flush=True)

    return Printer() if live else Watcher()
