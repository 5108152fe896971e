"""The tide pool around the animals: its floor, stones, weed and foam, and light through water."""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Float32

from gelan.data.drawn.animals import disc, polar
from gelan.data.drawn.painting import Color, Figure, Layer, Picture, Tone

Field = Float32[np.ndarray, "height width"]

_FLOORS = (
    (214, 193, 152),  # sand
    (176, 160, 134),  # wet sand
    (122, 124, 120),  # slate
    (86, 100, 104),  # dark rock
    (112, 124, 96),  # rock with algae
    (150, 128, 110),  # sandstone
    (92, 138, 140),  # deep water
)
_HUES = (
    (222, 96, 70),  # coral
    (236, 150, 62),  # orange
    (226, 188, 84),  # ochre
    (240, 222, 190),  # cream
    (126, 148, 72),  # olive
    (58, 140, 128),  # teal
    (78, 116, 168),  # blue
    (126, 92, 152),  # violet
    (196, 92, 128),  # rose
    (140, 70, 62),  # brick
    (96, 82, 76),  # umber
    (168, 172, 172),  # grey
)


def palette(random: np.random.Generator) -> Float32[np.ndarray, "4 3"]:
    """Colours of one figure, by `Tone`; animals, stones and weed draw from the same ones."""
    first, second = random.choice(len(_HUES), 2, replace=False)
    shift = random.normal(0, 10, 3) + random.uniform(-22, 22)
    body = np.clip(np.array(_HUES[first]) + shift, 20, 245)
    accent = np.clip(0.55 * body + 0.45 * np.array(_HUES[second]), 20, 245)
    return np.stack([body, accent, 0.32 * body, 0.35 * body + 0.65 * 250]).astype(np.float32)


def waves(size_hw: tuple[int, int], random: np.random.Generator, *, cells: float) -> Field:
    """Smooth noise around 0, mostly within -1 to 1; `cells` is how many bumps the side has."""
    shorter = min(size_hw)
    grid = [max(2, round(cells * length / shorter) + 1) for length in size_hw]
    coarse = random.normal(0, 0.5, grid).astype(np.float32)
    return np.asarray(cv2.resize(coarse, size_hw[::-1], interpolation=cv2.INTER_CUBIC))


def floor(size_hw: tuple[int, int], random: np.random.Generator) -> Picture:
    """Sand or rock: two colours that flow into each other, grain, and sometimes ripples."""
    first, second = random.choice(len(_FLOORS), 2, replace=False)
    blend = (
        0.35 + 0.4 * waves(size_hw, random, cells=2.5) + 0.25 * waves(size_hw, random, cells=7.0)
    )
    base, other = (np.array(_FLOORS[number], np.float32) for number in (first, second))
    picture = base + np.clip(blend, 0, 1)[..., None] * (other - base)
    relief = 0.07 * waves(size_hw, random, cells=22.0) + 0.05 * waves(size_hw, random, cells=70.0)
    if random.random() < 0.45:
        relief += 0.07 * _ripples(size_hw, random)
    grain = random.normal(0, 5, size_hw).astype(np.float32)
    return np.asarray(picture * (1 + relief[..., None]) + grain[..., None])


def _ripples(size_hw: tuple[int, int], random: np.random.Generator) -> Field:
    """Bent stripes from -1 to 1, as tides leave in sand."""
    angle, number = random.uniform(0, math.pi), random.uniform(9, 16)
    rows, columns = np.indices(size_hw, np.float32) / np.float32(min(size_hw))
    phase = number * (math.cos(angle) * columns + math.sin(angle) * rows)
    phase += 0.9 * waves(size_hw, random, cells=3.0)
    return np.asarray(np.sin(2 * math.pi * phase), np.float32)


def sunlight(size_hw: tuple[int, int], random: np.random.Generator) -> Field:
    """What light is multiplied by: brighter to one side, with the net of light that water casts."""
    rows, columns = (np.indices(size_hw) / np.array(size_hw)[:, None, None] - 0.5).astype("f4")
    angle = random.uniform(0, 2 * math.pi)
    slope = random.uniform(0.0, 0.5) * (math.cos(angle) * columns + math.sin(angle) * rows)
    net = np.zeros(size_hw, np.float32)
    for cells in (4.5, 8.0):
        ridge = 1 - np.minimum(np.abs(waves(size_hw, random, cells=cells)) * 2.2, 1.0)
        net = np.maximum(net, ridge**4)
    return np.asarray(0.96 + slope + random.uniform(0.0, 0.28) * net, np.float32)


