"""The published layer tables, run row by row: an oracle for sizes without reference numbers.

It shares nothing with the package: it reads the rows of ../shared/spec/layer_tables.json (layer
number, inputs, block, widths) and computes each with torch functions on tensors under their
published names. That it is right itself is shown on the sizes that do have reference numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from tests.shared_files import shared


@dataclass
class TableNetwork:
    """One network of the tables with its tensors."""

    name: str
    state: dict[str, Tensor]
    calibrate: bool = False
    """Scale each BatchNorm's statistics to what reaches it, so that values stay near 1."""
    maps: dict[int, list[Tensor]] = field(default_factory=dict)

    def run(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(box logits, class logits) of all anchors, (1, channels, anchors), aux head first."""
        outputs: list[tuple[Tensor, Tensor]] = []
        for row in _rows(self.name):
            number = int(row["#"])
            inputs = [
                [images] if word == "image" else self.maps[int(word)]
                for word in row["from"].split(",")
            ]
            if "Detect" in row["block"]:
                outputs = self._heads(number, [tensors[0] for tensors in inputs])
            else:
                self.maps[number] = self._layer(number, row, inputs)
        return outputs

    def _layer(self, number: int, row: dict[str, str], inputs: list[list[Tensor]]) -> list[Tensor]:
        x, prefix = inputs[0][0], f"model.{number}"
        plain: dict[str, Callable[[], Tensor]] = {
            "Silence": lambda: x,
            "Upsample": lambda: x.repeat_interleave(2, 2).repeat_interleave(2, 3),
            "Concat": lambda: torch.cat([tensors[0] for tensors in inputs], 1),
            "Conv": lambda: self._conv(prefix, x, stride=int(row["details"][-1])),
            "AConv": lambda: self._conv(f"{prefix}.cv1", functional.avg_pool2d(x, 2, 1), stride=2),
            "ADown": lambda: self._adown(prefix, functional.avg_pool2d(x, 2, 1)),
            "SPPELAN": lambda: self._sppelan(prefix, x),
            "ELAN1": lambda: self._elan(prefix, x, None),
            "RepNCSPELAN4": lambda: self._elan(prefix, x, int(row["details"].split("n=")[-1])),
        }
        if row["block"] in plain:
            return [plain[row["block"]]()]
        if row["block"] == "CBLinear":
            widths = [int(width) for width in re.findall(r"\d+", row["c_out"])]
            conv = f"{prefix}.conv"
            routed = functional.conv2d(x, self.state[f"{conv}.weight"], self.state[f"{conv}.bias"])
            return list(routed.split(widths, 1))
        assert row["block"] == "CBFuse"
        target = inputs[-1][0]
        chosen = [int(index) for index in re.findall(r"\d+", row["details"])]
        for index, tensors in zip(chosen, inputs[:-1], strict=True):
            factor = target.shape[-1] // tensors[index].shape[-1]
            grown = tensors[index].repeat_interleave(factor, 2).repeat_interleave(factor, 3)
            target = target + grown
        return [target]

    def _conv(
        self, prefix: str, x: Tensor, *, stride: int = 1, groups: int = 1, act: bool = True
    ) -> Tensor:
        weight = self.state[f"{prefix}.conv.weight"]
        x = functional.conv2d(
            x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups
        )
        bn = {leaf: f"{prefix}.bn.{leaf}" for leaf in ("running_mean", "running_var")}
        if self.calibrate:
            scale = x.var() + x.mean() ** 2
            self.state[bn["running_mean"]] = self.state[bn["running_mean"]] * scale.sqrt()
            self.state[bn["running_var"]] = self.state[bn["running_var"]] * scale
        mean, variance = self.state[bn["running_mean"]], self.state[bn["running_var"]]
        factor = self.state[f"{prefix}.bn.weight"] / torch.sqrt(variance + 1e-3)
        shift = self.state[f"{prefix}.bn.bias"] - mean * factor
        x = x * factor[:, None, None] + shift[:, None, None]
        return x * torch.sigmoid(x) if act else x

    def _adown(self, prefix: str, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        second = functional.max_pool2d(second, 3, 2, 1)
        return torch.cat(
            [self._conv(f"{prefix}.cv1", first, stride=2), self._conv(f"{prefix}.cv2", second)], 1
        )

    def _sppelan(self, prefix: str, x: Tensor) -> Tensor:
        parts = [self._conv(f"{prefix}.cv1", x)]
        for _ in range(3):
            parts.append(functional.max_pool2d(parts[-1], 5, 1, 2))
        return self._conv(f"{prefix}.cv5", torch.cat(parts, 1))

    def _elan(self, prefix: str, x: Tensor, repeats: int | None) -> Tensor:
        parts = list(self._conv(f"{prefix}.cv1", x).chunk(2, 1))
        for branch in ("cv2", "cv3"):
            if repeats is None:
                parts.append(self._conv(f"{prefix}.{branch}", parts[-1]))
            else:
                deep = self._csp(f"{prefix}.{branch}.0", parts[-1], repeats)
                parts.append(self._conv(f"{prefix}.{branch}.1", deep))
        return self._conv(f"{prefix}.cv4", torch.cat(parts, 1))

    def _csp(self, prefix: str, x: Tensor, repeats: int) -> Tensor:
        deep = self._conv(f"{prefix}.cv1", x)
        for index in range(repeats):
            unit = f"{prefix}.m.{index}"
            both = self._conv(f"{unit}.cv1.conv1", deep, act=False)
            both = both + self._conv(f"{unit}.cv1.conv2", deep, act=False)
            deep = deep + self._conv(f"{unit}.cv2", both * torch.sigmoid(both))
        return self._conv(f"{prefix}.cv3", torch.cat([deep, self._conv(f"{prefix}.cv2", x)], 1))

    def _heads(self, number: int, maps: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        words = [("cv2", "cv3"), ("cv4", "cv5")][: len(maps) // 3]
        outputs = []
        for index, pair in enumerate(words):
            levels = maps[3 * index : 3 * index + 3]
            towers = [
                torch.cat(
                    [
                        self._tower(f"model.{number}.{word}.{level}", x).flatten(2)
                        for level, x in enumerate(levels)
                    ],
                    2,
                )
                for word in pair
            ]
            outputs.append((towers[0], towers[1]))
        return outputs

    def _tower(self, prefix: str, x: Tensor) -> Tensor:
        x = self._conv(f"{prefix}.0", x)
        groups = x.shape[1] // self.state[f"{prefix}.1.conv.weight"].shape[1]
        x = self._conv(f"{prefix}.1", x, groups=groups)
        weight = self.state[f"{prefix}.2.weight"]
        groups = x.shape[1] // weight.shape[1]
        return functional.conv2d(x, weight, self.state[f"{prefix}.2.bias"], groups=groups)


def _rows(name: str) -> list[dict[str, str]]:
    """The rows of a table; a cell of details may hold a bar of its own."""
    table = json.loads(shared("spec/layer_tables.json").read_text())[name]
    rows = []
    for line in table.splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        details = " ".join(cells[5:-2])
        number, inputs, block, _, width = cells[:5]
        rows.append(
            {"#": number, "from": inputs, "block": block, "c_out": width, "details": details}
        )
    return rows
