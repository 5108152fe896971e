"""Specs check themselves: absurd numbers are refused at once, deep networks are still possible."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch

from gelan.config import from_mapping, to_mapping, with_settings
from gelan.errors import ConfigError
from gelan.geometry.letterbox import Preprocessing
from gelan.model.detector import build_detector
from gelan.model.specs import DetectorSpec, ElanSpec, elans
from gelan.model.variants import VARIANTS, with_block


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("backbone.stem", 0, "backbone: stem is 0; it should be from 1 to 65536"),
        ("backbone.stage2.enter", 10**30, "backbone.stage2: enter is a number of 100 bits; it sho"),
        ("backbone.stage2.elan.out", -1, "backbone.stage2.elan: out is -1; it should be from 1"),
        ("backbone.stage2.elan.split", 65, "split is 65; it must be even, because it is split int"),
        ("backbone.stage2.elan.branch", 1, "branch is 1; it should be from 2 to 65536"),
        ("backbone.stage2.elan.branches", 10**6, "branches is 1000000; it should be from 1 to 64"),
        ("backbone.stage2.elan.branches", -1, "branches is -1; it should be from 1 to 64"),
        ("neck.top_down.merge4.depth", 10**6, "neck.top_down.merge4: depth is 1000000; it should"),
        ("neck.top_down.merge4.depth", 0, "neck.top_down.merge4: depth is 0; it should be from 1"),
        ("neck.top_down.pool.hidden", 0, "neck.top_down.pool: hidden is 0; it should be from 1"),
        ("neck.bottom_up.down4", 0, "neck.bottom_up: down4 is 0; it should be from 1 to 65536"),
        ("neck.bottom_up.down4", 255, "neck.bottom_up: down4 is 255; it must be even, because"),
        ("backbone.stage3.enter", 511, "backbone: stage3.enter is 511; it must be even, because"),
        ("backbone.stage1.elan.out", 255, "backbone: stage1.elan.out is 255; it must be even"),
        ("neck.top_down.merge3.out", 255, "neck: top_down.merge3.out is 255; it must be even"),
        ("backbone.downsampling", "max", "should be one of 'average', 'split', not 'max'"),
        ("head.box_groups", 0, "head: box_groups is 0; it should be from 1 to 65536"),
        ("head.box_groups", 3, "head: box_groups is 3; it must divide box_width: 64"),
        ("head.class_width", 0, "head: class_width is 0; it should be from 1 to 65536"),
        ("head.class_width", 10**30, "head: class_width is a number of 100 bits; it should be"),
        ("head.bins", 1, "head: bins is 1; it should be from 2 to 256"),
        ("head.bins", 10**9, "head: bins is 1000000000; it should be from 2 to 256"),
        ("num_classes", 0, "num_classes is 0; it should be from 1 to 65536"),
        ("num_classes", -1, "num_classes is -1; it should be from 1 to 65536"),
        ("num_classes", True, "num_classes should be a whole number, not true"),
        ("auxiliary.kind", "fpn", "auxiliary: kind is 'fpn', which needs top_down: give its spec"),
        ("auxiliary.kind", "pfh", "auxiliary: backbone is set, but kind is 'pfh': leave it out"),
        ("auxiliary.kind", "none", "auxiliary.kind should be one of 'pfh', 'fpn', 'pan', 'icn'"),
    ],
)
def test_an_absurd_number_is_refused_with_its_place(key: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(VARIANTS["yolov9-c"], {key: value}, where="x")
    assert str(caught.value).startswith("x: ")
    assert message in str(caught.value)


def test_groups_divide_both_convolutions_of_the_box_tower() -> None:
    head = VARIANTS["gelan-c"].head
    with pytest.raises(ConfigError, match="box_groups is 48; it must divide 4 x bins: 64"):
        replace(head, box_width=96, box_groups=48)
    assert replace(head, box_width=96, box_groups=32).box_groups == 32


def test_every_published_network_is_within_the_limits() -> None:
    for spec in VARIANTS.values():
        assert from_mapping(DetectorSpec, to_mapping(spec), where="x") == spec


def test_a_deep_network_is_possible_and_a_deeper_one_refused() -> None:
    deep = with_block(VARIANTS["gelan-t"], "csp", branches=64, depth=1)
    with torch.device("meta"):
        branches = build_detector(deep).backbone.get_submodule("base.stage2.elan.branches")
    assert len(list(branches.children())) == 64
    with pytest.raises(ConfigError) as caught:
        with_block(VARIANTS["gelan-t"], "csp", branches=64, depth=64)
    # seven blocks of t compute, and the first of the backbone is a plain chain of 2
    assert str(caught.value) == (
        f"branches x depth of all blocks is {7 * 64 * 64 + 2} in sum, more than 2048: make the "
        "network shallower"
    )


def test_the_blocks_of_a_composite_backbone_count_twice() -> None:
    e = VARIANTS["gelan-e"]
    with pytest.raises(ConfigError, match=r"is 3072 in sum"):  # (2 x 4 + 4) x 64 x 4
        with_block(e, "csp", branches=64, depth=4)


@pytest.mark.slow
def test_the_largest_network_of_the_limits_is_built_in_seconds() -> None:
    widest = with_block(VARIANTS["gelan-t"], "csp", branches=4, depth=64)
    started = time.process_time()
    with torch.device("meta"):
        build_detector(widest)
    assert time.process_time() - started < 20


def test_each_block_of_a_spec_is_found_with_its_place() -> None:
    places = [place for place, _ in elans(VARIANTS["yolov9-t"])]
    assert places[:2] == ["backbone.stage1.elan", "backbone.stage2.elan"]
    assert places[-1] == "auxiliary.top_down.merge3"
    assert len(places) == 4 + 4 + 2
    assert list(elans(ElanSpec(out=2, split=2, branch=2))) == [
        ("", ElanSpec(out=2, split=2, branch=2))
    ]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (3_200_000_000, "size 3200000000 is above 16384, the largest; take 640 or 1280"),
        (10**4000, "size of more than 12 digits is above 16384, the largest"),
        (0, "size 0 is not a multiple of 32; take 32"),
        (650, "size 650 is not a multiple of 32; take 672"),
        (16416, "size 16416 is above 16384"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_an_absurd_size_in_a_file_is_refused(size: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping(Preprocessing, {"size": size}, where="x: preprocessing")
    assert message in str(caught.value)
    assert Preprocessing(size=16384).size == 16384
