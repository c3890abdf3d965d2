"""Commands that are imported only when they are invoked."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from cli.options import furnish


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """Where a command lives: `attribute` of `module` is a Typer app (a group) or a function (a command)."""

    name: str
    module: str
    attribute: str
    summary: str


def load(entry: CommandEntry) -> TyperCommand | TyperGroup:
    """Import the command that `entry` names."""
    target = getattr(importlib.import_module(entry.module), entry.attribute)
    if isinstance(target, typer.Typer):
        if target.registered_callback is None and not target.registered_groups:
            # A callback makes a group even of an app with one command, so that its name is always typed.
            target.callback()(_nothing)
        app = target
    else:
        app = typer.Typer()
        app.command(name=entry.name)(target)
    app._add_completion = False  # pyright: ignore[reportPrivateUsage]  # only the root has the completion options
    return furnish(typer.main.get_command(app), entry.name)


def _nothing() -> None:
    return


class LazyCommand(TyperCommand):
    """Stands in for a command until it is called: shows a name and a summary without importing anything."""

    def __init__(self, entry: CommandEntry) -> None:
        super().__init__(name=entry.name, help=entry.summary, rich_markup_mode=None)
        self.entry = entry

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        # The context holds the real command from here on, for running it and for completing it.
        return load(self.entry).make_context(info_name, args, parent=parent, **extra)
