"""Output formats: their exact contents, sources of one name, interrupts and refusals."""

from __future__ import annotations

import csv
import errno
import io
import json
import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gelan.errors import ConfigError, GelanError
from gelan.predict.sinks import (
    OUTPUTS,
    CocoResults,
    Crops,
    CsvTable,
    JsonLines,
    Pictures,
    YoloText,
    new_run_folder,
    open_sinks,
)
from gelan.structures.classes import ClassTable
from gelan.structures.detections import Detections

NAMES = ("person", "bicycle", "car")
COCO_TABLE = ClassTable(NAMES, category_ids=(1, 2, 3))
PLAIN_TABLE = ClassTable(NAMES)
IMAGE = np.full((100, 200, 3), 90, np.uint8)


def found(
    source: str,
    *,
    boxes: Sequence[Sequence[float]] = ((10, 20, 50, 80), (-0.0004, 0, 9.126, 9)),
    scores: Sequence[float] = (0.9, 0.312345678),
    classes: Sequence[int] = (0, 2),
    track_ids: Sequence[int] | None = None,
) -> Detections:
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32),
        classes=np.array(classes, np.int64),
        names=NAMES,
        size_hw=(100, 200),
        source=source,
        track_ids=None if track_ids is None else np.array(track_ids, np.int64),
    )


def none_found(source: str) -> Detections:
    return Detections.empty(names=NAMES, size_hw=(100, 200), source=source)


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder).as_posix()) for path in folder.rglob("*.*"))


def read_picture(path: Path) -> NDArray[np.uint8]:
    return np.asarray(cv2.imread(str(path)), np.uint8)[..., ::-1]


# --- pictures ----------------------------------------------------------------------------------


def test_pictures_keep_the_stem_and_png_stays_png(tmp_path: Path) -> None:
    with Pictures(tmp_path, PLAIN_TABLE) as sink:
        for source in ("in/dog.jpg", "in/cat.PNG", "in/bird.final.tiff", "in/犬.webp"):
            sink.write(found(source), IMAGE)
    assert files_in(tmp_path / "pictures") == ["bird.final.jpg", "cat.png", "dog.jpg", "犬.jpg"]


def test_a_picture_shows_the_boxes_in_their_colours(tmp_path: Path) -> None:
    with Pictures(tmp_path, PLAIN_TABLE) as sink:
        sink.write(found("cat.png"), IMAGE)
    picture = read_picture(tmp_path / "pictures" / "cat.png")
    assert picture.shape == (100, 200, 3)
    red, green, blue = picture[60, 10].tolist()
    assert blue > green > red  # class 0 is sky blue
    assert picture[90, 190].tolist() == [90, 90, 90]


def test_pictures_of_equal_stems_are_numbered_never_overwritten(tmp_path: Path) -> None:
    with Pictures(tmp_path, PLAIN_TABLE) as sink:
        for source in ("a/dog.jpg", "b/dog.jpg", "c/DOG.png", "d/dog_2.jpg"):
            sink.write(none_found(source), IMAGE)
    names = ["DOG_3.png", "dog.jpg", "dog_2.jpg", "dog_2_2.jpg"]
    assert files_in(tmp_path / "pictures") == names


def test_an_image_too_wide_for_jpeg_becomes_a_png_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wide = Detections.empty(names=NAMES, size_hw=(8, 70000), source="wide.tif")
    with Pictures(tmp_path, PLAIN_TABLE) as sink:
        sink.write(wide, np.zeros((8, 70000, 3), np.uint8))
    assert files_in(tmp_path / "pictures") == ["wide.png"]
    path = tmp_path / "pictures" / "wide.jpg"
    assert caplog.messages == [f"{path}: 70000 x 8 is too long for JPEG; written as PNG"]


# --- JSON lines --------------------------------------------------------------------------------


def test_a_json_line_holds_one_image(tmp_path: Path) -> None:
    with JsonLines.in_folder(tmp_path, COCO_TABLE) as sink:
        sink.write(found("in/dog.jpg"), IMAGE)
        sink.write(none_found("in/cat.jpg"), IMAGE)
    first, second = (tmp_path / "detections.jsonl").read_text("utf-8").splitlines()
    assert first == (
        '{"source": "in/dog.jpg", "width": 200, "height": 100, "detections": ['
        '{"class": 0, "name": "person", "category_id": 1, "score": 0.9, '
        '"box": [10.0, 20.0, 50.0, 80.0]}, '
        '{"class": 2, "name": "car", "category_id": 3, "score": 0.31235, '
        '"box": [0.0, 0.0, 9.13, 9.0]}]}'
    )
    assert json.loads(second)["detections"] == []


