"""Colours for classes, in sRGB: one for each, the ink that is read on it and the line around it."""

from __future__ import annotations

import functools

Color = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

_PALETTE = """
00b9ff 00ff00 ff0014 ff00ff 787800 ffb4b9 00e6aa 006eff c80a6e cdeb19
ffaa00 197d78 f0a5ff e6e19b af4637 7800ff 5f5faa a523a5 69cd50 96ebff
b95f00 147d46 19739b 5a46f5 91fa41 fadc55 f55573 dcc3ff 9bebd2 738246
ff8c2d 82c300 eb50c8 8291cd b45569 f5af64 00ff69 a5cd55 ff00cd 784bbe
d79173 41a0ff 00b400 afb400 ff7dcd 915a32 00bec3 9669ff 417d05 b9f0a0
e196c3 cd8c19 be2814 ff0073 a005c8 9b64a0 55aac8 a0b96e 5fff96 c30a37
ff00a0 8c5f00 006ed7 ff5f05 a0cdff ff87a5 d77dff 00aa50 af9150 00faeb
f5e100 b44687 fa5fff 9b96ff ff0046 6ebe87 c8b955 be00fa b95fbe fa7d64
"""
"""Found by search: among sRGB colours that are neither dark, pale nor grey (OKLab lightness 0.52 to
0.90, chroma above 0.085), 80 whose least CIELAB distance is as large as it gets (20.8), ordered so
that the first 20 (33.3) and any five in a row (41.3, the last and the first included) differ most.
"""


@functools.cache
def class_color(index: int) -> Color:
    """The colour of a class, the same in every picture; after 80 classes they come again.

    >>> class_color(0), class_color(1), class_color(80) == class_color(0)
    ((0, 185, 255), (0, 255, 0), True)
    """
    colors = _PALETTE.split()
    red, green, blue = bytes.fromhex(colors[index % len(colors)])
    return (red, green, blue)


def ink_color(background: Color) -> Color:
    """Black or white, whichever has more contrast with a background (WCAG 2.2).

    >>> ink_color((250, 240, 90)), ink_color((90, 20, 120))
    ((0, 0, 0), (255, 255, 255))
    """
    linear = [(channel / 255) ** 2.2 for channel in background]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if (luminance + 0.05) ** 2 > 1.05 * 0.05 else (255, 255, 255)


def outline_color(color: Color) -> Color:
    """A nearly black shade of a colour: seen on a background of that colour, quiet elsewhere.

    >>> outline_color((200, 100, 0))
    (32, 16, 0)
    """
    red, green, blue = (round(0.16 * channel) for channel in color)
    return (red, green, blue)
