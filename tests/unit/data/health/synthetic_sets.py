"""Small labelled data sets of pictures that are all different, to plant defects in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from gelan.structures.findings import Finding

Image = UInt8[np.ndarray, "height width 3"]
CLEAN_ROWS = ("0 0.30 0.30 0.20 0.30", "1 0.70 0.60 0.25 0.40")
"""Two boxes, one of each class, of sizes that nothing can be said about."""


def picture(seed: int, size_hw: tuple[int, int] = (120, 160)) -> Image:
    """Soft colours; two seeds show different things."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    height, width = size_hw
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def encoded(image: Image, suffix: str = ".jpg", quality: int = 95) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == ".jpg" else []
    return bytes(cv2.imencode(suffix, image[..., ::-1], options)[1].tobytes())


class YoloSet:
    """A YOLO data set in a folder: 6 training and 6 validation images without a defect."""

    def __init__(self, root: Path, *, per_split: int = 6) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        text = "train: images/train\nval: images/val\nnames: [cat, dog]\n"
        (root / "data.yaml").write_text(text)
        for number in range(per_split):
            self.add("train", f"t{number}", picture(number))
            self.add("val", f"v{number}", picture(100 + number))

    @property
    def place(self) -> Path:
        return self.root / "data.yaml"

    def image(self, split: str, name: str, suffix: str = ".jpg") -> Path:
        return self.root / "images" / split / f"{name}{suffix}"

    def label(self, split: str, name: str) -> Path:
        return self.root / "labels" / split / f"{name}.txt"

    def add(
        self,
        split: str,
        name: str,
        image: Image | bytes,
        rows: Sequence[str] = CLEAN_ROWS,
        *,
        suffix: str = ".jpg",
    ) -> Path:
        """One more image with its labels, or another in the place of one."""
        for path in (self.image(split, name, suffix), self.label(split, name)):
            path.parent.mkdir(parents=True, exist_ok=True)
        data = image if isinstance(image, bytes) else encoded(image, suffix)
        self.image(split, name, suffix).write_bytes(data)
        self.label(split, name).write_text("".join(f"{row}\n" for row in rows))
        return self.image(split, name, suffix)


def of_kind(findings: Sequence[Finding], kind: str) -> list[Finding]:
    return [found for found in findings if found.kind == kind]


def above_note(findings: Sequence[Finding]) -> list[str]:
    return [str(found) for found in findings if found.severity != "note"]
