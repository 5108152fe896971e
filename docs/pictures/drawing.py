"""Makes docs/pictures/drawing.png: a drawn scene with given boxes, as `gelan predict` shows boxes.

python docs/pictures/drawing.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from gelan.structures.detections import Detections
from gelan.visualize.boxes import draw_detections

NAMES = ("disc", "square", "triangle", "star")
HEIGHT, WIDTH = 360, 720
SHAPES = (
    # class, centre x, centre y, radius, colour, score
    (0, 95, 235, 62, (214, 92, 78), 0.97),
    (1, 250, 205, 48, (70, 120, 200), 0.94),
    (2, 395, 240, 66, (92, 160, 96), 0.91),
    (3, 545, 165, 60, (232, 184, 60), 0.88),
    (0, 320, 110, 26, (150, 96, 180), 0.83),
    (1, 640, 262, 40, (226, 132, 64), 0.79),
    (2, 165, 108, 30, (60, 150, 160), 0.74),
    (3, 470, 290, 24, (200, 90, 130), 0.52),
)


CORNERS = (72, 4, 3, 10)
"""Of a disc, square, triangle and star; a star has two rings of five."""


def outline(kind: int, center: tuple[int, int], radius: int) -> np.ndarray:
    """The corners of a shape, (n, 2) x and y in pixels."""
    count = CORNERS[kind]
    angles = np.arange(count) * 2 * np.pi / count - np.pi / 2 + (np.pi / 4 if kind == 1 else 0)
    radii = np.where((np.arange(count) % 2 == 1) & (kind == 3), radius * 0.45, radius)
    return np.stack([center[0] + radii * np.cos(angles), center[1] + radii * np.sin(angles)], 1)


def main() -> None:
    """Draw the scene, then the boxes."""
    fade = np.linspace(0, 1, HEIGHT)[:, None, None]
    sky, ground = np.array([206, 222, 232]), np.array([236, 230, 216])
    scene = np.broadcast_to(sky * (1 - fade) + ground * fade, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    scene = np.ascontiguousarray(scene)
    boxes = []
    for kind, x, y, radius, colour, _ in SHAPES:
        points = outline(kind, (x, y), radius)
        cv2.fillPoly(scene, [np.round(points * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)
        boxes.append([*points.min(axis=0), *points.max(axis=0)])
    detections = Detections(
        boxes=np.array(boxes, np.float32),
        scores=np.array([shape[5] for shape in SHAPES], np.float32),
        classes=np.array([shape[0] for shape in SHAPES]),
        names=NAMES,
        size_hw=(HEIGHT, WIDTH),
    )
    picture = draw_detections(scene, detections)
    cv2.imwrite(str(Path(__file__).with_suffix(".png")), picture[:, :, ::-1])


if __name__ == "__main__":
    main()
