"""Options of the commands that walk a consultation: which pair, and how its edge is reached."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import complete

PairOption = Annotated[
    str | None,
    typer.Option(
        help="Failover pair; the one that starts by default where not given.",
        autocompletion=complete.pairs,
    ),
]
EdgeOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Where the pair's edge is reached, if not as platform.yaml says."),
]
AuthorityOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Certificate authority of the edge, if not the platform's own."),
]