def pebble(random: np.random.Generator) -> Figure:
    """A smooth, uneven stone with speckles or a vein."""
    angles = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    radii = 0.85 + sum(
        random.uniform(-0.16, 0.16) / turns * np.cos(turns * angles + random.uniform(0, 6))
        for turns in (2, 3, 4)
    )
    outline = polar(radii, angles) * np.array([1.0, random.uniform(0.55, 1.0)])
    layers = [Layer(points=outline, tone=Tone.BODY)]
    if random.random() < 0.4:
        vein = np.column_stack([np.linspace(-1, 1, 9), random.normal(0, 0.05, 9)])
        vein[:, 1] += random.uniform(-0.3, 0.3)
        width = random.uniform(0.05, 0.16)
        layers.append(Layer(points=vein, tone=Tone.LIGHT, stroke=width, is_marking=True))
    else:
        layers.extend(
            Layer(points=disc((x, y), size), tone=Tone.ACCENT, is_marking=True)
            for x, y, size in random.uniform((-0.8, -0.6, 0.03), (0.8, 0.6, 0.09), (7, 3)).tolist()
        )
    return tuple(layers)


def seaweed(random: np.random.Generator) -> Figure:
    """A long wavy ribbon that tapers, plain or with leaves on both sides."""
    along = np.linspace(-1, 1, 40)
    sway = random.uniform(0.05, 0.16) * np.sin(
        random.uniform(2, 4.5) * along + random.uniform(0, 6)
    )
    middle = np.column_stack([along, sway])
    width = random.uniform(0.03, 0.06) * np.sqrt(np.clip((1 - along) * (1.1 + along), 0, None))
    if random.random() < 0.5:  # one broad blade with a wavy edge
        width = width * (1.2 + 0.3 * np.sin(20 * along))
        leaves: list[Layer] = []
    else:
        width = 0.6 * width
        leaves = [
            _leaf(middle[place], side, random) for place in range(3, 37, 3) for side in (-1, 1)
        ]
    edges = [middle + np.column_stack([np.zeros(40), sign * width]) for sign in (1, -1)]
    blade = Layer(points=np.concatenate([edges[0], edges[1][::-1]]), tone=Tone.BODY)
    vein = Layer(points=middle, tone=Tone.DARK, stroke=0.012, is_marking=True)
    return (*leaves, blade, vein)


def _leaf(stem: np.ndarray, side: int, random: np.random.Generator) -> Layer:
    """A pointed oval from a place on the stem, forwards and to one side."""
    angle, length = side * random.uniform(0.6, 1.0), random.uniform(0.16, 0.26)
    along = np.linspace(0, 1, 8)
    half = 0.16 * np.sin(math.pi * along)
    shape = np.column_stack([np.append(along, along[::-1]), np.append(half, -half[::-1])])
    turned = shape @ np.array(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    )
    return Layer(points=stem + length * turned, tone=Tone.ACCENT)


def foam(random: np.random.Generator) -> Figure:
    """A few rings, as bubbles on the water."""
    rings = polar(0.75, random.uniform(0, 2 * math.pi, int(random.integers(3, 7))))
    rings *= random.uniform(0.4, 1.0, (len(rings), 1))
    rings[0] *= 0.75 / np.linalg.norm(rings[0])  # one at the edge, so that the figure is full
    layers = []
    for x, y in rings.tolist():
        ring = disc((x, y), random.uniform(0.1, 0.25))
        closed = np.concatenate([ring, ring[:1]])
        layers.append(Layer(points=closed, tone=Tone.LIGHT, stroke=0.04))
    return tuple(layers)


def with_grit(picture: Picture, random: np.random.Generator, *, number: int) -> Picture:
    """The floor with small bits of shell and stone on it."""
    gritty = np.clip(np.rint(picture), 0, 255).astype(
        np.uint8
    )  # OpenCV smooths only edges in bytes
    height, width = picture.shape[:2]
    for _ in range(number):
        place = (int(random.integers(0, width * 16)), int(random.integers(0, height * 16)))
        axes = (random.uniform(0.003, 0.012, 2) * min(height, width) * 16).astype(int).tolist()
        grey = np.float32(random.uniform(60, 200))
        color: Color = grey + np.float32(0.35) * (palette(random)[Tone.BODY] - grey)
        turn = random.uniform(0, 360)
        cv2.ellipse(gritty, place, axes, turn, 0, 360, color.tolist(), -1, cv2.LINE_AA, shift=4)
    return np.asarray(gritty, np.float32)
