from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gelan.data.dataset import Dataset
from gelan.data.description import open_dataset
from gelan.data.drawn import scene
from gelan.data.drawn.animals import ANIMALS, CLASSES
from gelan.data.drawn.dataset import DESCRIPTION, draw_dataset
from gelan.data.drawn.painting import Figure, Layer, Light, Tone, on_canvas, painted, pose, put
from gelan.data.drawn.scene import LEAST_SEEN, MOST_ANIMALS, draw_sample, extent, outlines, visible
from gelan.data.drawn.scenery import foam, pebble, seaweed
from gelan.data.health.report import examine
from gelan.errors import ConfigError
from gelan.structures.samples import Sample

SMALL = (96, 128)
FROM_ABOVE = Light(direction=np.array([0.0, 0.0, 1.0], np.float32), shadow=0.5)
GREY = np.full((4, 3), 100, np.float32)


def small(index: int, split: str = "train", seed: int = 0) -> Sample:
    return draw_sample(index, split=split, seed=seed, size_hw=SMALL)


@cache
def many() -> tuple[Sample, ...]:
    """Pictures for tests that only look at them."""
    return tuple(small(index) for index in range(60))


def square(half: float) -> Figure:
    corners = half * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    return (Layer(points=corners, tone=Tone.BODY),)


def test_the_same_picture_comes_whatever_was_drawn_before() -> None:
    first = small(3)
    small(2)
    again = small(3)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.annotations.boxes, again.annotations.boxes)


def test_pictures_differ_by_index_split_and_seed() -> None:
    pictures = [small(1), small(2), small(1, split="val"), small(1, seed=1)]
    assert len({picture.image.tobytes() for picture in pictures}) == 4


def test_a_sample_is_an_image_of_the_size_with_at_most_so_many_animals() -> None:
    counts = [len(sample.annotations) for sample in many()]
    assert {sample.image.shape for sample in many()} == {(*SMALL, 3)}
    assert min(counts) >= 0
    assert max(counts) <= MOST_ANIMALS
    assert len(set(counts)) > 3


def test_boxes_are_the_extents_of_what_is_seen_of_each_animal() -> None:
    for seed in range(12):
        drawn = scene._new_scene(np.random.default_rng(seed), SMALL)
        scene._populate(drawn, CLASSES.names)
        found = scene._annotations(drawn)
        assert len(found) == len(drawn.seen) == len(drawn.classes)
        for number, seen in enumerate(drawn.seen):
            rows, columns = np.nonzero(seen >= 0.5)
            hull = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert found.boxes[number].tolist() == hull
            assert found.areas[number] == len(rows) >= LEAST_SEEN * drawn.wholes[number]


def test_hulls_of_outlines_are_the_boxes() -> None:
    for sample in many():
        found = sample.annotations
        for box, parts in zip(found.boxes, found.polygons, strict=True):
            points = np.concatenate(parts)
            assert [*points.min(axis=0), *points.max(axis=0)] == pytest.approx(box, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    left=st.integers(0, 20),
    top=st.integers(0, 20),
    width=st.integers(2, 12),
    height=st.integers(2, 12),
)
def test_outline_and_extent_of_a_filled_rectangle_are_the_rectangle(
    left: int, top: int, width: int, height: int
) -> None:
    mask = np.zeros((32, 32), bool)
    mask[top : top + height, left : left + width] = True
    assert extent(mask) == (left, top, left + width, top + height)
    (outline,) = outlines(mask)
    corners = {(left, top), (left + width, top), (left, top + height), (left + width, top + height)}
    assert {(float(x), float(y)) for x, y in outline} == corners


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.integers(0, 255), min_size=6, max_size=6))
def test_each_part_of_any_mask_has_an_outline_with_its_hull(rows: list[int]) -> None:
    mask = np.unpackbits(np.array(rows, np.uint8)[:, None], axis=1).astype(bool)
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    hulls = [[*part.min(axis=0).tolist(), *part.max(axis=0).tolist()] for part in outlines(mask)]
    outer = [list(extent(labels == number)) for number in range(1, int(labels.max()) + 1)]
    assert all(len(part) >= 3 for part in outlines(mask))
    assert all(hull in hulls for hull in outer if not within_another(hull, outer))


def within_another(hull: list[int], hulls: list[list[int]]) -> bool:
    """Parts in a hole of another have no outline of their own."""
    return any(
        other != hull
        and other[0] <= hull[0]
        and other[1] <= hull[1]
        and other[2] >= hull[2]
        and other[3] >= hull[3]
        for other in hulls
    )


