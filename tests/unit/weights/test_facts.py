"""What is said about a network: notes, training, metrics, licence, name; kept in our own format."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from gelan.errors import CheckpointError, ConfigError
from gelan.model.detector import Detector, detector_on
from gelan.model.reparameterize import reparameterize
from gelan.model.specs import DetectorSpec
from gelan.model.variants import VARIANTS, build, variant
from gelan.structures.classes import ClassTable
from gelan.weights.archive import FoundState
from gelan.weights.changes import with_classes, without_auxiliary
from gelan.weights.checkpoint import Metadata, save_checkpoint
from gelan.weights.facts import licence_of, metrics_of, training_of
from gelan.weights.loading import LoadedWeights, load_weights, new_weights, save_weights
from gelan.weights.naming import family_of, network_in_words
from tests.shared_files import shared
from tests.unit.weights.torch_files import foreign

IMAGES = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
CLASSES = ClassTable(("cat", "dog"), (17, 18))


@pytest.fixture(scope="module")
def trained() -> LoadedWeights:
    """A small network as training stores it."""
    torch.manual_seed(0)
    return new_weights(
        build("yolov9-t", num_classes=2).eval(),
        CLASSES,
        training={"epochs": 3, "mapping": {"kitten": "cat"}},
        metrics={"ap": 0.5},
        notes=("it saw 8 images",),
    )


def saved_and_read(weights: LoadedWeights, folder: Path) -> LoadedWeights:
    save_weights(folder / "a.safetensors", weights)
    return load_weights(folder / "a.safetensors")


def states_are_equal(first: Detector, second: Detector) -> bool:
    states = first.state_dict(), second.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(tensor, states[1][name]) for name, tensor in states[0].items()
    )


# Our own format keeps what is said


def test_everything_that_training_says_is_read_again(
    trained: LoadedWeights, tmp_path: Path
) -> None:
    again = saved_and_read(trained, tmp_path)
    assert again.metadata.training == {"epochs": 3, "mapping": {"kitten": "cat"}}
    assert again.metadata.metrics == {"ap": 0.5}
    assert again.notes == ("it saw 8 images",)
    assert again.classes == CLASSES
    assert again.metadata.licence == "not stated: whoever trained the network decides"
    assert again.description == "yolov9-t"


def test_a_fine_tune_keeps_the_licence_and_names_its_start(trained: LoadedWeights) -> None:
    provenance: dict[str, object] = {"file": "start.pt", "sha256": "00"}
    metadata = replace(trained.metadata, licence="GPL-3.0", provenance=provenance)
    start = replace(trained, metadata=metadata)
    tuned = new_weights(trained.detector, CLASSES, training={}, metrics={}, start=start)
    assert tuned.metadata.licence == "GPL-3.0"
    assert tuned.metadata.provenance == {"started_from": provenance}
    assert tuned.notes == ()


def test_as_many_names_as_class_outputs_are_stored(trained: LoadedWeights) -> None:
    with pytest.raises(ConfigError, match="1 names for a network of 2 classes"):
        new_weights(trained.detector, ClassTable(("a",)), training={}, metrics={})


def test_untrained_class_outputs_are_told_whenever_the_file_is_read(
    trained: LoadedWeights, tmp_path: Path
) -> None:
    again = saved_and_read(with_classes(trained, ClassTable(("plate",))), tmp_path)
    assert "12 of 1770 tensors were not taken over, for 1 classes" in again.notes[-1]
    assert again.notes[-1].endswith("until they are trained, its detections mean nothing")
    assert again.metadata.metrics == {}


def test_an_auxiliary_part_that_was_left_out_is_told_whenever_the_file_is_read(
    trained: LoadedWeights, tmp_path: Path
) -> None:
    deployed = without_auxiliary(trained)
    again = saved_and_read(deployed, tmp_path)
    assert again.training_notes == ("the auxiliary part was left out",)
    assert again.description == "yolov9-t, auxiliary part left out"
    assert again.detector.auxiliary is None
    assert trained.detector.auxiliary is not None
    main = trained.detector(IMAGES).main
    assert torch.equal(again.detector(IMAGES).main.logits, main.logits)
    assert without_auxiliary(again) is again


def test_folded_normalisation_is_told_whenever_the_file_is_read(
    trained: LoadedWeights, tmp_path: Path
) -> None:
    noted = replace(trained, training_notes=("BatchNorm was folded into 3 convolutions",))
    assert saved_and_read(noted, tmp_path).training_notes == noted.training_notes


@pytest.mark.parametrize("notes", ["text", [1], {"a": 1}])
def test_notes_of_another_form_are_refused(
    trained: LoadedWeights, tmp_path: Path, notes: object
) -> None:
    metadata = replace(trained.metadata, provenance={"notes": notes})
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, trained.detector.state_dict(), metadata=metadata)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: provenance 'notes' is no list of"):
        load_weights(path)


# New class outputs


def test_new_class_outputs_follow_from_the_seed_alone(trained: LoadedWeights) -> None:
    torch.manual_seed(1)
    first = with_classes(trained, ClassTable(("plate",)))
    before = torch.get_rng_state()
    second = with_classes(trained, ClassTable(("plate",)))
    other = with_classes(trained, ClassTable(("plate",)), seed=1)
    assert states_are_equal(first.detector, second.detector)
    assert not states_are_equal(first.detector, other.detector)
    assert torch.equal(torch.get_rng_state(), before)


def test_new_class_outputs_are_drawn_as_torch_does(trained: LoadedWeights) -> None:
    fresh = with_classes(trained, ClassTable.unnamed(50)).detector.state_dict()
    weight = fresh["head.classes.0.2.weight"]
    bound = 1 / weight.shape[1] ** 0.5
    assert weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_a_network_of_no_class_is_refused(trained: LoadedWeights) -> None:
    with pytest.raises(ConfigError, match="at least 1 class"):
        with_classes(trained, ClassTable(()))


# What cannot be stored


def test_a_reparameterised_network_is_not_stored(trained: LoadedWeights, tmp_path: Path) -> None:
    folded = replace(trained, detector=reparameterize(trained.detector))
    with pytest.raises(ConfigError, match=r"re-parameterised|not those of its spec"):
        save_weights(tmp_path / "a.safetensors", folded)
    assert list(tmp_path.iterdir()) == []


class Backbone(nn.Module):
    """Three maps from one convolution each."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Conv2d(3, 8, 1, stride=stride) for stride in (8, 16, 32))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(part(images) for part in self.maps)