def test_category_id_and_track_id_stand_only_where_they_are_known() -> None:
    stream = io.StringIO()
    with JsonLines(stream, PLAIN_TABLE) as sink:
        sink.write(found("dog.jpg", track_ids=(7, 9)), IMAGE)
    one, two = json.loads(stream.getvalue())["detections"]
    assert list(one) == ["class", "name", "score", "box", "track_id"]
    assert (one["track_id"], two["track_id"]) == (7, 9)


def test_a_stream_gets_each_line_at_once_and_stays_open() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=False)
    with JsonLines(stream, PLAIN_TABLE) as sink:
        sink.write(found("犬/\udcff.jpg"), IMAGE)
        assert raw.getvalue().endswith(b"}\n")
    assert not stream.closed
    assert json.loads(raw.getvalue())["source"] == "犬/\udcff.jpg"


# --- COCO --------------------------------------------------------------------------------------


def test_coco_results_have_width_and_height_and_the_ids_of_the_data_set(tmp_path: Path) -> None:
    with CocoResults(tmp_path, COCO_TABLE) as sink:
        sink.write(found("val/000000000285.jpg"), IMAGE)
        sink.write(none_found("val/000000000139.jpg"), IMAGE)
    assert json.loads((tmp_path / "coco.json").read_text("utf-8")) == [
        {"image_id": 285, "category_id": 1, "bbox": [10.0, 20.0, 40.0, 60.0], "score": 0.9},
        {"image_id": 285, "category_id": 3, "bbox": [0.0, 0.0, 9.126, 9.0], "score": 0.31235},
    ]
    assert json.loads((tmp_path / "coco_images.json").read_text("utf-8")) == [
        {"id": 285, "file_name": "val/000000000285.jpg", "width": 200, "height": 100},
        {"id": 139, "file_name": "val/000000000139.jpg", "width": 200, "height": 100},
    ]


def test_without_images_the_results_are_an_empty_list(tmp_path: Path) -> None:
    CocoResults(tmp_path, COCO_TABLE).close()
    assert json.loads((tmp_path / "coco.json").read_text("utf-8")) == []
    assert files_in(tmp_path) == ["coco.json", "coco_images.json"]


