"""The global options, and how every command gets them, so that they may stand before or after its name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cli import context
from cli.examples import epilog, examples_of


def _take_platform(value: Path | None) -> Path | None:
    if value is not None:
        context.choose_platform(value)
    return value


def _take_output(value: context.OutputFormat | None) -> context.OutputFormat | None:
    if value is not None:
        context.choose_output(value)
    return value


def _take_yes(value: bool) -> bool:
    if value:
        context.choose_yes()
    return value


def _declaration(
    platform: Annotated[
        Path | None,
        typer.Option(
            "--platform",
            metavar="FILE",
            help="Platform file; else $VITALOPS_PLATFORM, ./platform.yaml, the bundled one.",
            callback=_take_platform,
            expose_value=False,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        context.OutputFormat | None,
        typer.Option(
            "--output",
            help="How results are printed; text where not given.",
            callback=_take_output,
            expose_value=False,
            show_default=False,
        ),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Do not ask before acting.", callback=_take_yes, expose_value=False),
    ] = False,
) -> None: ...


def _global_parameters() -> list[Any]:
    carrier = typer.Typer(add_completion=False)
    carrier.command()(_declaration)
    return list(typer.main.get_command(carrier).params)


def furnish(command: Any, name: str) -> TyperCommand | TyperGroup:
    """Give a command, and all commands below it, the global options, plain help and laid-out examples.

    A command that has an option of its own by the same name keeps its own.
    """
    _furnish(command, name, _global_parameters())
    return command


def _furnish(command: TyperCommand | TyperGroup, name: str, parameters: list[Any]) -> tuple[str, ...]:
    """Furnish `command` and return its examples; a group's are the first one of each of its commands."""
    command.name = name
    # Rich help costs 0.15 s at start-up; plain help also reads well in a pipe.
    command.rich_markup_mode = None
    taken = {flag for parameter in command.params for flag in parameter.opts}
    command.params.extend(p for p in parameters if not taken.intersection(p.opts))
    lines = examples_of(command.callback)
    if isinstance(command, TyperGroup):
        command.no_args_is_help = not command.invoke_without_command
        for below_name, below in command.commands.items():
            assert isinstance(below, TyperCommand | TyperGroup)
            below_lines = _furnish(below, below_name, parameters)
            lines = (*lines, *below_lines[:1])
    command.epilog = epilog(lines, command.epilog)
    return lines