def test_a_network_on_a_foreign_backbone_is_not_stored(
    trained: LoadedWeights, tmp_path: Path
) -> None:
    other = replace(trained, detector=detector_on(Backbone(), widths=(8, 8, 8), num_classes=2))
    with pytest.raises(ConfigError, match="this network has no spec: it is re-parameterised, or"):
        save_weights(tmp_path / "a.safetensors", other)
    for change in (without_auxiliary, lambda weights: with_classes(weights, CLASSES)):
        with pytest.raises(ConfigError, match="a network without a spec"):
            change(other)


def test_a_network_that_was_changed_after_it_was_built_is_not_stored(
    trained: LoadedWeights, tmp_path: Path
) -> None:
    changed = build("gelan-t", num_classes=2)
    changed.register_buffer("extra", torch.zeros(1))
    with pytest.raises(ConfigError, match="tensors are not those of its spec"):
        save_weights(tmp_path / "a.safetensors", replace(trained, detector=changed))


@pytest.mark.parametrize("field", ["depth", "branches"])
def test_an_absurd_architecture_is_refused_before_it_is_built(
    trained: LoadedWeights, tmp_path: Path, field: str
) -> None:
    architecture = trained.metadata.architecture
    backbone = dict(architecture["backbone"])  # type: ignore[call-overload]
    stage = dict(backbone["stage2"])
    elan = {**stage["elan"], field: 10**9}
    changed = {**architecture, "backbone": {**backbone, "stage2": {**stage, "elan": elan}}}
    path = tmp_path / "a.safetensors"
    metadata = replace(trained.metadata, architecture=changed)
    save_checkpoint(path, trained.detector.state_dict(), metadata=metadata)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: "):
        load_weights(path)


