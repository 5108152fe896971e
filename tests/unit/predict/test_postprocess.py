from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from gelan.errors import CheckpointError, ConfigError
from gelan.geometry.boxes import cxcywh_to_xyxy
from gelan.geometry.letterbox import Placement
from gelan.predict.postprocess import EVALUATION, PostprocessSettings, postprocess
from gelan.structures.detections import Detections

GOLDEN = Path(__file__).resolve().parents[3] / ".." / "shared" / "golden"

NAMES = ("person", "car", "dog")
LEFT, MIDDLE, RIGHT = (0, 0, 10, 10), (40, 40, 60, 60), (80, 80, 90, 100)

UNMOVED = Placement(scale=1.0, left=0, top=0, size_hw=(100, 100), canvas_hw=(100, 100))
HALVED = Placement(scale=0.5, left=0, top=25, size_hw=(100, 200), canvas_hw=(100, 100))
"""With 25 rows of padding above and below the image."""


def detect(
    boxes: Sequence[tuple[float, float, float, float]],
    scores: Sequence[tuple[float, float, float]],
    settings: PostprocessSettings | None = None,
    *,
    placement: Placement = UNMOVED,
) -> Detections:
    return postprocess(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32).reshape(-1, 3),
        placement=placement,
        names=NAMES,
        source="a.jpg",
        settings=settings or PostprocessSettings(),
    )


def test_detections_come_best_first_with_names_and_source() -> None:
    found = detect([LEFT, MIDDLE], [(0.1, 0.5, 0.2), (0.1, 0.2, 0.75)])
    assert found.boxes.tolist() == [list(MIDDLE), list(LEFT)]
    assert found.scores.tolist() == [0.75, 0.5]
    assert found.labels == ["dog", "car"]
    assert (found.source, found.size_hw, found.names) == ("a.jpg", (100, 100), NAMES)


def test_a_score_equal_to_the_confidence_does_not_count() -> None:
    settings = PostprocessSettings(confidence=0.1)
    just_above = float(np.nextafter(np.float32(0.1), np.float32(1)))
    found = detect([LEFT, MIDDLE], [(0.1, 0, 0), (0, just_above, 0)], settings)
    assert found.labels == ["car"]


def test_an_anchor_stands_for_its_best_class_and_the_first_of_equals() -> None:
    found = detect([LEFT, MIDDLE], [(0.4, 0.9, 0.8), (0.3, 0.6, 0.6)])
    assert found.labels == ["car", "car"]


def test_an_anchor_with_two_classes_above_counts_once() -> None:
    """Even where the settings let copies stay."""
    settings = PostprocessSettings(iou=1.0)
    found = detect([LEFT, LEFT], [(0.5, 0.75, 0.25), (0.5, 0.25, 0.625)], settings)
    assert found.labels == ["car", "dog"]


def test_with_multi_label_an_anchor_stands_for_every_class_above() -> None:
    settings = PostprocessSettings(multi_label=True)
    found = detect([LEFT, MIDDLE], [(0.5, 0.9, 0.2), (0, 0, 0.75)], settings)
    assert found.labels == ["car", "dog", "person"]
    assert found.boxes.tolist() == [list(LEFT), list(MIDDLE), list(LEFT)]


def test_the_class_filter_comes_after_the_choice_of_the_best_class() -> None:
    """The first anchor is a car; that it might be a person does not bring it back."""
    settings = PostprocessSettings(classes=(0, 2))
    found = detect([LEFT, MIDDLE], [(0.5, 0.9, 0.2), (0, 0, 0.75)], settings)
    assert found.labels == ["dog"]


def test_the_class_filter_comes_before_suppression() -> None:
    """A car that is not wanted suppresses no dog."""
    settings = PostprocessSettings(classes=(2,), agnostic=True)
    found = detect([LEFT, LEFT], [(0, 0.9, 0), (0, 0, 0.75)], settings)
    assert found.labels == ["dog"]


def test_with_multi_label_the_class_filter_keeps_the_wanted_label() -> None:
    settings = PostprocessSettings(classes=(0,), multi_label=True)
    found = detect([LEFT], [(0.5, 0.9, 0.2)], settings)
    assert found.labels == ["person"]


