"""What every part of the model is made from: the frozen base, names and quantities."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# A pattern's title says in words what may be written: the JSON Schema and the loader's messages show it.
DnsLabel = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$"),
    Field(title="at most 40 lower-case letters, digits and hyphens, a letter first"),
]
CpuQuantity = Annotated[
    str,
    StringConstraints(pattern=r"^([1-9][0-9]{0,5}m|[1-9][0-9]{0,2}(\.[0-9]{1,3})?|0\.[0-9]{0,2}[1-9])$"),
    Field(title="an amount of cores such as 250m or 1.5"),
]
MemoryQuantity = Annotated[
    str,
    StringConstraints(pattern=r"^[1-9][0-9]{0,8}(Ki|Mi|Gi|Ti)$"),
    Field(title="an amount of memory such as 512Mi or 2Gi"),
]
CountryCode = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{2}$"), Field(title="two capitals of ISO 3166-1 such as FR")
]
Port = Annotated[int, Field(ge=1, le=65535)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, use_attribute_docstrings=True
    )
