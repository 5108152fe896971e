"""`gelan val`, `gelan compare` and `gelan augment` end to end, as a user runs them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from gelan.cli.main import main
from gelan.model.variants import build
from gelan.predict.postprocess import EVALUATION
from gelan.report.html import environment
from gelan.report.saved import FILE_NAME, SavedResults, save_results
from gelan.weights.layouts import LAYOUTS
from tests.shared_files import shared
from tests.unit.evaluate.made_up import CLASSES, image

NAMES = ("cat", "dog", "cow")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network that finds something everywhere, with names."""
    torch.manual_seed(0)
    detector = build("yolov9-t", num_classes=3)
    with torch.no_grad():
        for level in range(3):
            detector.head.classes[level].get_parameter("2.bias").fill_(-2.0)
    layout = next(entry for entry in LAYOUTS if entry.sizes == "ts" and entry.has_auxiliary)
    tensors = {f"model.{layout.theirs(k)}": t for k, t in detector.state_dict().items()}
    folder = tmp_path_factory.mktemp("weights")
    torch.save(tensors, folder / "published.pt")
    words = ["convert", folder / "published.pt", "--names", ",".join(NAMES)]
    assert main([str(word) for word in words]) == 0
    return folder / "published.safetensors"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four labelled images in YOLO format, one of them broken, in the working directory."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (tmp_path / "farm" / kind / "val").mkdir(parents=True)
    for number in range(4):
        pixels = random.integers(0, 255, (48, 64, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"farm/images/val/{number}.jpg"), pixels)
        label = tmp_path / f"farm/labels/val/{number}.txt"
        label.write_text(f"{number % 3} 0.5 0.5 0.5 0.5\n")
    broken = tmp_path / "farm/images/val/3.jpg"
    broken.write_bytes(broken.read_bytes()[:-200])
    description = tmp_path / "farm/data.yaml"
    description.write_text("val: images/val\nnames: [cat, dog, cow]\n")
    return description


def val(weights: Path, data: Path, *words: object) -> int:
    given = ["val", "--weights", weights, "--data", data, "--size", 64, *words]
    return main([str(word) for word in given])


