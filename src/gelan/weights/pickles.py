"""A pickle reader that runs nothing: containers come out plain, everything else as inert records.

Python's unpickler imports what a pickle names and calls it; a weights file from a stranger is then
a program. This one walks the opcodes (`pickletools.genops`) and knows no way to import or to call
what the file names: the caller's `find_global` decides what a name stands for. The opcodes are
those of protocols 2 to 5 that occur in weights files; all others are refused.

Hostile files are held by five rules. Every operation counts against `MAX_OPERATIONS`; copying a
container counts its length, a call `_COST_OF_A_CALL`, a name its characters. All texts together
have at most `MAX_TEXT` characters, and a name or key at most `MAX_NAME_LENGTH`. The memo is a
dictionary, so a huge index costs nothing. Keys are scalars, so no hash of a deep structure is ever
taken. State goes into records only.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_OPERATIONS = 2_000_000
"""The largest published file, unstripped with its optimizer, needs about 600,000."""

MAX_TEXT = 8 * 2**20
"""Characters and bytes of all literals; published files have some 100,000."""

MAX_NAME_LENGTH = 1_000
"""Of a class, an attribute or a key."""

_COST_OF_A_CALL = 10
"""In operations: it makes a record or a tensor, which are much larger than an opcode."""

_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
_TEXTS = (
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
)
_SIZED = (dict, list, tuple, set)

_Handler = Callable[[Any], object]


class RefusedPickleError(ValueError):
    """A pickle asks for something that no weights file needs."""


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """What a pickle names: `build` makes its values; without one they become inert records."""

    qualified_name: str
    build: Callable[..., object] | None = None


@dataclass(slots=True, eq=False, repr=False)
class Record:
    """An inert stand-in for an object whose class was neither imported nor run."""

    qualified_name: str
    """Module and class, as the file names them."""
    arguments: tuple[object, ...] = ()
    attributes: dict[str, object] = field(default_factory=dict)
    state: object = None
    """State that is no dictionary of attributes (numpy arrays have a tuple)."""
    elements: list[object] = field(default_factory=list)
    items: list[tuple[object, object]] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<record of {self.qualified_name}>"


def read_pickle(
    data: bytes,
    *,
    find_global: Callable[[str, str], object],
    find_persistent: Callable[[object], object],
) -> object:
    """The object that a pickle describes, made without importing or calling what it names.

    `find_global(module, name)` gives a `Global`, or any inert value; `find_persistent(identifier)`
    gives what a persistent id stands for (for torch files a storage).

    >>> import pickle
    >>> read_pickle(
    ...     pickle.dumps({"a": [1, 2.5]}), find_global=lambda module, name: None,
    ...     find_persistent=lambda identifier: None,
    ... )
    {'a': [1, 2.5]}

    Raises:
        RefusedPickleError: an opcode, call, key or amount that no weights file needs.
        ValueError, TypeError, IndexError, KeyError: the pickle is damaged.
    """
    machine = _Machine(find_global, find_persistent)
    machine.run(data)
    return machine.stack[-1]


def scalar_key(value: object) -> str | bytes | int | float | None:
    """`value`, if it may be a dictionary key or an element of a set.

    Raises:
        RefusedPickleError: it is a container, a record, a tensor, a text beyond `MAX_NAME_LENGTH`
            or an integer beyond 64 bits (whose hashes can be made to collide).
    """
    if isinstance(value, int) and abs(value) >> 63:
        raise RefusedPickleError("its pickle has a key beyond 64 bits")
    if isinstance(value, (str, bytes)) and len(value) > MAX_NAME_LENGTH:
        raise RefusedPickleError(f"its pickle has a key of {len(value):,} characters")
    if value is None or isinstance(value, (str, bytes, int, float)):
        return value
    raise RefusedPickleError(f"its pickle has a key of type {kind_of(value)}")


def build_dict(*arguments: object) -> dict[object, object]:
    """A plain dictionary for `OrderedDict`, `Counter` and `defaultdict` (whose factory is left)."""
    entries = arguments[-1] if arguments else ()
    if isinstance(entries, dict):
        return dict(entries)
    if isinstance(entries, (Global, Record)):
        return {}
    return {scalar_key(key): value for key, value in _iterable(entries)}


def build_set(*arguments: object) -> set[object]:
    """A set of scalars."""
    return {scalar_key(element) for element in _iterable(arguments[0] if arguments else ())}


def kind_of(value: object) -> str:
    """What a value is, in a few words: never its contents, whose text may have no end."""
    return repr(value)[:100] if isinstance(value, Record) else type(value).__name__


class _Machine:
    """The stack machine of pickle, restricted to what weights files need."""

    def __init__(
        self,
        find_global: Callable[[str, str], object],
        find_persistent: Callable[[object], object],
    ) -> None:
        self.stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[object, object] = {}
        self._copied = 0
        self._text = 0
        self._find_global = find_global
        self._handlers = self._values() | self._moves() | self._makers(find_persistent)

    def run(self, data: bytes) -> None:
        """Carry out all opcodes; the result is on top of the stack."""
        for operations, (opcode, argument, position) in enumerate(pickletools.genops(data)):
            if opcode.name == "STOP":
                return
            if operations + self._copied > MAX_OPERATIONS:
                raise RefusedPickleError(
                    f"its pickle takes more than {MAX_OPERATIONS:,} operations"
                )
            if opcode.name not in self._handlers:
                raise RefusedPickleError(
                    f"its pickle has opcode {opcode.name} at byte {position}, "
                    "which no weights file needs"
                )
            self._handlers[opcode.name](argument)

    def _values(self) -> dict[str, _Handler]:
        push = self.stack.append
        return {
            **dict.fromkeys(_NUMBERS, push),
            **dict.fromkeys(_TEXTS, self._push_text),
            "NONE": lambda _: push(None),
            "NEWTRUE": lambda _: push(True),
            "NEWFALSE": lambda _: push(False),
            "EMPTY_DICT": lambda _: push({}),
            "EMPTY_LIST": lambda _: push([]),
            "EMPTY_SET": lambda _: push(set()),
            "EMPTY_TUPLE": lambda _: push(()),
        }

    def _moves(self) -> dict[str, _Handler]:
        stack, memo, marks = self.stack, self._memo, self._marks
        return {
            **dict.fromkeys(("PROTO", "FRAME"), lambda _: None),
            **dict.fromkeys(
                ("BINPUT", "LONG_BINPUT"), lambda index: memo.__setitem__(index, stack[-1])
            ),
            **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda index: stack.append(memo[index])),
            "MEMOIZE": lambda _: memo.__setitem__(len(memo), stack[-1]),
            "MARK": lambda _: marks.append(len(stack)),
            "POP": lambda _: stack.__delitem__(-1),
        }

    def _makers(self, find_persistent: Callable[[object], object]) -> dict[str, _Handler]:
        stack = self.stack
        return {
            "TUPLE1": lambda _: stack.append((stack.pop(),)),
            "TUPLE2": lambda _: stack.append((stack.pop(-2), stack.pop())),
            "TUPLE3": lambda _: stack.append((stack.pop(-3), stack.pop(-2), stack.pop())),
            "TUPLE": lambda _: stack.append(tuple(self._above_mark())),
            "FROZENSET": lambda _: stack.append(build_set(self._above_mark())),
            "APPEND": lambda _: self._extend([stack.pop()]),
            "APPENDS": lambda _: self._extend(self._above_mark()),
            "ADDITEMS": lambda _: self._extend(self._above_mark()),
            "SETITEM": lambda _: self._set_items([stack.pop(-2), stack.pop()]),
            "SETITEMS": lambda _: self._set_items(self._above_mark()),
            "GLOBAL": lambda argument: self._name(*str(argument).split(" ", 1)),
            "STACK_GLOBAL": lambda _: self._name(stack.pop(-2), stack.pop()),
            "REDUCE": lambda _: self._call(stack.pop(-2), stack.pop()),
            "NEWOBJ": lambda _: self._call(stack.pop(-2), stack.pop()),
            "BUILD": lambda _: self._set_state(stack.pop()),
            "BINPERSID": lambda _: stack.append(find_persistent(stack.pop())),
        }

    def _push_text(self, text: str | bytes) -> None:
        self._text += len(text)
        if self._text > MAX_TEXT:
            raise RefusedPickleError(f"its pickle has more than {MAX_TEXT:,} characters of text")
        self.stack.append(text)

    def _above_mark(self) -> list[object]:
        start = self._marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def _extend(self, values: list[object]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, set):
            target.update(scalar_key(value) for value in values)
        elif isinstance(target, Record):
            target.elements.extend(values)
        else:
            raise RefusedPickleError(f"its pickle appends to a {kind_of(target)}")

    def _set_items(self, values: list[object]) -> None:
        target = self.stack[-1]
        pairs = list(zip(values[::2], values[1::2], strict=True))
        if isinstance(target, dict):
            target.update((scalar_key(key), value) for key, value in pairs)
        elif isinstance(target, Record):
            target.items.extend(pairs)
        else:
            raise RefusedPickleError(f"its pickle sets items of a {kind_of(target)}")

    def _name(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise RefusedPickleError("its pickle names something that is not text")
        length = len(module) + len(name)
        if length > MAX_NAME_LENGTH:
            raise RefusedPickleError(f"its pickle has a name of {length:,} characters")
        self._copied += length
        self.stack.append(self._find_global(module, name))

    def _call(self, callee: object, arguments: object) -> None:
        if not isinstance(arguments, tuple):
            raise RefusedPickleError(f"its pickle calls with a {kind_of(arguments)}, not a tuple")
        self._copied += _COST_OF_A_CALL
        if isinstance(callee, Global) and callee.build is not None:
            # A builder may copy what it is given, and the memo can give it the same thing again.
            self._copied += sum(len(value) for value in arguments if isinstance(value, _SIZED))
            self.stack.append(callee.build(*arguments))
        elif isinstance(callee, (Global, Record)):
            self.stack.append(Record(callee.qualified_name, arguments))
        else:
            raise RefusedPickleError(f"its pickle calls a {kind_of(callee)}")

    def _set_state(self, state: object) -> None:
        target = self.stack[-1]
        if isinstance(target, dict):
            return  # attributes of an OrderedDict: torch keeps only version numbers there
        if not isinstance(target, Record):
            raise RefusedPickleError(f"its pickle sets the state of a {kind_of(target)}")
        slots = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        if all(part is None or isinstance(part, dict) for part in slots):
            for part in filter(None, slots):
                self._copied += len(part)
                target.attributes.update((_attribute(key), part[key]) for key in part)
        else:
            target.state = state


def _attribute(key: object) -> str:
    if not isinstance(key, str):
        raise RefusedPickleError(f"its pickle has an attribute with a {kind_of(key)} for a name")
    return key


def _iterable(value: object) -> Iterable[Any]:
    if not isinstance(value, (list, tuple, set)):
        raise RefusedPickleError(f"its pickle fills a container from a {kind_of(value)}")
    return value