@pytest.mark.parametrize(("width", "height"), [(1, 1), (5, 1), (1, 5)])
def test_the_outline_of_a_line_of_pixels_has_their_area(width: int, height: int) -> None:
    mask = np.zeros((8, 8), bool)
    mask[2 : 2 + height, 1 : 1 + width] = True
    (outline,) = outlines(mask)
    assert cv2.contourArea(outline) == width * height


def test_an_outline_covers_what_was_drawn() -> None:
    mask = np.zeros((64, 64), np.uint8)
    cv2.circle(mask, (30, 30), 20, 1, -1)
    (outline,) = outlines(mask > 0)
    area = abs(float(cv2.contourArea(outline)))
    assert area == pytest.approx(float(mask.sum()), rel=0.04)


def test_parts_that_do_not_touch_have_outlines_of_their_own() -> None:
    mask = np.zeros((8, 8), bool)
    mask[1:3, 1:3] = mask[5:7, 4:8] = True
    hulls = [[*part.min(axis=0).tolist(), *part.max(axis=0).tolist()] for part in outlines(mask)]
    assert sorted(hulls) == [[1, 1, 3, 3], [4, 5, 8, 7]]


def test_a_square_covers_the_pixels_that_it_should() -> None:
    patch = painted(square(0.5), palette=GREY, matrix=pose(radius=20.0, turn=0.0), light=FROM_ABOVE)
    assert patch.alpha.shape == (22, 22)
    assert float(patch.alpha.sum()) == pytest.approx(400, rel=0.05)
    cover = on_canvas(patch, left=-11, top=5, size_hw=(40, 30))
    assert extent(visible(cover)) == (0, 6, 10, 26)


def test_a_patch_far_outside_changes_nothing() -> None:
    patch = painted(square(0.5), palette=GREY, matrix=pose(radius=9.0, turn=0.3), light=FROM_ABOVE)
    for left, top in ((-200, 5), (200, 5), (5, -200), (5, 200)):
        picture = np.full((20, 30, 3), 50, np.float32)
        put(picture, patch, left=left, top=top, light=FROM_ABOVE)
        assert (picture == 50).all()
        assert not on_canvas(patch, left=left, top=top, size_hw=(20, 30)).any()


def test_a_shadow_darkens_the_ground_on_the_side_away_from_the_light() -> None:
    aslant = np.array([0.6, 0.0, 0.8], np.float32)
    light = Light(direction=aslant, shadow=0.5)
    patch = painted(square(0.5), palette=GREY, matrix=pose(radius=20.0, turn=0.0), light=light)
    picture = np.full((60, 60, 3), 200, np.float32)
    put(picture, patch, left=20, top=20, light=light)
    assert picture[30, 19, 0] < 150  # the square reaches from column 21 to 40
    assert picture[30, 45, 0] == pytest.approx(200, abs=1)


@pytest.mark.parametrize("draw", [*ANIMALS.values(), pebble, seaweed, foam])
def test_figures_fill_about_the_circle_of_radius_1(
    draw: Callable[[np.random.Generator], Figure],
) -> None:
    for seed in range(20):
        figure = draw(np.random.default_rng(seed))
        points = np.concatenate([layer.points for layer in figure if not layer.is_marking])
        assert 0.7 < np.linalg.norm(points, axis=1).max() < 1.35


@pytest.mark.parametrize("draw", ANIMALS.values(), ids=ANIMALS)
def test_an_animal_is_of_one_piece_at_any_size_that_is_drawn(
    draw: Callable[[np.random.Generator], Figure],
) -> None:
    for seed in range(10):
        random = np.random.default_rng(seed)
        matrix = pose(radius=random.uniform(26, 70), turn=random.uniform(0, 6), stretch=-1.2)
        patch = painted(draw(random), palette=GREY, matrix=matrix, light=FROM_ABOVE)
        assert len(outlines(visible(patch.alpha))) == 1


def test_colours_do_not_tell_the_class() -> None:
    """The classifier that knows only the mean colour of each box is hardly better than chance."""
    means, classes = [], []
    for sample in many():
        for box, chosen in zip(sample.annotations.boxes, sample.annotations.classes, strict=True):
            left, top, right, bottom = box.astype(int)
            means.append(sample.image[top:bottom, left:right].mean(axis=(0, 1)))
            classes.append(int(chosen))
    colors, labels = np.array(means), np.array(classes)
    distances = np.linalg.norm(colors[:, None] - colors[None], axis=2) + 1e9 * np.eye(len(colors))
    right_share = float((labels[distances.argmin(axis=1)] == labels).mean())
    assert len(labels) > 150
    assert right_share < 0.35  # chance is 0.2


