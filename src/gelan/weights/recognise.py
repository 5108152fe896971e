"""Tells from names and shapes alone which published network a set of tensors is.

File names and attributes are not asked: the same name stands for different head geometries (box
tower in 4 groups or 1, class tower of T 80 or 128 wide), so widths, groups and classes are read
from the shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gelan.errors import CheckpointError
from gelan.model.specs import DetectorSpec, HeadSpec
from gelan.model.variants import VARIANTS
from gelan.weights.layouts import LAYOUTS, Family, Layout

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each tensor of a file by the file's name, without a prefix: "0.conv.weight"."""

_MAX_WIDTH = 2**20
"""Channels of a tower, bins and classes beyond this are damage; published ones end at 512."""

_FOREIGN: tuple[tuple[str, str], ...] = (
    (r"^\d+\.cv3\.\d\.[01]\.[01]\.conv\.", "a depthwise class tower (ultralytics 8.3.0)"),
    (r"^\d+\.dfl3\.", "yolov9-cf with its three heads"),
    (r"^105\.cv[23]\.", "yolov7-af"),
    (r"^3\.conv\.weight$", "gelan, the early network with ReLU and plain strided convolutions"),
    (r"^4\.conv\.weight$", "yolov9, the early network with ReLU and plain strided convolutions"),
    (r"^42\.proto\.", "yolov9e-seg of ultralytics, a segmentation network"),
    (r"^detect\.|\.detect\.heads\.", "a segmentation network of MultimediaTechLab"),
    (r"\.mask_conv\.", "a segmentation network of MultimediaTechLab"),
    (r"\.linear\.", "a classification network"),
    (r"\.dconv\.", "rd-9c of MultimediaTechLab"),
    (r"\.implicit_[am]", "YOLOv7"),
    (r"^\d+\.rbr_|^\d+\.one2one_", "another generation of YOLO"),
)
"""Names that only networks have which are not read here; the first that is found counts."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """What the tensors are."""

    layout: Layout
    spec: DetectorSpec
    name: str
    """"yolov9-c", "gelan-t", ..."""


def recognise(shapes: Shapes) -> Recognised:
    """The layout and the exact spec of a file's tensors.

    Raises:
        CheckpointError: the tensors are those of no network known here; says what they look like.
    """
    for pattern, what in _FOREIGN:
        if any(re.search(pattern, name, re.ASCII) for name in shapes):
            raise CheckpointError(f"it looks like {what}, which is not read here")
    begun = (re.match(r"(\d{1,4})\.", name, re.ASCII) for name in shapes)
    numbers = {int(found[1]) for found in begun if found}
    size = _size(shapes)
    if size is None or not numbers:
        held = f"the first is {next(iter(shapes))!r:.120}" if shapes else "there are none"
        raise CheckpointError(f"these are not the tensors of a YOLOv9 network ({held})")
    layout = _layout(shapes, size, max(numbers))
    if layout is None:
        raise CheckpointError(
            f"the trunk is that of size {size}, but no network of that size is known whose last "
            f"layer is number {max(numbers)} and has such heads"
        )
    name = f"{'yolov9' if layout.has_auxiliary else 'gelan'}-{size}"
    return Recognised(layout, _spec(name, layout, shapes), name)


def _size(shapes: Shapes) -> str | None:
    """The letter of the size, from the width of the first two layers and the last number."""
    stem = shapes.get("0.conv.weight", shapes.get("1.conv.weight"))
    if stem is None or len(stem) != 4 or stem[1:] != (3, 3, 3):
        return None
    if stem[0] == 16:
        return "t"
    if stem[0] == 64:
        composite = {"10.conv.weight", "14.conv.weight"} <= set(shapes)
        return "e" if composite else "c"
    if stem[0] != 32:
        return None
    first = 2 if "0.conv.weight" in shapes else 3
    for word in ("cv1", "conv1"):
        enter = shapes.get(f"{first}.{word}.conv.weight")
        if enter:
            return {64: "s", 128: "m"}.get(enter[0])
    return None


def _layout(shapes: Shapes, size: str, last: int) -> Layout | None:
    family: Family = "official"
    if any(re.match(r"\d+\.heads\.\d\.class_conv\.", name) for name in shapes):
        family = "multimediatechlab"
    for layout in LAYOUTS:
        fits = layout.family == family and layout.last == last and size in layout.sizes
        if fits and _covers(layout, shapes):
            return layout
    return None


def _covers(layout: Layout, shapes: Shapes) -> bool:
    """Whether each tensor of the head layers has a place, and each place a tensor."""
    numbers = {str(head.number) for head in layout.heads}
    found = {name for name in shapes if name.partition(".")[0] in numbers}
    towers = tuple(theirs + "." for theirs, kind in layout.modules.values() if kind == "tower")
    known = all(name.startswith(towers) or layout.has_no_place_for(name) for name in found)
    filled = all(any(name.startswith(tower) for name in found) for tower in towers)
    left = all(any(name.startswith(part) for name in shapes) for part in layout.left_behind[:1])
    return known and filled and left


def _spec(name: str, layout: Layout, shapes: Shapes) -> DetectorSpec:
    """The published spec, with the head geometry and the classes of this file."""
    spec = VARIANTS[name]
    head, num_classes = _head(layout, "head", shapes)
    branch = spec.auxiliary
    if branch is not None:
        branch = replace(branch, head=_head(layout, "auxiliary.head", shapes)[0])
    return replace(spec, head=head, auxiliary=branch, num_classes=num_classes)


def _head(layout: Layout, ours: str, shapes: Shapes) -> tuple[HeadSpec, int]:
    """The geometry of a head, read from its first level, and its number of classes."""

    def shape(module: str, leaf: str) -> tuple[int, ...]:
        theirs = layout.theirs(f"{ours}.{module}.{leaf}")
        found = shapes.get(theirs)
        if found is None:
            raise CheckpointError(f"tensor {theirs!r} of the head is missing")
        if len(found) != 4 or not all(1 <= width <= _MAX_WIDTH for width in found):
            raise CheckpointError(f"tensor {theirs!r} has shape {found}, which no head has")
        return found

    box_width, per_group = shape("boxes.0.1", "conv.weight")[:2]
    sides = shape("boxes.0", "2.weight")[0]
    if box_width % per_group or sides % 4:
        raise CheckpointError(
            f"the box tower has {box_width} channels in groups of {per_group} and {sides} outputs: "
            "the groups must be equal, and the outputs four sides"
        )
    spec = HeadSpec(
        box_width=box_width,
        class_width=shape("classes.0.0", "conv.weight")[0],
        box_groups=box_width // per_group,
        bins=sides // 4,
    )
    return spec, shape("classes.0", "2.weight")[0]
