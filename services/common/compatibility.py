"""`python -m services.common.compatibility NAME [--known] [--without REVISION...]`: can older code live with a schema?

`--known` prints the revisions that this code knows, newest first. Without it, it prints as JSON which of this code's
migrations a release that knows only the REVISIONs lacks, and the statements in them that such a release may not
survive. Needs no database. Exit status 2: wrong call.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterable
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from services.common.definition import ServiceDefinition, load_definition
from services.common.schema import alembic_config

# What takes away, renames, or asks more of a row than older code gives. Additions are harmless: code names its columns.
_BREAKING = re.compile(
    r"\bDROP\s+(TABLE|COLUMN|SCHEMA|TYPE|VIEW|FUNCTION)\b|\bRENAME\b|\bSET\s+NOT\s+NULL\b|\bALTER\s+COLUMN\s+\S+\s+TYPE\b"
    r"|\bADD\s+(CONSTRAINT\b|CHECK\b|UNIQUE\b|FOREIGN\b)|\bDROP\s+DEFAULT\b|\bCREATE\s+UNIQUE\s+INDEX\b|\bREVOKE\b",
    re.IGNORECASE,
)
_ADDED_COLUMN = re.compile(r"\bADD\s+COLUMN\b", re.IGNORECASE)
_MADE_TABLE = re.compile(r"\bCREATE\s+TABLE\s+(\S+)", re.IGNORECASE)


def statements(definition: ServiceDefinition, revision: str) -> list[str]:
    """The SQL of one migration on PostgreSQL, as it would be run."""
    module = ScriptDirectory.from_config(alembic_config(definition)).get_revision(revision)
    assert module is not None, f"{definition.name} has no revision {revision}"
    written = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written}
    )
    with Operations.context(context):
        module.module.upgrade()
    return [" ".join(each.split()) for each in written.getvalue().split(";") if each.strip()]


def breaking(found: Iterable[str]) -> list[str]:
    """Those statements that code which does not know of them may not survive. Tables made by the same migration are
    new to everybody, so what is done to them is harmless."""
    made: set[str] = set()
    broken: list[str] = []
    for each in found:
        if table := _MADE_TABLE.search(each):
            made.add(table[1])
            continue
        if any(re.search(rf"\b(ON|TABLE)\s+{re.escape(name)}\b", each) for name in made):
            continue
        added = _ADDED_COLUMN.search(each) and re.search(r"\bNOT NULL\b", each, re.IGNORECASE)
        if _BREAKING.search(each) or (added and not re.search(r"\bDEFAULT\b", each, re.IGNORECASE)):
            broken.append(each)
    return broken


def known(definition: ServiceDefinition) -> list[str]:
    """Revisions of this code, newest first."""
    script = ScriptDirectory.from_config(alembic_config(definition))
    return [revision.revision for revision in script.walk_revisions()]


def lacking(definition: ServiceDefinition, others: frozenset[str]) -> dict[str, Any]:
    """Migrations that a release with the revisions `others` does not know, oldest first, and what may break it."""
    unknown = [revision for revision in reversed(known(definition)) if revision not in others]
    found = {revision: breaking(statements(definition, revision)) for revision in unknown}
    return {"lacks": unknown, "breaking": {revision: broken for revision, broken in found.items() if broken}}


def main(arguments: list[str]) -> int:
    """See the module's text."""
    match arguments:
        case [name, "--known"]:
            document: Any = known(load_definition(name))
        case [name, "--without", *revisions]:
            document = lacking(load_definition(name), frozenset(revisions))
        case _:
            print(
                "usage: python -m services.common.compatibility NAME --known | --without REVISION...",
                file=sys.stderr,
            )
            return 2
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
