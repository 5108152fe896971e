"""Plans become images on a device, a batch at once: the work of `draw`, in torch.

Decoded images go to the device as bytes, and with them one matrix for each layer of a sample: the
images of its mosaic, and behind them the mirrored ones that objects are pasted from. Every pixel of
the output asks each layer once. The numbers are those that move the boxes, and the results those
of `draw` but for rounding; only where a tile is turned, its edge may lie a pixel elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor
from torch.nn import functional

from gelan.data.augment.compose import Plan, Scene
from gelan.data.augment.draw import filled
from gelan.data.augment.geometric import Matrix, Pixels, Rectangle
from gelan.data.augment.photometric import HUES, Gains

Images = Mapping[int, UInt8[np.ndarray, "height width 3"]]
"""Decoded images by their index in the source."""


_NOTHING = Rectangle(0.0, 0.0, 0.0, 0.0)


class _Layer(NamedTuple):
    """One image that the pixels of an output may come from."""

    row: int
    """Of the image among those on the device."""
    matrix: Matrix
    """From the image to the output."""
    seen: Rectangle
    """The part of the image that is shown; of a mirrored one, what is pasted says it."""
    inner: Rectangle
    """Where the middles of its pixels lie; points outside take the nearest."""


class _Stack(NamedTuple):
    """The layers of one scene, from the first to the last that is drawn."""

    layers: list[_Layer]
    pasted: UInt8[np.ndarray, "size size"]
    """0, or 1 + the number of the layer that an object is pasted from."""


def render(
    plans: Sequence[Plan], images: Images, device: torch.device
) -> UInt8[Tensor, "batch 3 size size"]:
    """The images of plans, all of one size."""
    rows = {index: row for row, index in enumerate(images)}
    scenes = [scene for plan in plans for scene in plan.scenes]
    size, pad_value = plans[0].size, plans[0].pad_value
    stacks = [_stack(scene, images, rows, size) for scene in scenes]
    canvases = _sampled(stacks, _on_device(list(images.values()), size, device), pad_value)
    first = np.cumsum([0] + [len(plan.scenes) for plan in plans[:-1]])
    last = first + [len(plan.scenes) - 1 for plan in plans]
    blend = _tensor([plan.blend for plan in plans], device)[:, None, None, None]
    blended = canvases[first] * blend + canvases[last] * (1 - blend)
    return recoloured(blended, [plan.gains for plan in plans]).round_().to(torch.uint8)


def _on_device(
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]], size: int, device: torch.device
) -> UInt8[Tensor, "images 3 size size"]:
    """Images in the corners of equal squares."""
    squares = np.zeros((len(images), size, size, 3), np.uint8)
    for square, image in zip(squares, images, strict=True):
        square[: image.shape[0], : image.shape[1]] = image  # by numpy: it may be read-only
    return torch.from_numpy(squares).to(device, non_blocking=True).permute(0, 3, 1, 2)


def _stack(scene: Scene, images: Images, rows: Mapping[int, int], size: int) -> _Stack:
    layers = []
    for tile in scene.tiles:
        whole = _whole(images[tile.index])
        inner = _middles(tile.seen if tile.is_upright else whole)
        layers.append(_Layer(rows[tile.index], tile.matrix, tile.seen, inner))
    pasted = np.zeros((size, size), np.uint8)
    numbers: dict[tuple[int, bytes], int] = {}
    for cutout in scene.cutouts:
        number = numbers.setdefault((cutout.index, cutout.matrix.tobytes()), len(layers))
        if number == len(layers):
            whole = _whole(images[cutout.index])
            layers.append(_Layer(rows[cutout.index], cutout.matrix, _NOTHING, _middles(whole)))
        pasted[filled(cutout.outline, Pixels(0, 0, size, size)) > 0] = 1 + number
    return _Stack(layers, pasted)


def _whole(image: UInt8[np.ndarray, "height width 3"]) -> Rectangle:
    return Rectangle(0.0, 0.0, float(image.shape[1]), float(image.shape[0]))


def _middles(part: Rectangle) -> Rectangle:
    return Rectangle(part.x1 + 0.5, part.y1 + 0.5, part.x2 - 0.5, part.y2 - 0.5)


def _sampled(
    stacks: Sequence[_Stack], squares: UInt8[Tensor, "images 3 size size"], pad_value: int
) -> Float[Tensor, "scenes 3 size size"]:
    """The scenes, pixel by pixel from the layer that is seen there."""
    device, size = squares.device, squares.shape[-1]
    pasted = torch.from_numpy(np.stack([stack.pasted for stack in stacks])).to(device)[:, None]
    canvases = torch.full((len(stacks), 3, size, size), float(pad_value), device=device)
    absent = _Layer(0, np.eye(3), _NOTHING, _NOTHING)
    for number in range(max(len(stack.layers) for stack in stacks)):
        layers = [
            stack.layers[number] if number < len(stack.layers) else absent for stack in stacks
        ]
        points = _points(np.stack([layer.matrix for layer in layers]), size, device)
        seen, inner = (
            _tensor([layer[part] for layer in layers], device)[:, None, None] for part in (2, 3)
        )
        inside = (points >= seen[..., :2]) & (points < seen[..., 2:])
        points = points.clamp(inner[..., :2], inner[..., 2:])
        pixels = functional.grid_sample(
            squares[[layer.row for layer in layers]].float(),
            points * (2 / size) - 1,
            padding_mode="border",
            align_corners=False,
        )
        shown = inside.all(dim=-1)[:, None] | (pasted == 1 + number)
        canvases = torch.where(shown, pixels, canvases)
    return canvases


def _points(
    matrices: Float64[np.ndarray, "scenes 3 3"], size: int, device: torch.device
) -> Float[Tensor, "scenes size size 2"]:
    """Where in their images the middles of the output's pixels lie."""
    ways = _tensor(np.linalg.inv(matrices), device)
    middles = torch.arange(size, device=device) + 0.5
    x, y = middles[None, None, :, None], middles[None, :, None, None]
    along_x, along_y, constant = (ways[:, None, None, :, axis] for axis in range(3))
    points = x * along_x + y * along_y + constant
    return points[..., :2] / points[..., 2:]


