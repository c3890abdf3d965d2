"""A runbook's parameters as people write them: names, help, defaults, and one line about what is wrong."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from runbooks.engine.model import Parameters, Runbook
from vitalops.errors import UsageError

_KINDS: Final[Mapping[Any, str]] = {bool: "yes or no", int: "whole number", float: "number"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `option` is how the command line names it."""

    name: str
    option: str
    help: str
    required: bool
    default: Any
    many: bool
    flag: bool
    choices: tuple[str, ...]
    kind: str
    """`text`, `whole number`, `number`, `yes or no`, `choice`."""

    @property
    def shown_default(self) -> str:
        if self.required or self.default in (None, "", ()):
            return ""
        if self.many:
            return " ".join(str(_value(each)) for each in self.default)
        return str(_value(self.default))


def parameters_of(model: type[Parameters]) -> tuple[Parameter, ...]:
    return tuple(_parameter(name, field) for name, field in model.model_fields.items())


def _parameter(name: str, field: FieldInfo) -> Parameter:
    inner, many = _inner(field.annotation)
    choices: tuple[str, ...] = ()
    if get_origin(inner) is Literal:
        choices = tuple(str(each) for each in get_args(inner))
    elif isinstance(inner, type) and issubclass(inner, Enum):
        choices = tuple(str(each.value) for each in inner)
    kind = "choice" if choices else _KINDS.get(inner, "text")
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    return Parameter(
        name=name,
        option=f"--{name.replace('_', '-')}",
        help=" ".join((field.description or "").split()),
        required=field.is_required(),
        default=default,
        many=many,
        flag=inner is bool,
        choices=choices,
        kind=kind,
    )


def _inner(annotation: Any) -> tuple[Any, bool]:
    """What one value is, without `Annotated`, `None` and the sequence around it; and whether there may be several."""
    if hasattr(annotation, "__metadata__"):
        return _inner(annotation.__origin__)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _inner(next(each for each in arguments if each is not type(None)))
    if origin in (tuple, list, frozenset, set):
        return _inner(arguments[0])[0], True
    return annotation, False


def parse(runbook: Runbook[Any], values: Mapping[str, Any]) -> Parameters:
    """Parameters from text, by field name; what is None or an empty list counts as not given.

    Raises UsageError, in one line, for the first that is unknown, missing or not what it must be.
    """
    given = {name: value for name, value in values.items() if value is not None and value != []}
    known = {each.name: each for each in parameters_of(runbook.parameters)}
    for name in given:
        if name not in known:
            names = ", ".join(each.option for each in known.values()) or "none"
            raise UsageError(f"{runbook.name} has no parameter {name}", hint=f"it has: {names}")
    try:
        return runbook.parameters.model_validate(given)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = fault["loc"][0] if fault["loc"] else ""
        option = known[str(place)].option if str(place) in known else ""
        said = " ".join(fault["msg"].split())
        if fault["type"] == "missing":
            raise UsageError(f"{runbook.name} needs {option}", hint=f"such as: {runbook.example}") from None
        raise UsageError(
            f"{option or runbook.name}: {said[:1].lower()}{said[1:]}", hint=f"such as: {runbook.example}"
        ) from None


def _value(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
