"""Text in pictures: its width, writing it, and class names in characters that can be drawn.

Font sizes are in pixels; capital letters are about 3/4 of the size high. OpenCV 5 writes in its own
bold sans-serif font, OpenCV 4 in plain strokes that are a little larger.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import UInt8

HAS_FONT_FACE = hasattr(cv2, "FontFace")
"""OpenCV 5 brings fonts for all but South Asian letters and emoji; OpenCV 4 knows ASCII."""
BOLD = 600
LONGEST = 48
"""Characters of a class name that are drawn; of a longer one the beginning and `..`."""
SPELLED = {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l"}
SPELLED |= {"Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th"}
"""Letters that Unicode does not take apart, in ASCII."""


def text_width(text: str, *, size: int) -> int:
    """Width in pixels of a text of this font size, from its origin to its right end."""
    if HAS_FONT_FACE:
        left, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("sans"), size, BOLD)
        return int(left + width)
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, *_strokes(size))
    return int(width)


def write_text(
    mask: UInt8[np.ndarray, "height width"], text: str, *, origin: tuple[int, int], size: int
) -> None:
    """Write with 255 into a mask of zeros; `origin` (x, y) is the left end of the base line.

    What lies outside the mask is cut off.
    """
    if HAS_FONT_FACE:
        cv2.putText(mask, text, origin, (255,), cv2.FontFace("sans"), size, BOLD)
    else:
        font, (scale, thickness) = cv2.FONT_HERSHEY_SIMPLEX, _strokes(size)
        cv2.putText(mask, text, origin, font, scale, (255,), thickness, cv2.LINE_AA)


def _strokes(size: int) -> tuple[float, int]:
    """Scale and thickness of the stroke font, whose capitals are 21 pixels high at scale 1."""
    return 0.75 * size / 21, max(1, round(size / 11))


@functools.cache
def has_glyph(character: str) -> bool:
    """Whether a character can be drawn: OpenCV draws all that it does not know alike."""
    if character.isascii() or not HAS_FONT_FACE:
        return character.isascii() and character.isprintable()
    tiles = np.zeros((2, 32, 48), np.uint8)
    for tile, text in zip(tiles, (character, "\uffff"), strict=True):
        write_text(tile, text, origin=(4, 24), size=20)
    return bool(tiles[0].any()) and not np.array_equal(tiles[0], tiles[1])


def drawable_name(name: str, *, index: int, can_draw: Callable[[str], bool]) -> str:
    """A class name in characters that can be drawn.

    What has no glyph is written without its accents, or as its Unicode name if it is a symbol;
    marks and control characters are left out. A name that still has letters without a glyph
    becomes `class 7`. One of more than `LONGEST` characters is cut, and ends in `..`.

    >>> drawable_name("piéton 🚲", index=7, can_draw=str.isascii)
    'pieton bicycle'
    >>> drawable_name("行人", index=7, can_draw=str.isascii)
    'class 7'
    """
    start = unicodedata.normalize("NFC", name[: 4 * LONGEST])
    pieces = [_drawable(character, can_draw) for character in start]
    written = " ".join("".join(piece for piece in pieces if piece is not None).split())
    if None in pieces or not written:
        return f"class {index}"
    is_whole = len(written) <= LONGEST and len(name) <= 4 * LONGEST
    return written if is_whole else f"{written[: LONGEST - 2].rstrip()}.."


def _drawable(character: str, can_draw: Callable[[str], bool]) -> str | None:
    """A character or its substitute, perhaps empty; None for a letter that cannot be drawn."""
    kind = unicodedata.category(character)
    if kind == "Cs" or character.isspace():  # OpenCV 5.0 crashes on half of a surrogate pair
        return "" if kind == "Cs" else " "
    if character.isprintable() and can_draw(character):
        return character
    plain = unicodedata.normalize("NFKD", SPELLED.get(character, character))
    base = "".join(part for part in plain if not unicodedata.combining(part))
    if base != character and base.isprintable() and all(can_draw(part) for part in base):
        return base
    if kind in ("So", "Sm", "Sc"):
        return f" {unicodedata.name(character, '').lower()} "
    return None if kind[0] in "LN" else ""