def recoloured(
    images: Float[Tensor, "batch 3 height width"], gains: Sequence[Gains]
) -> Float[Tensor, "batch 3 height width"]:
    """RGB images from 0 to 255, each with its hue, saturation and value multiplied.

    As `photometric.recoloured`, with hue, saturation and value rounded like its bytes: a red just
    below the end of the circle must not be taken for the far end of it.
    """
    factors = _tensor(gains, images.device)[:, :, None, None]
    images = images.round()
    value, lowest = images.amax(dim=1), images.amin(dim=1)
    chroma = value - lowest
    hue = (_sixths(images, value, chroma) * (HUES / 6)).round() % HUES
    hue = (hue * factors[:, 0]).round() % HUES
    saturation = (255 * chroma / value.clamp(min=1)).round()
    saturation = (saturation * factors[:, 1]).round().clamp(max=255)
    value = (value * factors[:, 2]).round().clamp(max=255)
    chroma = value * saturation / 255
    channels = []
    for start in (5, 3, 1):  # of red, green and blue, in sixths of the circle
        position = (start + hue * (6 / HUES)) % 6
        share = torch.minimum(position, 4 - position).clamp(0, 1)
        channels.append(value - chroma * share)
    unchanged = (factors == 1).all(dim=1, keepdim=True)
    return torch.where(unchanged, images, torch.stack(channels, dim=1))


def _sixths(
    images: Float[Tensor, "batch 3 height width"],
    value: Float[Tensor, "batch height width"],
    chroma: Float[Tensor, "batch height width"],
) -> Float[Tensor, "batch height width"]:
    """The hue, from 0 (red) to 6 (red again); 0 where there is no colour."""
    red, green, blue = images.unbind(dim=1)
    divisor = chroma.clamp(min=1)  # whole numbers
    hue = torch.where(
        value == red,
        (green - blue) / divisor % 6,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    return torch.where(chroma > 0, hue, 0.0)


def _tensor(numbers: object, device: torch.device) -> Float[Tensor, "*shape"]:
    return torch.from_numpy(np.asarray(numbers, np.float32)).to(device)
