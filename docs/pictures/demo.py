"""The picture of the README: what a network that `gelan demo` has trained finds in new images.

gelan demo --out runs/demo && python docs/pictures/demo.py runs/demo
"""

from __future__ import annotations

import sys
from pathlib import Path

from gelan.data.images import read_image
from gelan.predict.files import write_image
from gelan.visualize.sheets import sheet

COLUMNS, ROWS, CELL = 4, 2, 320


def main() -> None:
    """Put the first pictures of the run on one sheet beside this file."""
    found = sorted((Path(sys.argv[1]) / "found" / "pictures").glob("*.jpg"))[: COLUMNS * ROWS]
    pictures = [read_image(path) for path in found]
    target = Path(__file__).with_name("demo.jpg")
    target.unlink(missing_ok=True)
    write_image(target, sheet(pictures, columns=COLUMNS, cell=CELL))


if __name__ == "__main__":
    main()
