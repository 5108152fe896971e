"""XML as plain elements with line numbers.

A document that declares a type is refused: such a declaration can define entities that expand to
gigabytes or name other files, and annotations need none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from gelan.errors import ConfigError


@dataclass(slots=True)
class Element:
    """A tag, the line where it begins, the text directly in it, and the elements in it."""

    tag: str
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def find(self, tag: str) -> Element | None:
        """The first element directly in this one that has a tag."""
        return next((child for child in self.children if child.tag == tag), None)

    def text_of(self, tag: str) -> str:
        """The text of that element without spaces around; empty where there is none."""
        child = self.find(tag)
        return "" if child is None else child.text.strip()


def read_xml(path: Path) -> Element:
    """The outermost element of a file.

    Raises:
        ConfigError: it cannot be opened, is no complete XML, or declares a document type.
    """
    try:
        return parse_xml(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot be opened: {error.strerror or error}") from error


def parse_xml(data: bytes) -> Element:
    """The outermost element; messages of errors do not name a file.

    >>> parse_xml(b"<a><b> 3 </b></a>").text_of("b")
    '3'

    Raises:
        ConfigError: as `read_xml`.
    """
    builder = _Builder()
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        cause = expat.ErrorString(error.code)
        raise ConfigError(f"is no complete XML: {cause} in line {error.lineno}") from error
    return builder.root.children[0]


class _Builder:
    """Grows the tree while the parser reads."""

    def __init__(self) -> None:
        self.root = Element("", 0)
        self._open = [self.root]
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _start(self, tag: str, attributes: object) -> None:
        element = Element(tag, self.parser.CurrentLineNumber)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, tag: str) -> None:
        self._open.pop()

    def _characters(self, text: str) -> None:
        self._open[-1].text += text

    def _refuse(self, *declaration: object) -> None:
        line = self.parser.CurrentLineNumber
        raise ConfigError(f"declares a document type in line {line}, which is not read")
