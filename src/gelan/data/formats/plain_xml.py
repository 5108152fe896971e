"""XML as plain elements with line numbers.

A document that declares a type is refused: such a declaration can define entities that expand to
gigabytes or name other files, and annotations need none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from gelan.errors import ConfigError

_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]{1,40})["']""")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(slots=True)
class Element:
    """A tag, the line where it begins, the text directly in it, and the elements in it."""

    tag: str
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)
    start: int = 0
    """Where it begins, in bytes."""
    end: int = 0
    """The byte behind it."""

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
    if path.exists() and not path.is_file():
        raise ConfigError("is no ordinary file")
    try:
        return parse_xml(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot be opened: {error.strerror or error}") from error


def parse_xml(data: bytes, *, encoding: str | None = None) -> Element:
    """The outermost element; messages of errors do not name a file.

    `encoding` counts in place of what the document says about itself.

    >>> parse_xml(b"<a><b> 3 </b></a>").text_of("b")
    '3'

    Raises:
        ConfigError: as `read_xml`.
    """
    try:
        return _parsed(data, encoding=encoding)
    except (LookupError, ValueError):  # an encoding that the parser does not know
        return _parsed(decoded_xml(data)[0].encode(), encoding="utf-8")


def decoded_xml(data: bytes) -> tuple[str, str]:
    """The text of a document, and the encoding that it is written in.

    >>> decoded_xml('<?xml version="1.0" encoding="gbk"?><a>猫</a>'.encode("gbk"))
    ('<?xml version="1.0" encoding="gbk"?><a>猫</a>', 'gbk')

    Raises:
        ConfigError: nobody knows the encoding, or the bytes are not in it.
    """
    declared = _DECLARED.match(data)
    name = "utf-16" if data[:2] in _UTF_16 else declared[1].decode() if declared else "utf-8"
    try:
        return data.decode(name), name
    except LookupError as error:
        raise ConfigError(f"is in an unknown encoding, {name!r:.40}; save it as UTF-8") from error
    except ValueError as error:
        raise ConfigError(f"is not in the encoding that it names, {name!r:.40}") from error


def _parsed(data: bytes, *, encoding: str | None) -> Element:
    builder = _Builder(data, encoding)
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        cause = expat.ErrorString(error.code)
        raise ConfigError(f"is no complete XML: {cause} in line {error.lineno}") from error
    return builder.root.children[0]


class _Builder:
    """Grows the tree while the parser reads."""

    def __init__(self, data: bytes, encoding: str | None) -> None:
        self.root = Element("", 0)
        self._data = data
        self._open = [self.root]
        self.parser = expat.ParserCreate(encoding)
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _start(self, tag: str, attributes: object) -> None:
        parser = self.parser
        element = Element(tag, parser.CurrentLineNumber, start=parser.CurrentByteIndex)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, tag: str) -> None:
        element, place = self._open.pop(), self.parser.CurrentByteIndex
        is_inside = element.children or element.text
        closes_itself = not is_inside and self._data[place - 2 : place] == b"/>"
        element.end = place if closes_itself else self._data.find(b">", place) + 1

    def _characters(self, text: str) -> None:
        self._open[-1].text += text

    def _refuse(self, *declaration: object) -> None:
        line = self.parser.CurrentLineNumber
        raise ConfigError(f"declares a document type in line {line}, which is not read")
