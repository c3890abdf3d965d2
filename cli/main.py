"""The `vitalops` command: the table of commands, the global options and the one place where errors end up."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.core import TyperGroup

from cli import context, errors
from cli.lazy import CommandEntry, LazyCommand
from cli.options import furnish

PROGRAM = "vitalops"

_PLATFORM = "cli.commands.platform"
_SCHEMA = "cli.commands.schema"
COMMANDS: tuple[CommandEntry, ...] = (
    CommandEntry("up", _PLATFORM, "up", "Bring regions and edge to what platform.yaml says."),
    CommandEntry("preview", _PLATFORM, "preview", "Show what `up` would change."),
    CommandEntry("status", _PLATFORM, "status", "Show what runs in each region, and whether it is ready."),
    CommandEntry(
        "verify", "cli.commands.verify", "verify", "Walk one consultation end to end through the edge."
    ),
    CommandEntry("probe", "cli.commands.probe", "probe", "Walk synthetic consultations, one after another."),
    CommandEntry(
        "slo", "cli.commands.slo", "app", "Service level objectives, error budgets and alerting rules."
    ),
    CommandEntry(
        "logs", "cli.commands.logs", "logs", "Search the log lines of every region, or follow them."
    ),
    CommandEntry("traces", "cli.commands.traces", "traces", "List traces, or show one as a tree."),
    CommandEntry("alerts", "cli.commands.alerts", "alerts", "Show the alerts that fire in every region."),
    CommandEntry(
        "watch", "cli.commands.watch", "watch", "Watch regions, budgets, alerts and operations live."
    ),
    CommandEntry(
        "dashboards",
        "cli.commands.dashboards",
        "app",
        "Write, list and check the Grafana dashboards of the platform.",
    ),
    CommandEntry(
        "runbook",
        "cli.commands.runbook",
        "app",
        "Run, approve and resume runbooks; serve them to alerts.",
    ),
    CommandEntry(
        "halt",
        "cli.commands.halt",
        "halt",
        "Stop every operation: the one kill switch. Lifting it needs a reason.",
    ),
    CommandEntry(
        "evidence",
        "cli.commands.evidence",
        "app",
        "Show the journal of operations, and verify that it is whole.",
    ),
    CommandEntry(
        "witness", "cli.commands.witness", "app", "The third place of a pair, which notices a lost region."
    ),
    CommandEntry("failover", "cli.commands.failover", "app", "What failovers took and cost."),
    CommandEntry(
        "ledger", "cli.commands.ledger", "app", "Numbered writes, compared with what is found afterwards."
    ),
    CommandEntry("down", _PLATFORM, "down", "Remove the platform from its regions."),
    CommandEntry("render", _PLATFORM, "render", "Write the manifests of every region to a folder."),
    CommandEntry(
        "regions", "cli.commands.regions", "app", "Start, stop and look into regions on this machine."
    ),
    CommandEntry(
        "images", "cli.commands.images", "app", "Build container images and load them into regions."
    ),
    CommandEntry(
        "toolchain", "cli.commands.toolchain", "app", "Get the pinned tools that regions and images need."
    ),
    CommandEntry(
        "dns", "cli.commands.dns", "app", "The DNS names that lead to failover pairs, and their keys."
    ),
    CommandEntry("validate", _SCHEMA, "validate", "Check a platform file and report all of its faults."),
    CommandEntry("schema", _SCHEMA, "schema", "Print the JSON Schema of platform.yaml, for editors."),
)

app = typer.Typer(
    name=PROGRAM,
    help="Infrastructure as code and SRE operations for digital-health platforms.",
    epilog=(
        "Examples:\n"
        "  vitalops regions start                  two regions on this machine\n"
        "  vitalops up --yes                       the platform on them\n"
        "  vitalops verify --output json           a consultation through it\n"
        "  vitalops --platform mine.yaml validate  check a file of one's own"
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    no_args_is_help=True,
)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"{PROGRAM} {version(PROGRAM)}")
        raise typer.Exit


@app.callback()
def _root(  # pyright: ignore[reportUnusedFunction]  # registered by the decorator
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None: ...


def root_command() -> TyperGroup:
    """The whole command tree, none of it imported yet."""
    group = furnish(typer.main.get_command(app), PROGRAM)
    assert isinstance(group, TyperGroup)
    for entry in COMMANDS:
        group.add_command(LazyCommand(entry))
    return group


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit status and never raises for what a user can cause."""
    context.reset()
    return errors.guard(lambda: _invoke(list(arguments)), arguments)


def _invoke(arguments: list[str]) -> None:
    group = root_command()
    with group.make_context(PROGRAM, arguments) as invocation:
        group.invoke(invocation)
    sys.stdout.flush()


def main() -> None:
    """Entry point of the `vitalops` script."""
    if os.environ.get(f"_{PROGRAM.upper()}_COMPLETE"):
        root_command().main(prog_name=PROGRAM)
    sys.exit(run(sys.argv[1:]))
