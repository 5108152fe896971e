"""The published sizes, asserted against literal numbers.

Published counts include the fixed vector 0 .. 15 of each head (16 numbers), which is no parameter
here: they are 16 higher without and 32 higher with the auxiliary part. GFLOPs are two per
multiply-add of convolutions at 640 x 640, as the published fused figures.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gelan.errors import ConfigError
from gelan.model.detector import Detector, build_detector
from gelan.model.reparameterize import reparameterize
from gelan.model.specs import DetectorSpec
from gelan.model.variants import VARIANTS, build, name_of, variant, with_block, with_class_width


def on_meta(spec: DetectorSpec) -> Detector:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return build_detector(spec).eval()


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def gflops(network: nn.Module) -> float:
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 640, 640, device="meta"))
    return float(counter.get_total_flops()) / 1e9


@pytest.mark.parametrize(
    ("name", "plain", "folded", "plain_gflops", "folded_gflops"),
    [
        ("gelan-t", 2_036_560, 2_001_840, 7.79, 7.71),
        ("gelan-s", 7_226_208, 7_105_888, 26.71, 26.38),
        ("gelan-m", 20_124_000, 19_978_672, 76.80, 76.31),
        ("gelan-c", 25_498_752, 25_288_768, 102.82, 102.14),
        ("gelan-e", 58_114_432, 57_345_920, 191.15, 188.95),
        ("yolov9-t", 2_905_520, 2_862_992, 12.06, 11.95),
        ("yolov9-s", 9_804_512, 9_659_168, 39.50, 39.05),
        ("yolov9-m", 32_878_432, 32_667_400, 132.08, 131.32),
        ("yolov9-c", 51_182_080, 50_880_768, 238.65, 237.63),
        ("yolov9-e", 69_529_664, 68_669_632, 243.96, 241.34),
    ],
)
def test_sizes_are_the_published_ones(
    name: str, plain: int, folded: int, plain_gflops: float, folded_gflops: float
) -> None:
    network = on_meta(VARIANTS[name])
    fixed = 16 if name.startswith("gelan") else 32
    assert parameters(network) == plain - fixed
    assert gflops(network) == pytest.approx(plain_gflops, abs=0.005)
    twin = reparameterize(network)
    assert parameters(twin) == folded - fixed
    assert gflops(twin) == pytest.approx(folded_gflops, abs=0.0051)


@pytest.mark.parametrize(
    ("name", "plain", "folded", "folded_gflops"),
    [("gelan-t", 2_442_640, 2_407_632, 9.82), ("yolov9-t", 3_717_680, 3_674_576, 16.16)],
)
def test_the_wider_class_tower_of_t_has_its_published_size(
    name: str, plain: int, folded: int, folded_gflops: float
) -> None:
    network = on_meta(variant(name, class_width=128))
    fixed = 16 if name.startswith("gelan") else 32
    assert parameters(network) == plain - fixed
    twin = reparameterize(network)
    assert parameters(twin) == folded - fixed
    assert gflops(twin) == pytest.approx(folded_gflops, abs=0.005)


@pytest.mark.parametrize(
    ("block", "millions", "giga"),
    [("conv", 6.2, 23.5), ("residual", 5.4, 21.0), ("dark", 5.7, 21.8), ("csp", 5.9, 22.4)],
)
def test_table_2_blocks_inside_gelan_s(block: str, millions: float, giga: float) -> None:
    twin = reparameterize(on_meta(with_block(VARIANTS["gelan-s"], block)))
    assert round(parameters(twin) / 1e6, 1) == millions
    assert round(gflops(twin), 1) == giga


@pytest.mark.parametrize(
    ("name", "branches", "depth", "millions", "giga"),
    [
        ("gelan-s", 2, 1, 5.9, 22.4),
        ("gelan-s", 2, 2, 6.5, 24.4),
        ("gelan-s", 3, 1, 7.1, 26.3),
        ("gelan-s", 2, 3, 7.1, 26.4),
        ("gelan-m", 2, 1, 20.0, 76.3),
        ("gelan-m", 2, 2, 22.2, 85.1),
        ("gelan-m", 3, 1, 24.3, 93.5),
        ("gelan-m", 2, 3, 24.4, 94.0),
        ("gelan-c", 1, 1, 18.9, 77.4),  # 77.5 in print: it counts pools and activations too
        ("gelan-c", 2, 1, 25.3, 102.1),
        ("gelan-c", 2, 2, 28.6, 114.4),
        ("gelan-c", 3, 1, 31.7, 126.8),
        ("gelan-c", 2, 3, 31.9, 126.7),
    ],
)
def test_table_3_depths(name: str, branches: int, depth: int, millions: float, giga: float) -> None:
    spec = with_block(VARIANTS[name], "csp", branches=branches, depth=depth)
    twin = reparameterize(on_meta(spec))
    assert round(parameters(twin) / 1e6, 1) == millions
    assert round(gflops(twin), 1) == giga


def test_a_spec_knows_its_published_name_whatever_its_head() -> None:
    for name, spec in VARIANTS.items():
        assert name_of(replace(with_class_width(spec, 128), num_classes=3)) == name
    assert name_of(with_block(VARIANTS["gelan-s"], "dark")) is None


def test_changing_the_block_of_a_size_to_its_own_changes_nothing() -> None:
    for name, depth in (("yolov9-t", 3), ("yolov9-m", 1), ("yolov9-e", 2)):
        assert with_block(VARIANTS[name], "csp", depth=depth) == VARIANTS[name]


@pytest.mark.parametrize("name", ["yolov9-t", "gelan-t"])
@pytest.mark.parametrize("num_classes", [1, 3, 365])
@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_any_number_of_classes_and_any_size_of_whole_cells(
    name: str, num_classes: int, size: tuple[int, int]
) -> None:
    anchors = sum((size[0] // stride) * (size[1] // stride) for stride in (8, 16, 32))
    with torch.no_grad():
        main, auxiliary = build(name, num_classes=num_classes).eval()(torch.zeros(2, 3, *size))
    for output in [main] if auxiliary is None else [main, auxiliary]:
        assert output.logits.shape == (2, anchors, num_classes)
        assert output.distances.shape == (2, anchors, 4, 16)


def test_a_size_that_cuts_cells_says_which_would_do() -> None:
    with pytest.raises(ConfigError) as caught:
        build("gelan-t")(torch.zeros(1, 3, 100, 64))
    assert str(caught.value) == (
        "the network's input is 64 x 100 pixels, but both must be multiples of 32: "
        "64 x 128 would do"
    )


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'yolov9c'; did you mean 'yolov9-c'\?"):
        build("yolov9c")


def test_no_class_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="num_classes is 0; it should be from 1 to"):
        variant("gelan-t", num_classes=0)