# What a published file says of itself


def found(**attributes: object) -> FoundState:
    return FoundState(
        tensors={}, where="", names=None, licence=None, attributes=attributes, notes=()
    )


def test_arguments_of_the_run_hold_over_those_of_the_model() -> None:
    told = found(hyp={"lr0": 0.1, "box": 7.5}, opt={"lr0": 0.01, "epochs": 500}, nc=2)
    assert training_of(told) == {"lr0": 0.01, "box": 7.5, "epochs": 500}
    assert training_of(found(args={"imgsz": 640}, train_args={"imgsz": 320})) == {"imgsz": 320}
    assert training_of(found(opt="a text")) == {}


def test_metrics_are_taken_over() -> None:
    told = found(train_metrics={"map50": 0.5}, best_fitness=0.25)
    assert metrics_of(told) == {"map50": 0.5, "best_fitness": 0.25}
    assert metrics_of(found()) == {}
    assert metrics_of(found(best_fitness="<record of numpy.ndarray>")) == {}


def test_training_and_metrics_of_a_published_file_come_into_its_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.unit.weights.test_loading import layout_of, published_tensors, small

    layout = layout_of("official", "t", auxiliary=True)
    content = {
        "ema": published_tensors(small(), layout, "model."),
        "opt": {"epochs": 500},
        "best_fitness": 0.25,
        "epoch": 7,
    }
    torch.save(content, tmp_path / "last.pt")
    weights = load_weights(tmp_path / "last.pt")
    assert weights.metadata.training == {"epochs": 500}
    assert weights.metadata.metrics == {"best_fitness": 0.25}
    assert weights.metadata.provenance["attributes"] == {"epoch": 7}


def test_other_activations_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = foreign(
        monkeypatch,
        "models.yolo.DetectionModel",
        parts={"model": nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU())},
    )
    torch.save({"model": model}, tmp_path / "relu.pt")
    with pytest.raises(CheckpointError, match=r"its activations are \['ReLU'\], where every"):
        load_weights(tmp_path / "relu.pt")


STATED = "AGPL-3.0 License"


@pytest.mark.parametrize(
    ("licence", "kind", "layout", "family", "expected"),
    [
        (STATED, "ultralytics.nn.tasks.DetectionModel", "official", "ultralytics", STATED),
        (None, "ultralytics.nn.tasks.A", "official", "ultralytics", "AGPL-3.0 if it is ultralyti"),
        (None, "models.yolo.DetectionModel", "official", "official", "GPL-3.0 if it is WongKinYiu"),
        (None, "", "multimediatechlab", "multimediatechlab", "MIT if it is MultimediaTechLab's ow"),
        (
            None,
            "",
            "official",
            "unknown (official layout)",
            "unknown: ask where the file came from",
        ),
        (None, "a.B", "official", "unknown (official layout)", "unknown: ask where the file came"),
    ],
)
def test_family_and_licence_are_claimed_as_far_as_the_file_tells(
    licence: str | None, kind: str, layout: str, family: str, expected: str
) -> None:
    told = replace(found(**({"class": kind} if kind else {})), licence=licence)
    assert family_of(layout, told.attributes) == family
    said = licence_of(told, family)
    assert expected in said
    assert said == licence or said.startswith(("not stated in the file: ", "unknown"))


# What it is called


def with_groups(name: str, groups: int) -> DetectorSpec:
    spec = variant(name)
    return replace(spec, head=replace(spec.head, box_groups=groups))


