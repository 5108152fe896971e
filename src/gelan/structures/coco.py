"""The 80 classes of COCO, on which the published networks were trained."""

from __future__ import annotations

from gelan.structures.classes import ClassTable

_NAMES = """\
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite,
baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork,
knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake,
chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard,
cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush"""

_UNUSED_IDS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
"""Numbers between 1 and 90 that no category has."""

COCO = ClassTable(
    names=tuple(name.strip() for name in _NAMES.split(",")),
    category_ids=tuple(number for number in range(1, 91) if number not in _UNUSED_IDS),
)
"""Names in model order, with the sparse ids of the data set's annotation files."""
