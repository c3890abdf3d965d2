"""YAML text as plain data that remembers the line of everything in it.

Understands the JSON-like part of YAML: mappings with text keys, lists, text, numbers, true/false, null, comments,
anchors and aliases, merge keys. Dates stay text, and so do `no`, `on` and `12:30`, which YAML 1.1 would turn into
something else. No tags: nothing in a file can name a Python type. What a file can make us do is bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from vitalops.suggest import shown

MAXIMUM_BYTES = 1 << 20
MAXIMUM_VALUES = 50_000
"""After aliases are followed: bounds "billion laughs" files."""
MAXIMUM_DEPTH = 40

Pointer: TypeAlias = tuple[str | int, ...]

_STRING, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
_NULL, _BOOL = "tag:yaml.org,2002:null", "tag:yaml.org,2002:bool"
_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")

_INT_TEXT = re.compile(r"-?[0-9]{1,18}")
_FLOAT_TEXT = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18}([eE][-+]?[0-9]{1,3})?|[eE][-+]?[0-9]{1,3})")

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _CoreLoader(_Loader):
    """PyYAML's safe loader with the implicit types of JSON only."""

    yaml_implicit_resolvers: ClassVar[dict[str | None, list[tuple[str, re.Pattern[str]]]]] = {}


for _tag, _pattern, _first in (
    (_NULL, "~|null|", ["~", "n", ""]),
    (_BOOL, "true|false", ["t", "f"]),
    (_INT, _INT_TEXT.pattern, list("-0123456789")),
    (_FLOAT, _FLOAT_TEXT.pattern, list("-0123456789")),
    (_MERGE, "<<", ["<"]),
):
    _CoreLoader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), _first)


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong at a place of the document. `line` is 1-based, 0 where the pointer's own line is meant."""

    pointer: Pointer
    problem: str
    hint: str
    line: int = 0


@dataclass(slots=True)
class Document:
    """The data, the line of each of its parts, and what was wrong with the text."""

    data: Any = None
    flaws: list[Flaw] = field(default_factory=list[Flaw])
    lines: dict[Pointer, int] = field(default_factory=dict[Pointer, int])
    last_line: int = 1

    def line(self, pointer: Pointer) -> int:
        """The line of what `pointer` names, or of the nearest part around it that exists."""
        for length in range(len(pointer), -1, -1):
            if pointer[:length] in self.lines:
                return min(self.lines[pointer[:length]], self.last_line)
        return 1

    def line_of(self, flaw: Flaw) -> int:
        """The line to show for `flaw`. Never past the end, where YAML's parser sees what is missing there."""
        return min(flaw.line, self.last_line) if flaw.line else self.line(flaw.pointer)


def read_document(content: bytes) -> Document:
    """Parse `content`; never raises for what a file can hold."""
    document = _read(content)
    document.last_line = content.rstrip(b"\n").count(b"\n") + 1
    return document


def _read(content: bytes) -> Document:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Document(flaws=[Flaw((), "is not UTF-8 text", "save the file as UTF-8", line)])
    try:
        _check_depth(text)
        root = yaml.compose(text, Loader=_CoreLoader)
    except _TooDeep as error:
        hint = f"nest no deeper than {MAXIMUM_DEPTH} levels"
        return Document(flaws=[Flaw((), "is nested too deeply", hint, error.line)])
    except yaml.YAMLError as error:
        return Document(flaws=[_syntax_flaw(error, text)])
    document = Document()
    if root is None:
        document.flaws.append(Flaw((), "is empty", "start from the bundled platform.yaml", 1))
        return document
    builder = _Builder(document)
    try:
        document.data = builder.value(root, ())
    except _TooLarge:
        document.flaws.append(
            Flaw((), f"holds more than {MAXIMUM_VALUES} values", "use fewer aliases, or a smaller file", 1)
        )
    return document


class _TooLarge(Exception):
    """The document outgrows MAXIMUM_VALUES."""