def test_agnostic_lets_classes_suppress_each_other() -> None:
    boxes, scores = [LEFT, LEFT], [(0.0, 0.9, 0.0), (0.0, 0.0, 0.75)]
    assert detect(boxes, scores).labels == ["car", "dog"]
    assert detect(boxes, scores, PostprocessSettings(agnostic=True)).labels == ["car"]


def test_the_best_are_kept_when_there_are_too_many() -> None:
    settings = PostprocessSettings(max_detections=2)
    scores = [(0.5, 0.0, 0.0), (0.25, 0.75, 0.0), (0.0, 0.0, 0.625)]
    assert detect([LEFT, MIDDLE, RIGHT], scores, settings).labels == ["car", "dog"]


def test_the_overlap_allowed_is_read_from_the_settings() -> None:
    half_of_left, scores = (0, 0, 10, 5), [(0.75, 0.0, 0.0), (0.5, 0.0, 0.0)]
    for iou, count in ((0.5, 2), (0.49, 1)):
        settings = PostprocessSettings(iou=iou)
        assert len(detect([LEFT, half_of_left], scores, settings)) == count


def test_boxes_are_moved_to_the_original_image_and_clipped() -> None:
    found = detect([(10, 30, 50, 65), (-5, 20, 20, 40)], [(0.75, 0, 0)] * 2, placement=HALVED)
    assert found.boxes.tolist() == [[20, 10, 100, 80], [0, 0, 40, 30]]
    assert found.size_hw == (100, 200)


def test_a_box_without_area_in_the_image_is_left_out() -> None:
    """One lies in the border above the image, one is flat, one shows a pixel."""
    in_border, flat, corner = (10, 5, 30, 20), (40, 40, 40, 60), (-5, 10, 0.5, 25.5)
    found = detect([in_border, flat, corner], [(0.75, 0, 0)] * 3, placement=HALVED)
    assert found.boxes.tolist() == [[0, 0, 1, 1]]


def test_boxes_without_area_in_the_image_take_no_places_from_others() -> None:
    settings = PostprocessSettings(max_detections=2)
    padding = [(x, 0.0, x + 8, 20.0) for x in (0.0, 20.0, 40.0)]
    scores = [(0.9, 0, 0), (0.8, 0, 0), (0.7, 0, 0), (0.6, 0, 0), (0.5, 0, 0), (0.4, 0, 0)]
    inside = [(0.0, 30.0, 8.0, 40.0), (20.0, 30.0, 28.0, 40.0), (40.0, 30.0, 48.0, 40.0)]
    found = detect([*padding, *inside], scores, settings, placement=HALVED)
    assert found.scores.tolist() == pytest.approx([0.6, 0.5])
    assert found.boxes.tolist() == [[0, 10, 16, 30], [40, 10, 56, 30]]


def test_nothing_above_the_confidence_gives_no_detections() -> None:
    for boxes, scores in (([LEFT], [(0.25, 0.1, 0.0)]), ([], [])):
        found = detect(boxes, scores)
        assert len(found) == 0
        assert (found.source, found.size_hw, found.names) == ("a.jpg", (100, 100), NAMES)


def test_scores_in_any_memory_layout_give_the_same() -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 60, (50, 2))
    boxes = np.concatenate([corners, corners + 30], axis=1).astype(np.float32)
    scores = random.random((50, 3), dtype=np.float32)
    for settings in (PostprocessSettings(), EVALUATION):
        first, second = (
            postprocess(
                boxes,
                layout,
                placement=UNMOVED,
                names=NAMES,
                source="",
                settings=settings,
            )
            for layout in (scores, np.asfortranarray(scores))
        )
        np.testing.assert_array_equal(first.boxes, second.boxes)
        np.testing.assert_array_equal(first.scores, second.scores)
        np.testing.assert_array_equal(first.classes, second.classes)


@pytest.mark.parametrize("multi_label", [False, True])
def test_nan_is_an_error_and_not_a_missing_detection(multi_label: bool) -> None:
    settings = PostprocessSettings(multi_label=multi_label, classes=(0,))
    with pytest.raises(CheckpointError) as caught:
        detect([LEFT, MIDDLE], [(0.5, 0, 0), (0, np.nan, 0)], settings)
    assert str(caught.value) == (
        "a.jpg: the network gave 1 boxes or scores that are not finite numbers; its weights are "
        "damaged or too large for half precision: check the file, or run in float32"
    )
    with pytest.raises(CheckpointError, match=r"a\.jpg: the network gave 1 boxes or scores"):
        detect([(0, 0, np.inf, 10)], [(0.5, 0, 0)], settings)


