"""PGI is a part: it can be attached to anything, reaches everything, and leaves no trace."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from gelan.errors import ConfigError
from gelan.model.auxiliary import attach_auxiliary, auxiliary_spec, detach_auxiliary
from gelan.model.backbone import require_widths
from gelan.model.detector import Detector, build_detector, detector_on
from gelan.model.specs import AuxiliaryKind, HeadSpec
from gelan.model.variants import VARIANTS, build, variant
from gelan.structures.predictions import Predictions

KINDS: list[AuxiliaryKind] = ["pfh", "fpn", "pan", "icn"]
IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


class StridedConvolutions(nn.Module):
    """A backbone that is not ours: bare convolutions, maps at strides 8, 16, 32."""

    def __init__(self) -> None:
        super().__init__()
        self.to8 = nn.Conv2d(3, 24, 8, stride=8)
        self.to16 = nn.Conv2d(24, 40, 2, stride=2)
        self.to32 = nn.Conv2d(40, 56, 2, stride=2)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [torch.relu(self.to8(images))]
        maps.append(torch.relu(self.to16(maps[-1])))
        maps.append(torch.relu(self.to32(maps[-1])))
        return maps


def foreign_detector() -> Detector:
    torch.manual_seed(0)
    return detector_on(StridedConvolutions(), widths=(24, 40, 56), num_classes=3)


def total(predictions: Predictions) -> Tensor:
    """A number that every output element has a part in."""
    outputs = [predictions.main]
    if predictions.auxiliary is not None:
        outputs.append(predictions.auxiliary)
    return sum(((o.logits**2).mean() + (o.distances**2).mean() for o in outputs), torch.zeros(()))


def without_gradient(detector: Detector) -> list[str]:
    detector.zero_grad()
    total(detector.train()(IMAGES)).backward()
    return [
        name
        for name, parameter in detector.named_parameters()
        if parameter.grad is None or not bool(parameter.grad.any())
    ]


@pytest.mark.parametrize("name", ["yolov9-t", "yolov9-m"])
def test_detaching_leaves_the_main_output_bit_identical(name: str) -> None:
    detector = build(name, num_classes=2).eval()
    with torch.no_grad():
        attached = detector(IMAGES)
        part = detach_auxiliary(detector)
        detached = detector(IMAGES)
    assert part is not None
    assert attached.auxiliary is not None
    assert detached.auxiliary is None
    assert torch.equal(attached.main.logits, detached.main.logits)
    assert torch.equal(attached.main.distances, detached.main.distances)
    assert not any(key.startswith("auxiliary") for key in detector.state_dict())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["gelan-t", "gelan-m", "gelan-e"])
def test_any_kind_fits_any_size_and_every_parameter_gets_a_gradient(
    name: str, kind: AuxiliaryKind
) -> None:
    torch.manual_seed(0)
    detector = build(name, num_classes=2)
    attach_auxiliary(detector, kind)
    assert without_gradient(detector) == []


@pytest.mark.parametrize("name", ["yolov9-t", "yolov9-s", "yolov9-m", "yolov9-c", "yolov9-e"])
def test_every_parameter_of_a_published_network_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    assert without_gradient(build(name, num_classes=1)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_fits_a_backbone_that_is_not_ours(kind: AuxiliaryKind) -> None:
    detector = foreign_detector()
    before = detector.eval()(IMAGES).main
    attach_auxiliary(detector, kind)
    with_pgi = detector(IMAGES)
    assert with_pgi.auxiliary is not None
    assert with_pgi.auxiliary.logits.shape == before.logits.shape == (2, 84, 3)
    assert torch.equal(with_pgi.main.logits, before.logits)
    assert without_gradient(detector) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_auxiliary_loss_alone_reaches_the_backbone(kind: AuxiliaryKind) -> None:
    detector = foreign_detector()
    attach_auxiliary(detector, kind)
    auxiliary = detector.train()(IMAGES).auxiliary
    assert auxiliary is not None
    auxiliary.logits.sum().backward()
    assert all(
        parameter.grad is not None and bool(parameter.grad.any())
        for parameter in detector.backbone.parameters()
    )
    assert all(parameter.grad is None for parameter in detector.head.parameters())


@pytest.mark.parametrize("size", ["t", "s", "m", "c", "e"])
def test_sizing_a_kind_after_its_detector_gives_the_published_branch(size: str) -> None:
    published = VARIANTS[f"yolov9-{size}"].auxiliary
    assert published is not None
    with torch.device("meta"):
        detector = build(f"gelan-{size}")
    assert auxiliary_spec(detector, published.kind) == published


@pytest.mark.parametrize("size", ["t", "s", "m", "e"])
def test_a_part_follows_the_class_towers_of_its_detector(size: str) -> None:
    spec = variant(f"yolov9-{size}", class_width=128)
    with torch.device("meta"):
        detector = build_detector(replace(spec, auxiliary=None))
        assert spec.auxiliary is not None
        attach_auxiliary(detector, spec.auxiliary.kind)
    assert detector.spec == spec


def test_a_part_beside_an_ungrouped_head_is_ungrouped_too() -> None:
    c = variant("gelan-c", num_classes=2)
    with torch.device("meta"):
        detector = build_detector(replace(c, head=replace(c.head, box_groups=1, bins=8)))
    expected = HeadSpec(box_width=128, class_width=512, box_groups=1, bins=8)
    assert auxiliary_spec(detector, "icn").head == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_has_the_precision_device_and_mode_of_its_detector(kind: AuxiliaryKind) -> None:
    detector = build("gelan-t", num_classes=2).bfloat16().eval()
    attach_auxiliary(detector, kind)
    assert detector.auxiliary is not None
    assert {tensor.dtype for tensor in detector.auxiliary.parameters()} == {torch.bfloat16}
    assert not any(module.training for module in detector.modules())
    on_meta = foreign_detector().to("meta").train()
    attach_auxiliary(on_meta, kind)
    assert {tensor.device.type for tensor in on_meta.state_dict().values()} == {"meta"}
    assert all(module.training for module in on_meta.modules())


def test_the_kind_none_attaches_nothing() -> None:
    detector = build("gelan-t")
    attach_auxiliary(detector, "none")
    assert detector.auxiliary is None


def test_attaching_twice_is_refused() -> None:
    detector = build("yolov9-t")
    with pytest.raises(ConfigError, match="attached already: detach it first"):
        attach_auxiliary(detector, "fpn")


def test_attaching_a_detached_part_again_restores_it() -> None:
    detector = build("yolov9-t", num_classes=2).eval()
    spec = detector.spec
    expected = detector(IMAGES).auxiliary
    part = detach_auxiliary(detector)
    assert part is not None
    attach_auxiliary(detector, part)
    again = detector(IMAGES).auxiliary
    assert detector.auxiliary is part
    assert expected is not None
    assert again is not None
    assert torch.equal(again.logits, expected.logits)
    assert detector.spec == spec


def test_a_detached_part_fits_only_its_own_kind_of_detector() -> None:
    part = detach_auxiliary(build("yolov9-t", num_classes=2))
    assert part is not None
    for other, reason in (
        (build("gelan-t", num_classes=3), "2 classes, the detector 3"),
        (build("gelan-s", num_classes=2), "(64, 96, 128) channels, the detector's backbone gives"),
    ):
        with pytest.raises(ConfigError) as caught:
            attach_auxiliary(other, part)
        assert reason in str(caught.value)
        assert other.auxiliary is None
    spec = variant("gelan-t", num_classes=2)
    other = build_detector(replace(spec, head=replace(spec.head, bins=8)))
    with pytest.raises(ConfigError, match="the part has 16 bins, the detector 8"):
        attach_auxiliary(other, part)


def test_a_part_that_comes_back_follows_precision_and_mode() -> None:
    detector = build("yolov9-t", num_classes=2).eval()
    part = detach_auxiliary(detector)
    assert part is not None
    detector.train().bfloat16()
    attach_auxiliary(detector, part)
    assert {tensor.dtype for tensor in part.parameters()} == {torch.bfloat16}
    assert all(module.training for module in detector.modules())


def test_a_new_part_has_as_many_bins_as_its_detector() -> None:
    spec = variant("gelan-t", num_classes=2)
    detector = build_detector(replace(spec, head=replace(spec.head, bins=8)))
    published = VARIANTS["yolov9-t"].auxiliary
    assert published is not None
    attach_auxiliary(detector, published)
    auxiliary = detector(IMAGES).auxiliary
    assert auxiliary is not None
    assert auxiliary.distances.shape == (2, 84, 4, 8)
    assert detector.spec is not None
    assert detector.spec.auxiliary is not None
    assert detector.spec.auxiliary.head.bins == 8


@pytest.mark.parametrize(
    ("spec", "found"), [(None, "None"), (5, "5"), ("pna", "'pna'"), (["fpn"], "['fpn']")]
)
def test_what_is_no_auxiliary_part_is_refused_plainly(spec: object, found: str) -> None:
    unchecked = inspect.unwrap(attach_auxiliary)  # the tests' own shape checks would come first
    with pytest.raises(ConfigError) as caught:
        unchecked(build("gelan-t", num_classes=1), spec)
    assert str(caught.value) == (
        f"no auxiliary part is {found}: name its kind (pfh, fpn, pan, icn or none), or give an "
        "AuxiliarySpec, or what detach_auxiliary returned"
    )


class Gives(nn.Module):
    """A backbone that gives what it was told to give."""

    def __init__(self, maps: object) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, images: Tensor) -> object:
        return self.maps


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({"a": 1, "b": 2, "c": 3}, "the backbone gave dict where a list or tuple of three maps"),
        (None, "the backbone gave NoneType where a list or tuple of three maps is needed"),
        (torch.zeros(3, 8, 8), "the backbone gave Tensor where a list or tuple of three maps"),
        ([torch.zeros(2, 24, 8, 8)] * 2, "the backbone gave 2 maps where a list or tuple of three"),
        ([None, None, None], "the backbone gave a NoneType as one of its maps"),
        ([torch.zeros(2, 24, 4, 4)] * 3, "the backbone gave a map of (24, 4, 4) (channels, hei"),
        ([torch.zeros(24, 8, 8)] * 3, "the backbone gave a map of (8, 8) (channels, height"),
    ],
)
def test_a_backbone_that_gives_no_pyramid_is_told_so(maps: object, message: str) -> None:
    detector = detector_on(Gives(maps), widths=(24, 40, 56), num_classes=3)
    with pytest.raises(ConfigError) as caught:
        detector(IMAGES)
    assert str(caught.value).startswith(message)


def test_impossible_numbers_for_a_foreign_backbone_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_classes is 0; it should be from 1 to 65536"):
        detector_on(StridedConvolutions(), widths=(24, 40, 56), num_classes=0)
    with pytest.raises(ConfigError, match=r"widths\[1\] is 0; it should be from 1 to 65536"):
        detector_on(StridedConvolutions(), widths=(24, 0, 56), num_classes=3)
    with pytest.raises(ConfigError, match="the channels of 2 maps; it should name three"):
        require_widths((24, 40))


def test_a_backbone_with_other_maps_than_announced_is_named() -> None:
    detector = detector_on(StridedConvolutions(), widths=(24, 40, 64), num_classes=3)
    with pytest.raises(ConfigError) as caught:
        detector(IMAGES)
    assert str(caught.value) == (
        "the backbone gave a map of (56, 2, 2) (channels, height, width) where (64, 2, 2) was "
        "announced for stride 32"
    )