class _TooDeep(Exception):
    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def _check_depth(text: str) -> None:
    # Before composing: the composer recurses once for each level.
    depth = 0
    for event in yaml.parse(text, Loader=_CoreLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAXIMUM_DEPTH:
                raise _TooDeep(_line(event))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _syntax_flaw(error: yaml.YAMLError, text: str) -> Flaw:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        problem = " ".join(filter(None, (error.context, error.problem)))
        line: int = error.problem_mark.line + 1
        if _indented_with_tab(text, line):
            return Flaw((), "a tab cannot be used here", "indent with spaces", line)
        if "expected a single document" in problem:
            return Flaw((), "holds a second document", "keep one document, without `---` in between", line)
        if "undefined alias" in problem:
            return Flaw((), problem, "set the anchor with & before it is used with *", line)
        return Flaw(
            (), f"is not YAML: {problem}", "look at the indentation, quotes and colons near this line", line
        )
    position = getattr(error, "position", None)
    line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
    return Flaw((), "holds a character that YAML does not allow", "remove control characters", line)


def _indented_with_tab(text: str, line: int) -> bool:
    lines = text.splitlines()
    return line <= len(lines) and bool(re.match(r" *\t", lines[line - 1]))


def _line(node: Any) -> int:
    return node.start_mark.line + 1


class _Builder:
    """Turns nodes into data, following aliases, and notes lines and flaws on the way."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._values = 0
        self._open: list[Node] = []

    def value(self, node: Node, pointer: Pointer) -> Any:
        self._values += 1
        if self._values > MAXIMUM_VALUES:
            raise _TooLarge
        self._document.lines.setdefault(pointer, _line(node))
        if node in self._open or len(self._open) > MAXIMUM_DEPTH:
            self._flaw(pointer, "an alias leads back into itself", "remove the alias", node)
            return None
        self._open.append(node)
        try:
            match node:
                case MappingNode():
                    self._check_tag(node, pointer)
                    return self._mapping(node, pointer)
                case SequenceNode():
                    self._check_tag(node, pointer)
                    items = cast(list[Node], node.value)
                    return [self.value(item, (*pointer, index)) for index, item in enumerate(items)]
                case _:
                    return self._scalar(cast(ScalarNode, node), pointer)
        finally:
            self._open.pop()

    def _mapping(self, node: MappingNode, pointer: Pointer) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        merged: list[Node] = []
        for key_node, value_node in cast(list[tuple[Node, Node]], node.value):
            if key_node.tag == _MERGE:
                merged.append(value_node)
                continue
            if not isinstance(key_node, ScalarNode):
                self._flaw(pointer, "a key is a list or a mapping", "use text as key", key_node)
                continue
            key = cast(str, key_node.value)
            if key in first_lines:
                problem = f"key {shown(key)} is given twice, first on line {first_lines[key]}"
                self._flaw((*pointer, key), problem, "keep one of them", key_node)
                continue
            first_lines[key] = _line(key_node)
            self._document.lines[(*pointer, key)] = _line(key_node)
            result[key] = self.value(value_node, (*pointer, key))
        for source in merged:
            self._merge(source, pointer, result)
        return result

    def _merge(self, source: Node, pointer: Pointer, result: dict[str, Any]) -> None:
        sources = cast(list[Node], source.value) if isinstance(source, SequenceNode) else [source]
        for each in sources:
            if not isinstance(each, MappingNode):
                self._flaw(pointer, "`<<` merges something that is not a mapping", "merge a mapping", each)
                continue
            nested = Document()
            inherited = _Builder(nested)
            inherited._values, inherited._open = self._values, self._open
            values = cast(dict[str, Any], inherited.value(each, ()) or {})
            self._values = inherited._values
            for flaw in nested.flaws:
                self._document.flaws.append(
                    Flaw((*pointer, *flaw.pointer), flaw.problem, flaw.hint, flaw.line)
                )
            fresh = {key for key in values if key not in result}
            result.update({key: values[key] for key in fresh})
            for place, line in nested.lines.items():
                if place and place[0] in fresh:
                    self._document.lines.setdefault((*pointer, *place), line)

    def _scalar(self, node: ScalarNode, pointer: Pointer) -> Any:
        text = cast(str, node.value)
        match node.tag:
            case "tag:yaml.org,2002:str":
                return text
            case "tag:yaml.org,2002:null":
                return None
            case "tag:yaml.org,2002:bool" if text in ("true", "false"):
                return text == "true"
            case "tag:yaml.org,2002:int" if _INT_TEXT.fullmatch(text):
                return int(text)
            case "tag:yaml.org,2002:float" if _FLOAT_TEXT.fullmatch(text):
                return float(text)
            case "tag:yaml.org,2002:merge":
                return text
            case _:
                self._flaw(pointer, f"carries the tag {node.tag}", "write the value without a tag", node)
                return None

    def _check_tag(self, node: Node, pointer: Pointer) -> None:
        if node.tag not in _COLLECTIONS:
            self._flaw(pointer, f"carries the tag {node.tag}", "write the value without a tag", node)

    def _flaw(self, pointer: Pointer, problem: str, hint: str, node: Node) -> None:
        self._document.flaws.append(Flaw(pointer, problem, hint, _line(node)))