def test_names_of_another_network_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        postprocess(
            np.zeros((1, 4), np.float32),
            np.zeros((1, 80), np.float32),
            placement=UNMOVED,
            names=NAMES,
            source="a.jpg",
            settings=PostprocessSettings(),
        )
    assert str(caught.value) == (
        "a.jpg: the network scores 80 classes, but 3 names are given; "
        "use the names that belong to these weights"
    )


@pytest.mark.parametrize("index", [-1, 3])
def test_a_class_that_the_network_does_not_have_is_refused(index: int) -> None:
    with pytest.raises(ConfigError) as caught:
        detect([LEFT], [(0.5, 0, 0)], PostprocessSettings(classes=(0, index)))
    assert str(caught.value) == f"class {index} is outside 0..2; check 'classes'"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"confidence": 1.5}, "confidence is 1.5; it must lie between 0 and 1"),
        ({"confidence": float("nan")}, "confidence is nan; it must lie between 0 and 1"),
        ({"iou": -0.1}, "iou is -0.1; it must lie between 0 and 1"),
        ({"max_detections": 0}, "max_detections is 0; it must be at least 1"),
        ({"classes": ()}, "classes is empty: name at least one class, or none to get all"),
    ],
)
def test_a_setting_outside_its_range_says_so(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PostprocessSettings(**values)  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("key", "every", "settings"),
    [
        ("nms.val", 4, EVALUATION),
        ("nms.val_c5", 1, PostprocessSettings(confidence=0.5, iou=0.7, multi_label=True)),
        ("nms.detect", 1, PostprocessSettings(max_detections=1000)),
        ("nms.agnostic", 1, PostprocessSettings(max_detections=1000, agnostic=True)),
    ],
)
def test_suppression_agrees_with_the_recorded_one(
    key: str, every: int, settings: PostprocessSettings
) -> None:
    """Of gelan-t's recorded output at 320 x 320, of which `nms.val` saw every fourth anchor.

    The canvas is moved far into a larger image, so that nothing is clipped.
    """
    for name in ("eval.npz", "gelan-t.npz"):
        if not (GOLDEN / name).exists():
            pytest.skip(f"../shared/golden/{name} is absent")
    output = np.load(GOLDEN / "gelan-t.npz")["320x320.main_dec"][0].T[::every]
    found = postprocess(
        cxcywh_to_xyxy(output[:, :4]),
        output[:, 4:],
        placement=Placement(
            scale=1.0, left=-1024, top=-1024, size_hw=(4096, 4096), canvas_hw=(320, 320)
        ),
        names=[str(index) for index in range(80)],
        source="",
        settings=settings,
    )
    recorded = np.load(GOLDEN / "eval.npz")[key]
    np.testing.assert_allclose(found.boxes - 1024, recorded[:, :4], rtol=0, atol=1e-3)
    np.testing.assert_array_equal(found.scores, recorded[:, 4])
    np.testing.assert_array_equal(found.classes, recorded[:, 5])


def test_boxes_agree_with_the_recorded_rescaling() -> None:
    """The record: an image of 1000 x 700 on a canvas of 640 x 480, 16 pixels of border beside."""
    if not (GOLDEN / "eval.npz").exists():
        pytest.skip("../shared/golden/eval.npz is absent")
    recorded = np.load(GOLDEN / "eval.npz")
    placement = Placement(scale=0.64, left=16, top=0, size_hw=(1000, 700), canvas_hw=(640, 480))
    original = placement.to_original(recorded["scale.in"])
    np.testing.assert_allclose(original, recorded["scale.auto"], rtol=0, atol=1e-3)


def test_the_confidence_is_compared_as_the_float32_that_a_score_is() -> None:
    """0.3 in float32 is greater than 0.3 in float64, and numpy compares in the wider of the two."""
    settings = PostprocessSettings(confidence=np.float64(0.3))
    assert np.float32(0.3) > np.float64(0.3)
    assert len(detect([LEFT], [(0.3, 0, 0)], settings)) == 0