CLASSED = {"family": "official", "attributes": {"class": "ultralytics.nn.tasks.DetectionModel"}}
ULTRALYTICS = {**CLASSED, "family": "ultralytics"}
OFFICIAL = {"family": "official", "attributes": {"class": "models.yolo.DetectionModel"}}
UNKNOWN = {"family": "unknown (official layout)"}
BOTH = "yolov9-c, auxiliary part left out (converted), or gelan-c trained alone"


@pytest.mark.parametrize(
    ("name", "groups", "provenance", "expected"),
    [
        ("yolov9-c", 4, OFFICIAL, "yolov9-c"),
        ("gelan-c", 4, OFFICIAL, BOTH),
        ("gelan-c", 4, {"family": "official"}, BOTH),
        ("gelan-c", 4, UNKNOWN, BOTH),
        ("gelan-c", 1, CLASSED, "yolov9-c as ultralytics builds it, without auxiliary part"),
        ("gelan-c", 1, UNKNOWN, "yolov9-c as ultralytics builds it, without auxiliary part"),
        ("gelan-c", 1, ULTRALYTICS, "yolov9-c as ultralytics builds it, without auxiliary part"),
        ("gelan-c", 1, {"family": "official"}, "yolov9-c as ultralytics builds it, without auxi"),
        ("gelan-c", 1, OFFICIAL, BOTH),
        ("gelan-t", 4, {"family": "multimediatechlab"}, "yolov9-t, trained or saved without auxi"),
        ("gelan-e", 4, {"auxiliary": "left out"}, "yolov9-e, auxiliary part left out"),
        ("gelan-m", 4, {}, "gelan-m"),
    ],
)
def test_a_network_is_called_what_its_file_tells(
    name: str, groups: int, provenance: dict[str, object], expected: str
) -> None:
    assert network_in_words(with_groups(name, groups), provenance).startswith(expected)


def test_a_network_of_other_widths_is_of_its_own() -> None:
    spec = VARIANTS["gelan-t"]
    other = replace(spec, backbone=replace(spec.backbone, stem=24))
    assert network_in_words(other, {}) == "a network of its own"


def test_a_trained_ultralytics_network_is_not_called_gelan() -> None:
    weights = load_weights(shared("weights/yolov9t-ultralytics-coco-fp32.pt"))
    assert weights.description == "yolov9-t as ultralytics builds it, without auxiliary part"


# Writing


def test_nothing_is_overwritten_unless_told(trained: LoadedWeights, tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    save_weights(path, trained)
    first = path.read_bytes()
    with pytest.raises(CheckpointError, match="exists already, and is not overwritten"):
        save_weights(path, replace(trained, notes=()))
    assert path.read_bytes() == first
    save_weights(path, replace(trained, notes=()), overwrite=True)
    assert load_weights(path).notes == ()
    assert [entry.name for entry in tmp_path.iterdir()] == ["best.safetensors"]


def test_a_write_that_fails_leaves_the_old_file(
    trained: LoadedWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "best.safetensors"
    path.write_text("the old file")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(CheckpointError, match="on device; make room on the disk, or choose"):
        save_weights(path, trained, overwrite=True)
    assert path.read_text() == "the old file"
    assert [entry.name for entry in tmp_path.iterdir()] == ["best.safetensors"]


@pytest.mark.parametrize("name", ["a" * 300, "a" * 250])
def test_a_name_that_is_too_long_gives_one_line(
    trained: LoadedWeights, tmp_path: Path, name: str
) -> None:
    with pytest.raises(CheckpointError, match="cannot be written: File name too long"):
        save_weights(tmp_path / name, trained)


def test_metadata_that_are_too_long_to_be_read_are_not_written(
    trained: LoadedWeights, tmp_path: Path
) -> None:
    metadata: Metadata = replace(trained.metadata, training={"log": "a" * 3_000_000})
    with pytest.raises(CheckpointError, match="characters: too many to be read"):
        save_weights(tmp_path / "a.safetensors", replace(trained, metadata=metadata))
    assert list(tmp_path.iterdir()) == []
