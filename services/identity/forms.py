"""Reading urlencoded bodies."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from services.common.problems import ProblemError

_MOST_FIELDS = 40
Pairs = list[tuple[str, str]]


async def read_form(request: Request) -> Pairs:
    """The fields of an urlencoded body, repeated ones included; 415 for another type, 400 for nonsense."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise ProblemError(
            415, "unsupported-media-type", "Unsupported media type", "Send an urlencoded form."
        )
    body = await request.body()
    try:
        return parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise ProblemError(400, "malformed", "Malformed request", "The form cannot be read.") from None


FormDep = Annotated[Pairs, Depends(read_form)]


def field_of(pairs: Pairs, name: str) -> str:
    """The one value of a field; empty when it is missing or given twice."""
    values = [value for key, value in pairs if key == name]
    return values[0] if len(values) == 1 else ""
