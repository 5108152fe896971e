"""The predictor, with a network whose answers are known."""

from __future__ import annotations

import inspect
from pathlib import Path

import cv2
import numpy as np
import pytest
from jaxtyping import Float32
from numpy.typing import NDArray

from gelan.errors import ConfigError, ImageError
from gelan.geometry.letterbox import Preprocessing
from gelan.predict.backends.raw import RawOutput
from gelan.predict.postprocess import PostprocessSettings
from gelan.predict.predictor import Predictor, Seen, Unreadable
from gelan.predict.sources import ImageFile
from gelan.structures.classes import ClassTable

SETTINGS = PostprocessSettings()


class BrightestCorner:
    """Says one box: the 8 px square at the top left of the canvas, scored by its red pixel.

    It notes the shape of each batch that it is given.
    """

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def __call__(self, images: Float32[np.ndarray, "batch 3 height width"]) -> RawOutput:
        self.batches.append(images.shape)
        boxes = np.tile(np.array([0, 0, 8, 8], np.float32), (len(images), 1, 1))
        scores = np.zeros((len(images), 1, 2), np.float32)
        scores[:, 0, 1] = images[:, 0, 0, 0]
        return RawOutput(boxes, scores)


def predictor(model: BrightestCorner) -> Predictor:
    return Predictor(
        model,
        classes=ClassTable(("dark", "bright")),
        preprocessing=Preprocessing(size=32),
    )


def plain(red: int, height: int = 64, width: int = 64) -> NDArray[np.uint8]:
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = red
    return image


def test_boxes_come_back_in_pixels_of_the_original() -> None:
    (found,) = predictor(BrightestCorner()).predict(plain(255))
    assert found.boxes.tolist() == [[0, 0, 16, 16]]
    assert found.labels == ["bright"]
    assert found.scores.tolist() == [1.0]
    assert found.size_hw == (64, 64)


def test_paths_arrays_and_lists_of_both_are_taken(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "red.png"), plain(255)[:, :, ::-1])
    results = predictor(BrightestCorner()).predict([tmp_path / "red.png", plain(100), plain(0)])
    assert [len(found) for found in results] == [1, 1, 0]
    assert [found.source for found in results] == [str(tmp_path / "red.png"), "image 1", "image 2"]


def test_a_pillow_image_is_taken() -> None:
    image = pytest.importorskip("PIL.Image").fromarray(plain(255))
    (found,) = predictor(BrightestCorner()).predict(image)
    assert len(found) == 1


def test_classes_are_filtered_by_name_or_number() -> None:
    bright = predictor(BrightestCorner())
    assert len(bright.predict(plain(255), classes=["bright"])[0]) == 1
    assert len(bright.predict(plain(255), classes=[1])[0]) == 1
    assert len(bright.predict(plain(255), classes=["dark"])[0]) == 0
    assert len(bright.predict(plain(255), classes="bright")[0]) == 1
    assert len(bright.predict(plain(255), classes=1)[0]) == 1
    assert len(bright.predict(plain(255), classes=np.array([1]))[0]) == 1
    assert len(bright.predict(plain(255), classes=np.array([], np.int64))[0]) == 1
    with pytest.raises(ConfigError, match=r"no class is called 'brigth'; did you mean 'bright'\?"):
        bright.predict(plain(255), classes=["brigth"])


def test_images_are_read_a_batch_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    class Noting(BrightestCorner):
        def __call__(self, images: Float32[np.ndarray, "batch 3 height width"]) -> RawOutput:
            events.append("asked")
            return super().__call__(images)

    def read(path: Path) -> NDArray[np.uint8]:
        events.append("read")
        return plain(255)

    monkeypatch.setattr("gelan.predict.predictor.read_image", read)
    found = predictor(Noting()).predict([tmp_path / f"{number}.png" for number in range(20)])
    assert len(found) == 20
    assert events == ["read"] * 8 + ["asked"] + ["read"] * 8 + ["asked"] + ["read"] * 4 + ["asked"]


def test_the_defaults_are_those_of_the_settings() -> None:
    parameters = inspect.signature(Predictor.predict).parameters
    for name in ("confidence", "iou", "max_detections", "agnostic"):
        assert parameters[name].default == getattr(SETTINGS, name)


def test_an_unreadable_path_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "no.jpg").write_text("no picture")
    with pytest.raises(ImageError, match=r"no\.jpg"):
        predictor(BrightestCorner()).predict(tmp_path / "no.jpg")


def test_a_stream_goes_on_after_an_unreadable_file_and_keeps_the_order(tmp_path: Path) -> None:
    for name, red in (("a", 255), ("c", 0), ("d", 255)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), plain(red)[:, :, ::-1])
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    files = [ImageFile(name, tmp_path / f"{name}.png") for name in "abcd"]
    for batch in (1, 2, 3, 4, 7):
        results = list(predictor(BrightestCorner()).stream(files, settings=SETTINGS, batch=batch))
        assert [isinstance(result, Unreadable) for result in results] == [False, True, False, False]
        counts = [len(result.detections) for result in results if isinstance(result, Seen)]
        assert counts == [1, 0, 1]


def test_a_batch_of_nothing_readable_asks_the_network_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    model = BrightestCorner()
    files = [ImageFile("a", tmp_path / "a.png")]
    (result,) = predictor(model).stream(files, settings=SETTINGS)
    assert isinstance(result, Unreadable)
    assert model.batches == []


def test_canvases_of_one_size_go_through_together() -> None:
    model = BrightestCorner()
    predictor(model).predict([plain(255, 64, 64), plain(255, 32, 64), plain(255, 9, 64)])
    assert model.batches == [(3, 3, 32, 32)]


def test_rectangles_of_different_sizes_are_asked_apart() -> None:
    model = BrightestCorner()
    wide = Predictor(
        model,
        classes=ClassTable(("dark", "bright")),
        preprocessing=Preprocessing(size=64, shape="rectangle"),
    )
    results = wide.predict([plain(255, 64, 64), plain(255, 32, 64), plain(255, 64, 64)])
    assert sorted(model.batches) == [(1, 3, 32, 64), (2, 3, 64, 64)]
    assert [found.size_hw for found in results] == [(64, 64), (32, 64), (64, 64)]


def test_a_predictor_on_an_exported_file_has_no_detector() -> None:
    with pytest.raises(ConfigError, match="an exported file holds no trainable network"):
        _ = predictor(BrightestCorner()).detector


def test_two_things_seen_are_told_apart_without_looking_at_every_pixel() -> None:
    image = plain(255)
    (found,) = predictor(BrightestCorner()).predict(image)
    assert Seen(image, found) != Seen(image, found)