def test_an_interrupt_leaves_valid_coco_results_of_what_was_found(tmp_path: Path) -> None:
    def run() -> None:
        with CocoResults(tmp_path, COCO_TABLE) as sink:
            sink.write(found("1.jpg"), IMAGE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(json.loads((tmp_path / "coco.json").read_text("utf-8"))) == 2


# --- YOLO and CSV ------------------------------------------------------------------------------


def test_yolo_text_is_normalised_centre_and_size(tmp_path: Path) -> None:
    with YoloText(tmp_path, COCO_TABLE) as sink:
        sink.write(found("in/dog.jpg", boxes=[[10, 20, 50, 80]], scores=[0.5], classes=[2]), IMAGE)
        sink.write(none_found("in/cat.jpg"), IMAGE)
        sink.write(none_found("other/dog.png"), IMAGE)
    folder = tmp_path / "labels"
    assert files_in(folder) == ["cat.txt", "dog.txt", "dog_2.txt"]
    # centre (30, 50), size 40 x 60, in an image of 200 x 100
    line = "2 0.150000 0.500000 0.200000 0.600000 0.500000\n"
    assert (folder / "dog.txt").read_text("utf-8") == line
    assert (folder / "cat.txt").read_text("utf-8") == ""


def test_csv_has_a_header_and_a_row_per_detection(tmp_path: Path) -> None:
    with CsvTable(tmp_path, COCO_TABLE) as sink:
        sink.write(found('in/a "dog", big.jpg'), IMAGE)
        sink.write(none_found("in/cat.jpg"), IMAGE)
    with (tmp_path / "detections.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["source", "class", "name", "score", "x1", "y1", "x2", "y2"],
        ['in/a "dog", big.jpg', "0", "person", "0.9", "10.0", "20.0", "50.0", "80.0"],
        ['in/a "dog", big.jpg', "2", "car", "0.31235", "0.0", "0.0", "9.13", "9.0"],
    ]


def test_a_file_name_that_is_not_utf8_comes_out_as_its_bytes(tmp_path: Path) -> None:
    with CsvTable(tmp_path, COCO_TABLE) as sink:
        sink.write(found("caf\udce9.jpg"), IMAGE)
    assert b"caf\xe9.jpg,0,person" in (tmp_path / "detections.csv").read_bytes()


# --- crops -------------------------------------------------------------------------------------


def test_crops_hold_every_pixel_that_the_box_touches(tmp_path: Path) -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[20:80, 10:50] = (250, 20, 20)
    with Crops(tmp_path, COCO_TABLE) as sink:
        sink.write(found("in/dog.jpg", boxes=[[10, 20, 50, 80], [10.4, 20.4, 49.2, 79.1]]), image)
    assert files_in(tmp_path / "crops") == ["car/dog_2.jpg", "person/dog_1.jpg"]
    for name in ("person/dog_1.jpg", "car/dog_2.jpg"):
        crop = read_picture(tmp_path / "crops" / name)
        assert crop.shape == (60, 40, 3)
        assert np.abs(crop.astype(int) - (250, 20, 20)).max() < 12  # red stays red in JPEG


def test_a_box_partly_outside_is_cut_and_one_without_pixels_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    boxes = [[-30, -30, 20, 10], [300, 20, 350, 80], [30, 30, 30, 50]]
    detections = found("dog.jpg", boxes=boxes, scores=[0.9, 0.8, 0.7], classes=[0, 0, 0])
    with Crops(tmp_path, COCO_TABLE) as sink, caplog.at_level(logging.WARNING):
        sink.write(detections, IMAGE)
    assert files_in(tmp_path / "crops") == ["person/dog_1.jpg"]
    assert read_picture(tmp_path / "crops" / "person" / "dog_1.jpg").shape == (10, 20, 3)
    assert [record.getMessage() for record in caplog.records] == [
        "dog.jpg: no crop 2: the box holds no pixel",
        "dog.jpg: no crop 3: the box holds no pixel",
    ]


def test_class_names_become_folders_that_do_not_mix(tmp_path: Path) -> None:
    names = ("a/c", "a:c", "..", "CON")
    detections = Detections(
        boxes=np.array([[0, 0, 9, 9]] * 4, np.float32),
        scores=np.full(4, 0.5, np.float32),
        classes=np.arange(4),
        names=names,
        size_hw=(100, 200),
        source="dog.jpg",
    )
    with Crops(tmp_path, ClassTable(names)) as sink:
        sink.write(detections, IMAGE)
    assert files_in(tmp_path / "crops") == [
        "CON_/dog_4.jpg",
        "a_c/dog_1.jpg",
        "a_c_2/dog_2.jpg",
        "class 2/dog_3.jpg",
    ]


# --- all sinks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused_by_every_sink(
    output: str, wrong: float, tmp_path: Path
) -> None:
    (sink,) = open_sinks([output], tmp_path, classes=COCO_TABLE)
    with sink, pytest.raises(GelanError, match=r"dog\.jpg: detection 2 has box .* and score"):
        sink.write(found("dog.jpg", scores=[0.9, wrong]), IMAGE)
    text = "".join(path.read_text("utf-8") for path in tmp_path.glob("*.*"))
    assert "nan" not in text.lower()
    assert "inf" not in text.lower()


def test_all_sinks_work_side_by_side_and_none_changes_the_image(tmp_path: Path) -> None:
    image = IMAGE.copy()
    for sink in open_sinks(OUTPUTS, tmp_path, classes=COCO_TABLE):
        with sink:
            sink.write(found("dog.jpg"), image)
            sink.write(none_found("cat.jpg"), image)
    assert np.array_equal(image, IMAGE)
    assert files_in(tmp_path) == [
        "coco.json",
        "coco_images.json",
        "crops/car/dog_2.jpg",
        "crops/person/dog_1.jpg",
        "detections.csv",
        "detections.jsonl",
        "labels/cat.txt",
        "labels/dog.txt",
        "pictures/cat.jpg",
        "pictures/dog.jpg",
    ]