def test_a_data_set_reads_back_as_it_was_drawn(tmp_path: Path) -> None:
    place = draw_dataset(tmp_path / "pool", images={"train": 6, "val": 4}, size_hw=SMALL, seed=7)
    found = open_dataset(place)
    assert (found.kind, found.classes) == ("yolo", CLASSES)
    assert {split: len(records) for split, records in found.splits.items()} == {
        "train": 6,
        "val": 4,
    }
    for split, records in found.splits.items():
        data = Dataset(records)
        for index in range(len(data)):
            drawn = draw_sample(index, split=split, seed=7, size_hw=SMALL)
            assert data[index].annotations.boxes == pytest.approx(drawn.annotations.boxes, abs=1e-4)
            assert data[index].annotations.classes.tolist() == drawn.annotations.classes.tolist()
            difference = data[index].image.astype(float) - drawn.image
            assert np.abs(difference).mean() < 8  # JPEG


def test_the_same_files_come_from_the_same_arguments(tmp_path: Path) -> None:
    for name, train in (("a", 3), ("b", 3), ("more", 5)):
        draw_dataset(tmp_path / name, images={"train": train, "val": 2}, size_hw=SMALL)
    contents = [
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("a", "b", "more")
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 11
    assert contents[0].items() <= contents[2].items()


def test_the_doctor_finds_nothing_wrong(tmp_path: Path) -> None:
    place = draw_dataset(tmp_path / "pool", images={"train": 24, "val": 8}, size_hw=(128, 128))
    report = examine(open_dataset(place))
    assert {found.kind for found in report.findings} <= {"background", "class-rare"}
    assert {found.severity for found in report.findings} <= {"note"}


def test_classes_can_be_chosen_and_are_numbered_in_that_order(tmp_path: Path) -> None:
    place = draw_dataset(
        tmp_path / "pool", images={"train": 12}, size_hw=SMALL, classes=("snail", "crab")
    )
    found = open_dataset(place)
    assert found.classes.names == ("snail", "crab")
    assert all(row.boxes > 0 for row in found.mapping())


def test_an_existing_folder_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError) as caught:
        draw_dataset(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} is there already and stays as it is; choose another folder"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": {}}, "no split is to be drawn; name some, such as train and val"),
        (
            {"images": {"../val": 1}},
            "a split cannot be called '../val'; take a word, such as val",
        ),
        ({"images": {"val": 0}}, "0 images are to be drawn for val; draw at least 1"),
        (
            {"size_hw": (320, 8)},
            "pictures of 8 x 320 pixels show no shapes; draw at least 64 x 64",
        ),
        ({"seed": -1}, "the seed is -1; it must be 0 or more"),
        (
            {"classes": ()},
            "no class is to be drawn; name some of starfish, fish, crab, scallop, snail",
        ),
        ({"classes": ("crap",)}, "no class is called 'crap'; did you mean 'crab'?"),
    ],
)
def test_settings_out_of_range_say_so(
    tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        draw_dataset(tmp_path / "pool", **settings)  # type: ignore[arg-type]
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_after_an_error_halfway_nothing_is_left(tmp_path: Path) -> None:
    too_long = 300 * "x"  # for a file name, but that shows only when the first split is drawn
    with pytest.raises(OSError, match="too long"):
        draw_dataset(tmp_path / "pool", images={"train": 2, too_long: 1}, size_hw=SMALL)
    assert not list(tmp_path.iterdir())


KILLED = """
import os, signal, sys
from pathlib import Path
from gelan.data.drawn import dataset
draw = dataset.draw_sample
def until_killed(index, **arguments):
    if index == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return draw(index, **arguments)
dataset.draw_sample = until_killed
dataset.draw_dataset(Path(sys.argv[1]), images={"train": 9}, size_hw=(96, 96))
"""


def test_a_killed_run_leaves_no_folder_of_that_name_and_can_be_repeated(tmp_path: Path) -> None:
    folder = tmp_path / "pool"
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False, timeout=60)
    assert done.returncode == -9
    assert not folder.exists()
    assert draw_dataset(folder, images={"train": 1}, size_hw=SMALL).exists()


def test_drawing_needs_no_torch() -> None:
    code = "import sys, gelan.data.drawn.dataset; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_the_description_names_every_class_in_two_sentences() -> None:
    assert all(name.removesuffix("fish") in DESCRIPTION for name in CLASSES.names)
    assert DESCRIPTION.count(". ") == 1
