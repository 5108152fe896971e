"""The animals of a tide pool as figures: five shapes, each one a little different every time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

from gelan.data.drawn.painting import Figure, Layer, Points, Tone
from gelan.structures.classes import ClassTable

Draw: TypeAlias = Callable[[np.random.Generator], Figure]


def polar(
    radii: Float64[np.ndarray, " n"] | float,
    angles: Float64[np.ndarray, " n"],
    *,
    around: tuple[float, float] = (0.0, 0.0),
) -> Points:
    """Points at distances and angles (radians, from x towards y) around a point.

    >>> polar(2.0, np.array([0.0]), around=(1.0, 5.0)).tolist()
    [[3.0, 5.0]]
    """
    points = np.column_stack([np.cos(angles) * radii, np.sin(angles) * radii])
    return np.asarray(points + np.array(around))


def disc(centre: tuple[float, float], radius: float, *, flat: float = 1.0) -> Points:
    """The outline of an ellipse; `flat` is its height by its width."""
    circle = polar(radius, np.linspace(0, 2 * math.pi, 24, endpoint=False))
    return np.asarray(circle * np.array([1.0, flat]) + np.array(centre))


def _spot(centre: tuple[float, float], radius: float, tone: Tone) -> Layer:
    return Layer(points=disc(centre, radius), tone=tone, is_marking=True)


def _eye(centre: tuple[float, float], radius: float) -> Figure:
    return (
        Layer(points=disc(centre, radius), tone=Tone.LIGHT),
        Layer(points=disc(centre, radius * 0.6), tone=Tone.DARK),
    )


def starfish(random: np.random.Generator) -> Figure:
    """Five round-tipped arms, not all equally long, with rows of spots."""
    angles = np.linspace(0, 2 * math.pi, 150, endpoint=False)
    slim, core = random.uniform(1.3, 2.2), random.uniform(0.28, 0.36)
    lengths = random.uniform(0.86, 1.0, 5)
    arm = np.floor((angles * 5 / (2 * math.pi) + 0.5) % 5).astype(int)
    radii = core + (lengths[arm] - core) * (0.5 + 0.5 * np.cos(5 * angles)) ** slim
    bend = random.uniform(-0.35, 0.35)
    layers = [Layer(points=polar(radii, angles + bend * radii), tone=Tone.BODY)]
    for number, length in enumerate(lengths.tolist()):
        for place in (0.3, 0.45, 0.6, 0.74):
            radius = length * place
            angle = np.array([number * 2 * math.pi / 5 + bend * radius])
            x, y = polar(radius, angle)[0].tolist()
            layers.append(_spot((x, y), 0.075 - 0.05 * place, Tone.LIGHT))
    return (*layers, _spot((0.0, 0.0), 0.1, Tone.ACCENT))


def fish(random: np.random.Generator) -> Figure:
    """From the side: a body to a point, a forked tail, fins, an eye, and bands or none."""
    depth, fork = random.uniform(0.34, 0.5), random.uniform(0.3, 0.46)
    along = np.linspace(0, 1, 24)
    thickness = depth * np.sin(math.pi * along**0.75) ** 0.8
    top = np.column_stack([-1 + 1.5 * along, -thickness])
    under = np.column_stack([top[:, 0], 0.9 * thickness])
    tail = np.array([[0.3, 0.0], [0.95, -fork], [0.8, 0.0], [0.95, fork]])
    back = np.array([[-0.5, -0.7 * depth], [-0.1, -1.45 * depth], [0.25, -0.3]])
    belly = np.array([[-0.35, 0.6 * depth], [0.0, 1.35 * depth], [0.05, 0.4 * depth]])
    layers = [Layer(points=fin, tone=Tone.ACCENT) for fin in (tail, back, belly)]
    layers.append(Layer(points=np.concatenate([top, under[::-1]]), tone=Tone.BODY))
    for start in range(8, 8 + 5 * int(random.integers(0, 4)), 5):
        band = np.concatenate([top[start : start + 3], under[start : start + 3][::-1]])
        layers.append(Layer(points=band, tone=Tone.ACCENT, is_marking=True))
    gill = polar(0.3, np.linspace(-0.7, 0.7, 8), around=(-0.85, 0.0))
    layers.append(Layer(points=gill, tone=Tone.DARK, stroke=0.035, is_marking=True))
    return (*layers, *_eye((-0.74, -0.09), 0.09))


def crab(random: np.random.Generator) -> Figure:
    """A wide shell, eight bent legs, two claws held forward, two eyes."""
    flat, pinch = random.uniform(0.66, 0.85), random.uniform(0.3, 0.6)
    layers: list[Layer] = []
    for side in (-1.0, 1.0):
        for angle in np.array([0.0, 0.35, 0.7, 1.05]) + random.uniform(-0.1, 0.1, 4):
            ways = np.array([0.4, angle, angle + 0.35])
            leg = polar(np.array([0.2, 0.72, 0.92]), ways) * np.array([side, 0.95])
            layers.append(Layer(points=leg, tone=Tone.ACCENT, stroke=0.1))
        layers.extend(_claw(side, random.uniform(0.24, 0.3), pinch))
    for side in (-1, 1):
        stalk = np.array([[0.12 * side, -0.3], [0.15 * side, -0.5]])
        layers.append(Layer(points=stalk, tone=Tone.BODY, stroke=0.08))
        layers.append(Layer(points=disc((0.15 * side, -0.5), 0.065), tone=Tone.DARK))
    layers.append(Layer(points=disc((0.0, 0.0), 0.52, flat=flat), tone=Tone.BODY))
    ridge = polar(0.3, np.linspace(0.4, math.pi - 0.4, 12), around=(0.0, -0.08))
    layers.append(Layer(points=ridge, tone=Tone.DARK, stroke=0.04, is_marking=True))
    return (*layers, *[_spot((x, -0.12), 0.06, Tone.LIGHT) for x in (-0.22, 0.0, 0.22)])


def _claw(side: float, radius: float, pinch: float) -> Figure:
    """An arm and an open pincer, right (1) or left (-1)."""
    mirror = np.array([side, 1.0])
    arm = np.array([[0.35, -0.15], [0.72, -0.3], [0.62, -0.6]])
    angles = np.linspace(-math.pi / 2 - 0.3 + pinch, 1.5 * math.pi - 0.3 - pinch, 24)
    pincer = np.concatenate([[[0.56, -0.62]], polar(radius, angles, around=(0.56, -0.7))])
    return (
        Layer(points=arm * mirror, tone=Tone.ACCENT, stroke=0.14),
        Layer(points=pincer * mirror, tone=Tone.BODY),
    )


def scallop(random: np.random.Generator) -> Figure:
    """A ribbed fan with a wavy edge, two ears at the hinge, and bands of growth."""
    ribs, open_angle = int(random.integers(6, 10)), random.uniform(0.95, 1.15)
    angles = np.linspace(-open_angle, open_angle, 20 * ribs)
    phase = (angles / open_angle + 1) / 2
    wave = 1 - 0.05 * np.abs(np.cos(math.pi * ribs * phase))
    radii = 1.8 * wave * np.cos(0.7 * angles)
    hinge = (0.0, 0.88)
    edge = polar(radii, angles - math.pi / 2, around=hinge)
    ears = np.array([[-0.36, 0.95], [0.36, 0.95], [0.3, 0.55], [-0.3, 0.55]])
    fan = Layer(points=np.concatenate([[hinge], edge]), tone=Tone.BODY)
    layers = [Layer(points=ears, tone=Tone.ACCENT), fan]
    for share in (0.55, 0.78):
        arc = (edge - np.array(hinge)) * share + np.array(hinge)
        layers.append(Layer(points=arc, tone=Tone.ACCENT, stroke=0.09, is_marking=True))
    for number in range(1, ribs):
        tip = edge[20 * number]
        start = np.array(hinge) + 0.15 * (tip - np.array(hinge))
        rib = np.stack([start, tip])
        layers.append(Layer(points=rib, tone=Tone.DARK, stroke=0.03, is_marking=True))
    return tuple(layers)


def snail(random: np.random.Generator) -> Figure:
    """A coiled shell on a foot that ends in a tail, with two feelers in front."""
    turns, tight = 3, random.uniform(0.08, 0.125)
    angles = np.linspace(0, 2 * math.pi * turns, 40 * turns)
    spiral = polar(0.72 * np.exp(-tight * angles), math.pi / 2 - angles, around=(0.14, -0.1))
    spiral *= np.array([1.0, random.uniform(0.9, 1.08)])
    foot = np.array([[-0.84, 0.28], [-0.7, 0.5], [-0.2, 0.58], [0.5, 0.56], [0.96, 0.6]])
    feelers = ([[-0.84, 0.3], [-0.95, -0.08]], [[-0.76, 0.34], [-0.7, -0.1]])
    return (
        Layer(points=foot, tone=Tone.ACCENT, stroke=0.22),
        *[Layer(points=np.array(ends), tone=Tone.ACCENT, stroke=0.08) for ends in feelers],
        Layer(points=spiral[:41], tone=Tone.BODY),
        Layer(points=spiral, tone=Tone.DARK, stroke=0.05, is_marking=True),
    )


ANIMALS: dict[str, Draw] = {
    "starfish": starfish,
    "fish": fish,
    "crab": crab,
    "scallop": scallop,
    "snail": snail,
}
"""How each class is drawn."""
CLASSES = ClassTable(tuple(ANIMALS))
"""All classes, in the order of the label files."""
