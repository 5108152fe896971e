from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gelan.model.detector import Detector
from gelan.structures.classes import ClassTable
from gelan.train.network import (
    arrange_auxiliary,
    network_name,
    published_kind,
    starting_weights,
)
from gelan.weights.changes import without_auxiliary
from gelan.weights.loading import LoadedWeights, load_weights, new_weights, save_weights
from tests.unit.train.little import differing, little_network, settings

NAMES = ClassTable(("crab", "fish", "snail", "starfish", "scallop", "weed"))
IMAGES = torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)


def bits(detector: Detector) -> dict[str, torch.Tensor]:
    return dict(detector.state_dict())


def little_file(folder: Path, *, licence: str = "MIT (somebody)") -> Path:
    weights = new_weights(little_network(seed=5), NAMES, training={}, metrics={"ap": 0.5})
    metadata = replace(weights.metadata, licence=licence, provenance={"family": "official"})
    path = folder / "start.safetensors"
    save_weights(path, replace(weights, metadata=metadata, notes=("be careful",)))
    return path


def started(path: Path, classes: ClassTable) -> tuple[LoadedWeights, tuple[str, ...]]:
    return starting_weights(settings(weights=str(path), size=96), classes)


def test_the_same_seed_gives_the_same_bits_and_another_one_others() -> None:
    networks = []
    for seed in (3, 3, 4):
        torch.rand(seed)  # whatever was drawn before
        config = settings(model="gelan-t", pgi="on", seed=seed)
        weights, notes = starting_weights(config, ClassTable(("a",)))
        assert notes == ()
        assert arrange_auxiliary(weights.detector, config) == ()
        networks.append(bits(weights.detector))
    assert differing(networks[0], networks[1]) == []
    changed = differing(networks[0], networks[2])
    assert any(name.startswith("backbone.") for name in changed)
    assert any(name.startswith("auxiliary.") for name in changed)


def test_torchs_own_random_state_stays(tmp_path: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    config = settings(model="gelan-t", pgi="on")
    weights, _ = starting_weights(config, ClassTable(("a",)))
    arrange_auxiliary(weights.detector, config)
    assert torch.equal(torch.rand(2), expected)


def test_fresh_weights_are_whose_who_trains_them() -> None:
    weights, _ = starting_weights(settings(model="gelan-t"), ClassTable(("a",)))
    assert weights.metadata.licence == "not stated: whoever trained the network decides"
    assert weights.preprocessing.size == 64


def test_weights_of_the_same_classes_are_taken_over_whole(tmp_path: Path) -> None:
    path = little_file(tmp_path)
    weights, notes = started(path, ClassTable(NAMES.names, category_ids=(9, 8, 7, 6, 5, 4)))
    assert differing(bits(weights.detector), bits(load_weights(path).detector)) == []
    assert notes == ("be careful",)
    assert weights.classes.category_ids == (9, 8, 7, 6, 5, 4)
    assert weights.preprocessing.size == 96


def test_licence_and_origin_are_carried_on_but_neither_notes_nor_figures(tmp_path: Path) -> None:
    weights, _ = started(little_file(tmp_path), NAMES)
    assert weights.metadata.licence == "MIT (somebody)"
    origin = weights.metadata.provenance["started_from"]
    assert isinstance(origin, dict)
    assert origin["file"] == "start.safetensors"
    assert len(origin["sha256"]) == 64
    assert origin["family"] == "official"
    assert (weights.metadata.metrics, weights.notes, weights.training_notes) == ({}, (), ())


@pytest.mark.parametrize(
    ("classes", "count"),
    [
        (ClassTable(("crab", "fish")), "2 classes instead of 6"),
        (ClassTable(tuple("abcdefgh")), "8 classes instead of 6"),
        (ClassTable(NAMES.names[::-1]), "6 classes instead of 6"),
    ],
)
def test_other_classes_begin_anew_and_that_is_said(
    tmp_path: Path, classes: ClassTable, count: str
) -> None:
    path = little_file(tmp_path)
    weights, notes = started(path, classes)
    before, after = bits(load_weights(path).detector), bits(weights.detector)
    changed = differing(before, after)
    assert changed
    assert all(".classes." in name and ".2." in name for name in changed if name in before)
    assert weights.detector.head.num_classes == len(classes)
    assert notes[0] == "be careful"
    assert len(notes) == 2
    assert count in notes[1]


def test_what_was_said_about_nameless_files_does_not_hide_what_is_new(tmp_path: Path) -> None:
    nameless = new_weights(little_network(), ClassTable.unnamed(6), training={}, metrics={})
    said = "the file has no class names; they are called 'class 0', 'class 1', ..."
    path = tmp_path / "nameless.safetensors"
    save_weights(path, replace(nameless, notes=(said,)))
    _, notes = started(path, ClassTable(("a", "b")))
    assert notes[0] == said
    assert "were not taken over" in notes[1]


def test_a_file_without_auxiliary_part_gets_a_fresh_one_if_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "converted.safetensors"
    whole = load_weights(little_file(tmp_path))
    save_weights(path, without_auxiliary(whole))
    weights, notes = started(path, NAMES)
    assert notes[-1] == "the auxiliary part was left out"
    main = weights.detector(IMAGES).main
    config = settings(weights=str(path), pgi="on")
    assert arrange_auxiliary(weights.detector, config) == (
        "the auxiliary part (fpn) is new: the weights come without one",
    )
    assert weights.detector.auxiliary is not None
    assert torch.equal(weights.detector(IMAGES).main.logits, main.logits)
    assert weights.training_notes == ()


def test_an_auxiliary_part_of_the_wanted_kind_is_kept_and_another_exchanged() -> None:
    detector = little_network()
    before = {name: tensor.clone() for name, tensor in bits(detector).items()}
    assert arrange_auxiliary(detector, settings(weights="a.pt")) == ()
    assert differing(before, bits(detector)) == []
    said = arrange_auxiliary(detector, settings(weights="a.pt", pgi_kind="pfh"))
    assert said == ("the auxiliary part (pfh) is new: they come with another kind",)
    assert detector.auxiliary is not None
    assert detector.auxiliary.spec.kind == "pfh"
    assert all(name.startswith("auxiliary.") for name in differing(before, bits(detector)))


def test_pgi_is_on_until_an_epoch_or_off_from_the_start() -> None:
    detector = little_network()
    arrange_auxiliary(detector, settings(pgi="until:1"))
    assert detector.auxiliary is not None
    arrange_auxiliary(detector, settings(pgi="off"))
    assert detector.auxiliary is None


def test_networks_have_their_published_kind_and_name() -> None:
    weights, _ = starting_weights(settings(model="gelan-c"), ClassTable(("a",)))
    assert network_name(weights.detector) == "gelan-c"
    assert published_kind(weights.detector) == "icn"
    assert network_name(little_network()) == "a network of your own"
    assert published_kind(little_network()) == "fpn"