def test_a_run_writes_a_page_figures_and_detections(
    weights: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert val(weights, data) == 1  # one image could not be read
    shown = capsys.readouterr()
    assert "YOLO, 3 classes; val 4 images with 4 boxes" in shown.out
    assert "3 images, 3 objects" in shown.out
    assert shown.out.rstrip().endswith("runs/val/report.html")
    assert "3.jpg" in shown.err
    written = {path.name for path in Path("runs/val").iterdir()}
    assert written == {"report.html", "report.json", "coco.json", "results.npz"}
    page = Path("runs/val/report.html").read_text()
    assert "1 image could not be read, left out of all figures" in page
    assert "gelan val --weights" in page
    report = json.loads(Path("runs/val/report.json").read_text())
    assert report["num_images"] == 3
    assert report["command"].startswith("gelan val --weights")
    assert len(report["conditions"]["facts"]["sha256"]) == 64
    assert "image-unreadable" in {finding["kind"] for finding in report["data"]["findings"]}


def test_detections_have_the_ids_of_the_data_set(weights: Path, data: Path) -> None:
    images = [{"id": 70 + n, "file_name": f"{n}.jpg", "height": 48, "width": 64} for n in range(3)]
    boxes = [
        {"id": n, "image_id": 70 + n, "category_id": 5, "bbox": [1, 2, 30, 40], "area": 1200,
         "iscrowd": 0}
        for n in range(3)
    ]  # fmt: skip
    names = [{"id": 5, "name": "dog"}, {"id": 9, "name": "cat"}]
    labels = {"images": images, "annotations": boxes, "categories": names}
    place = data.parent / "images/val/_annotations.coco.json"
    place.write_text(json.dumps(labels))
    assert val(weights, place, "--quiet", "--split", "val", "--save", "coco,csv,jsonl") == 0
    rows = json.loads(Path("runs/val/coco.json").read_text())
    assert {row["image_id"] for row in rows} == {70, 71, 72}
    assert {row["category_id"] for row in rows} <= {5, 9}
    report = json.loads(Path("runs/val/report.json").read_text())
    assert report["num_detections"] == len(rows) > 0
    notes = " ".join(report["conditions"]["notes"])
    assert "1 of 3 classes of the network is not in the data set: cow" in notes
    assert "the order of the classes differs" in notes
    assert report["conditions"]["deviations"] == ["only some classes were looked for"]


def test_json_alone_on_standard_output(
    weights: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    val(weights, data, "--json", "--save", "none", "--out", "here")
    shown = json.loads(capsys.readouterr().out)
    assert shown["num_images"] == 3
    assert shown == json.loads(Path("here/report.json").read_text())
    assert {"command", "data"} <= shown.keys()
    assert not Path("here/coco.json").exists()


def test_a_run_compared_with_itself_shows_no_difference(
    weights: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    val(weights, data, "--quiet")
    val(weights, data, "--quiet", "--out", "runs/again")
    capsys.readouterr()
    assert main(["compare", "runs/val", "runs/again", "--replicas", "20"]) == 0
    shown = capsys.readouterr().out
    assert "3 images; results exchanged on 4 choices of them" in shown
    assert "no difference in AP can be told: 3 images are too few, it takes at least 6" in shown
    assert main(["compare", "runs/val", "runs/again", "--json", "--replicas", "20"]) == 0
    assert json.loads(capsys.readouterr().out)["ap"]["gain"] == 0.0


def test_networks_with_another_order_or_number_of_classes_are_compared(
    weights: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data of two classes, which are the first two of one network and the last two of another."""
    data.write_text("val: images/val\nnames: [cat, dog]\n")
    for number in range(4):
        Path(f"farm/labels/val/{number}.txt").write_text(f"{number % 2} 0.5 0.5 0.5 0.5\n")
    val(weights, data, "--quiet")
    val(weights, data, "--quiet", "--names", "cow,dog,cat")
    assert main(["compare", "runs/val", "runs/val2"]) == 0
    assert "3 images" in capsys.readouterr().out


def test_the_same_data_under_another_path_are_compared(
    weights: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    val(weights, Path("farm/data.yaml"), "--quiet")
    val(weights, data.resolve(), "--quiet")
    shutil.move("farm", "moved")
    val(weights, Path("moved/data.yaml"), "--quiet")
    for other in ("runs/val2", "runs/val3"):
        assert main(["compare", "runs/val", other]) == 0
    assert "3 images" in capsys.readouterr().out


def made_up_run(folder: Path, *, share: float) -> str:
    """A folder with results on 12 images, in some of which nothing is found."""
    random = np.random.default_rng(0)
    box = (0.0, 0.0, 40.0, 40.0)
    results = tuple(
        image(
            [(box, 0)],
            [((0.0, 0.0, 40.0, 30.0 + random.integers(10)), 0, 0.9)] * (random.random() < share),
            source=f"{number}.jpg",
        )
        for number in range(12)
    )
    folder.mkdir()
    saved = SavedResults(results=results, classes=CLASSES, postprocess=EVALUATION, facts={})
    save_results(folder / FILE_NAME, saved)
    return str(folder)


def test_the_seed_and_number_of_exchanges_are_those_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [
        made_up_run(tmp_path / name, share=share) for name, share in (("a", 0.9), ("b", 0.5))
    ]
    seen = []
    for seed in ("0", "1", "1"):
        assert main(["compare", *folders, "--json", "--replicas", "50", "--seed", seed]) == 0
        seen.append(json.loads(capsys.readouterr().out))
    assert [each["num_exchanges"] for each in seen] == [50] * 3
    assert seen[0]["ap"] != seen[1]["ap"] == seen[2]["ap"]
    assert main(["compare", *folders]) == 0
    assert "12 images; results exchanged on 1,000 choices of them" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed", "-1"], "--seed is -1; it must be at least 0"),
        (["--replicas", "19"], "--replicas is 19; it must be at least 20"),
    ],
)
def test_numbers_out_of_range_are_refused(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made_up_run(tmp_path / "a", share=0.5)
    assert main(["compare", folder, folder, *words]) == 2
    assert message in capsys.readouterr().err


def test_boxes_for_another_size_or_turn_of_an_image_are_said(
    weights: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """64 x 48 pixels: 0 is as stated, 1 has been halved, 2 is stored turned."""
    sizes = [(64, 48), (128, 96), (48, 64)]
    images = [
        {"id": n, "file_name": f"{n}.jpg", "width": width, "height": height}
        for n, (width, height) in enumerate(sizes)
    ]
    boxes = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [1, 2, 30, 40], "area": 1200,
         "iscrowd": 0}
        for n in range(3)
    ]  # fmt: skip
    labels = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "dog"}]}
    place = data.parent / "images/val/_annotations.coco.json"
    place.write_text(json.dumps(labels))
    with Image.open("farm/images/val/2.jpg") as picture:
        turned = picture.transpose(Image.Transpose.ROTATE_90)
    turned.save(
        "farm/images/val/2.jpg",
        exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
    )
    assert val(weights, place) == 0
    assert "labels are for 1.jpg of 128 x 96; it has 64 x 48" in caplog.text
    assert "labels are for 2.jpg as stored, 48 x 64" in caplog.text
    note = "the boxes of 2 images are for another size or turn of the image"
    assert note in capsys.readouterr().out
    report = json.loads(Path("runs/val/report.json").read_text())
    kinds = [finding["kind"] for finding in report["data"]["findings"]]
    assert sorted(kind for kind in kinds if kind.startswith("image")) == [
        "image-size",
        "image-turned",
    ]
    page = Path("runs/val/report.html").read_text()
    assert "<strong>2 errors in the data.</strong>" in page
    assert note in page


@pytest.mark.parametrize("words", [[], ["--out", "new/deep/folder"]])
def test_a_folder_from_which_nothing_came_is_gone_again(
    words: list[str], weights: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        Path(f"farm/images/val/{number}.jpg").write_bytes(b"no picture")
    assert val(weights, data, *words) == 2
    assert "not one image of 'val' could be read" in capsys.readouterr().err
    assert sorted(path.name for path in Path().iterdir()) == ["farm"]


def test_an_unusable_folder_is_noticed_before_any_image_is_read(
    weights: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert val(weights, data, "--out", "farm/data.yaml/here") == 2
    shown = capsys.readouterr()
    assert "--out farm/data.yaml/here: cannot be made" in shown.err
    assert "3.jpg" not in shown.err  # the broken image


def test_a_page_that_fails_leaves_the_results(
    weights: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert val(weights, data) == 2
    written = {path.name for path in Path("runs/val").iterdir()}
    assert written == {"report.json", "coco.json", "results.npz"}


def test_runs_with_other_settings_are_not_compared(
    weights: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    val(weights, data, "--quiet")
    val(weights, data, "--quiet", "--iou", 0.5)
    assert main(["compare", "runs/val", "runs/val2"]) == 2
    assert "different settings (iou 0.7 and 0.5)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "tst"], "has no split 'tst', only val; choose --split val"),
        (["--save", "pictures"], "gelan predict draws pictures"),
        (["--save", "coc"], "did you mean 'coco'?"),
        (["--batch", "0"], "--batch is 0"),
        (["--out", "farm"], "--out farm: exists already"),
        (["--names", "cat,dog"], "2 names were given for a network of 3 classes"),
        (["--names", "a,b,c"], "unknown to the network, which has 3: 'cat'"),
    ],
)
def test_a_mistake_leaves_nothing_behind(
    words: list[str],
    message: str,
    weights: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert val(weights, data, *words) == 2
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()


def test_augmented_samples_are_drawn_on_sheets(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy("farm/images/val/0.jpg", "farm/images/val/3.jpg")
    words = ["augment", "--data", str(data), "--count", "17", "--size", "64"]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "runs/augment/samples1.jpg",
        "runs/augment/samples2.jpg",
    ]
    first = Path("runs/augment/samples1.jpg").read_bytes()
    assert main([*words, "--out", "again"]) == 0
    assert Path("again/samples1.jpg").read_bytes() == first
    assert main([*words, "--out", "again"]) == 2
    assert main(["augment", "--data", str(data), "--count", "0"]) == 2


@pytest.mark.slow
def test_the_published_network_gets_its_figures_on_coco128(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = shared("weights/yolov9t-ultralytics-coco-fp32.pt")
    words = ["val", "--weights", str(file), "--data", str(shared("data/coco128")), "--quiet"]
    assert main(words) == 0
    report = json.loads(Path("runs/val/report.json").read_text())
    assert report["headline"]["ap"] == pytest.approx(0.449, abs=0.005)
    assert report["headline"]["ap50"] == pytest.approx(0.611, abs=0.01)