def test_an_unknown_output_is_an_error_with_the_nearest_before_anything_is_made(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError) as caught:
        open_sinks(["csv", "jsonlines"], tmp_path, classes=COCO_TABLE)
    assert str(caught.value) == (
        "no output is called 'jsonlines'; did you mean 'jsonl'? "
        "(known: pictures, jsonl, coco, yolo, csv, crops)"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("output", OUTPUTS)
def test_what_is_there_already_is_never_overwritten(output: str, tmp_path: Path) -> None:
    open_sinks([output], tmp_path, classes=COCO_TABLE)[0].close()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(ConfigError, match="is there already and stays as it is"):
        open_sinks(["csv", output] if output != "csv" else ["csv"], tmp_path, classes=COCO_TABLE)
    assert before.items() <= {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}.items()


# --- run folders -------------------------------------------------------------------------------


def test_run_folders_are_numbered_from_two_on(tmp_path: Path) -> None:
    parent = tmp_path / "runs" / "detect"
    assert [new_run_folder(parent).name for _ in range(3)] == ["predict", "predict2", "predict3"]
    assert new_run_folder(parent, "mine") == parent / "mine"


def test_a_file_of_that_name_is_stepped_over(tmp_path: Path) -> None:
    (tmp_path / "predict").write_text("notes", encoding="utf-8")
    assert new_run_folder(tmp_path).name == "predict2"


def test_a_parent_that_is_a_file_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("notes", encoding="utf-8")
    for parent in (tmp_path / "runs", tmp_path / "runs" / "deeper"):
        with pytest.raises(ConfigError, match="cannot be a folder: a file has that name"):
            new_run_folder(parent)


def test_two_runs_at_once_never_share_a_folder(tmp_path: Path) -> None:
    folders: list[Path] = []
    threads = [
        threading.Thread(target=lambda: folders.append(new_run_folder(tmp_path))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 16


# --- names and full disks ----------------------------------------------------------------------

STRANGE = ("half \ud800", "red \x1b[31m", "x" * 10**4)


def test_strange_class_names_are_written_in_every_format(tmp_path: Path) -> None:
    table = ClassTable(STRANGE)
    strange = Detections(
        boxes=np.array([[10, 20, 50, 80]] * 3, np.float32),
        scores=np.array([0.9, 0.8, 0.7], np.float32),
        classes=np.array([0, 1, 2]),
        names=STRANGE,
        size_hw=(100, 200),
        source="a \udce9.jpg",
    )
    for sink in open_sinks(OUTPUTS, tmp_path, classes=table):
        with sink:
            sink.write(strange, IMAGE)
    assert len(list((tmp_path / "crops").rglob("*.jpg"))) == 3
    (line,) = (tmp_path / "detections.jsonl").read_text("utf-8").splitlines()
    assert [entry["name"] for entry in json.loads(line)["detections"]] == list(STRANGE)
    rows = (tmp_path / "detections.csv").read_text("utf-8", "surrogateescape").splitlines()
    assert rows[1].startswith("a \udce9.jpg,0,half \\ud800,0.9")


class FullDisk:
    """A file on a disk with room for so many bytes more."""

    def __init__(self, file: io.FileIO, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: bytes) -> int:
        if self._room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._file.write(data[: self._room])
        self._room -= written
        return written

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_lines_on_a_full_disk_end_with_a_whole_line(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sink,) = open_sinks([kind], tmp_path, classes=PLAIN_TABLE)
    sink.write(found("a.jpg"), IMAGE)
    path = tmp_path / f"detections.{kind}"
    before = path.read_bytes()
    assert isinstance(sink, JsonLines | CsvTable)
    lines = vars(sink)["_stream" if kind == "jsonl" else "_file"]
    monkeypatch.setattr(lines, "_file", FullDisk(vars(lines)["_file"], room=20))
    with pytest.raises(OSError, match="No space left"):
        sink.write(found("b.jpg"), IMAGE)
    sink.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["pictures", "crops", "coco"])
def test_a_full_disk_leaves_no_half_file(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def write_and_close() -> None:
        (sink,) = open_sinks([kind], tmp_path, classes=PLAIN_TABLE)
        with sink:
            sink.write(found("a.jpg"), IMAGE)

    monkeypatch.setattr(Path, "replace", full)  # after everything was written, but not named
    with pytest.raises(OSError, match="No space left"):
        write_and_close()
    assert files_in(tmp_path) == []
