"""YAML as text with line numbers: every scalar stays as it is written.

`names: [no, 1.10]` is then the two names `no` and `1.10`, not False and 1.1, and an error can say
the line. A key that stands twice in a mapping is an error, where YAML libraries keep the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from gelan.data.formats.places import read_text
from gelan.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a YAML file and the line where it begins, counted from 1."""

    line: int
    content: str | list[Value] | dict[str, Value] | None


def read_yaml(path: Path) -> Value:
    """The one document of a YAML file.

    Raises:
        ConfigError: it cannot be read, is no YAML, is empty, or has a key twice.
    """
    try:
        node = yaml.compose(read_text(path), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: is no YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: is no YAML that can be read: {error}") from error
    if node is None:
        raise ConfigError(f"{path}: is empty; it should say where the images are")
    return _Reader(path).value(node)


class _Reader:
    """Turns nodes into values; one that is referred to again is turned once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[int, Value | None] = {}

    def value(self, node: yaml.Node) -> Value:
        if id(node) not in self._done:
            self._done[id(node)] = None
            self._done[id(node)] = Value(node.start_mark.line + 1, self._content(node))
        value = self._done[id(node)]
        if value is None:
            line = node.start_mark.line + 1
            raise ConfigError(f"{self._path}:{line}: contains itself; take the reference out")
        return value

    def _content(self, node: yaml.Node) -> str | list[Value] | dict[str, Value] | None:
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        is_null = node.tag == "tag:yaml.org,2002:null"
        return None if is_null and not node.style else str(node.value)

    def _mapping(self, node: yaml.Node) -> dict[str, Value]:
        mapping: dict[str, Value] = {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{self._path}:{line}: a key must be a word or a number")
            if key.value in mapping:
                raise ConfigError(f"{self._path}:{line}: {key.value!r} stands there twice")
            mapping[key.value] = self.value(item)
        return mapping
