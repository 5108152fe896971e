"""`gelan val`, `gelan compare` and `gelan augment` end to end, as a user runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gelan.cli.main import main
from gelan.model.variants import build
from gelan.weights.layouts import LAYOUTS
from tests.shared_files import shared

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
    assert "1 images could not be read and are in no figure" in page
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
    assert json.loads(capsys.readouterr().out)["num_images"] == 3
    assert not Path("here/coco.json").exists()


def test_a_run_compared_with_itself_shows_no_difference(
    weights: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    val(weights, data, "--quiet")
    val(weights, data, "--quiet", "--out", "runs/again")
    capsys.readouterr()
    assert main(["compare", "runs/val", "runs/again", "--replicas", "20"]) == 0
    shown = capsys.readouterr().out
    assert "3 images, 20 paired bootstrap drawings" in shown
    assert "no difference in AP can be told" in shown
    assert main(["compare", "runs/val", "runs/again", "--json", "--replicas", "20"]) == 0
    assert json.loads(capsys.readouterr().out)["ap"]["gain"] == 0.0


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
        (["--split", "tst"], "has no split 'tst'"),
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
