"""`gelan` end to end on a few pictures, as a user runs it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gelan.cli.main import main
from gelan.cli.predict import Options
from gelan.model.variants import build
from gelan.weights.layouts import LAYOUTS


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published-style file of a small network that finds something everywhere."""
    torch.manual_seed(0)
    detector = build("yolov9-t", num_classes=3)
    with torch.no_grad():
        for level in range(3):
            detector.head.classes[level].get_parameter("2.bias").fill_(1.0)
    layout = next(entry for entry in LAYOUTS if entry.sizes == "ts" and entry.has_auxiliary)
    tensors = {f"model.{layout.theirs(k)}": t for k, t in detector.state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "published.pt"
    torch.save(tensors, path)
    return path


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures and a broken one, in the working directory's folder `photos`."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name, size in (("a.jpg", (40, 60, 3)), ("b.png", (64, 32, 3))):
        cv2.imwrite(str(folder / name), generator.integers(0, 255, size, np.uint8))
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:-100])
    return folder


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_a_folder_becomes_pictures_and_data_and_broken_files_are_named(
    weights: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("predict", "--weights", weights, "--source", photos, "--size", 64)
    assert run(*words) == 1  # the work was done, but not on everything
    shown = capsys.readouterr()
    assert "a.jpg: " in shown.out
    assert shown.out.splitlines()[-1].startswith("2 images, ")
    assert shown.out.splitlines()[-1].endswith("-> runs/predict")
    assert "broken.jpg" in shown.err
    assert "1 of 3 images could not be read" in shown.err
    rows = [
        json.loads(line) for line in Path("runs/predict/detections.jsonl").read_text().splitlines()
    ]
    assert [Path(row["source"]).name for row in rows] == ["a.jpg", "b.png"]
    assert all(row["detections"] for row in rows)
    assert {path.name for path in Path("runs/predict/pictures").iterdir()} == {"a.jpg", "b.png"}


def test_a_second_run_gets_a_folder_of_its_own(weights: Path, photos: Path) -> None:
    words = ("predict", "--weights", weights, "--source", photos / "a.jpg", "--size", 64)
    assert run(*words, "--quiet") == 0
    before = Path("runs/predict/detections.jsonl").read_bytes()
    assert run(*words, "--quiet", "--classes", "0") == 0
    assert Path("runs/predict/detections.jsonl").read_bytes() == before
    assert Path("runs/predict2/detections.jsonl").exists()


def test_json_prints_one_line_an_image_and_saves_nothing(
    weights: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("predict", "--weights", weights, "--source", photos, "--size", 64, "--json")
    assert run(*words) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["width"], row["height"]) for row in rows] == [(60, 40), (32, 64)]
    assert not Path("runs").exists()


def test_every_output_agrees_with_every_other(weights: Path, photos: Path) -> None:
    words = ("predict", "--weights", weights, "--source", photos / "a.jpg", "--size", 64)
    outputs = "pictures,jsonl,coco,yolo,csv,crops"
    assert run(*words, "--out", "results/here", "--save", outputs, "--max-detections", 5) == 0
    folder = Path("results/here")
    row = json.loads((folder / "detections.jsonl").read_text())
    coco = json.loads((folder / "coco.json").read_text())
    table = list(csv.DictReader((folder / "detections.csv").read_text().splitlines()))
    yolo = (folder / "labels" / "a.txt").read_text().splitlines()
    assert len(row["detections"]) == len(coco) == len(table) == len(yolo) == 5
    for found, entry, line, text in zip(row["detections"], coco, table, yolo, strict=True):
        x1, y1, x2, y2 = found["box"]
        assert entry["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=0.02)
        assert [float(line[key]) for key in ("x1", "y1", "x2", "y2")] == [x1, y1, x2, y2]
        index, center_x, center_y, *_ = (float(number) for number in text.split())
        assert index == found["class"]
        assert center_x * 60 == pytest.approx((x1 + x2) / 2, abs=0.02)
        assert center_y * 40 == pytest.approx((y1 + y2) / 2, abs=0.02)
    assert len(list((folder / "crops").rglob("*.jpg"))) == 5


def test_converted_weights_predict_the_same(
    weights: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("convert", weights, "--out", "ours.safetensors", "--names", "cat,dog,cow") == 0
    assert "published.pt -> ours.safetensors" in capsys.readouterr().out
    results = []
    for file in (weights, "ours.safetensors"):
        words = ("predict", "--weights", file, "--source", photos / "b.png", "--size", 64, "--json")
        assert run(*words) == 0
        row = json.loads(capsys.readouterr().out)
        results.append([(d["class"], d["score"], d["box"]) for d in row["detections"]])
    assert results[0] == results[1]
    assert {d["name"] for d in row["detections"]} <= {"cat", "dog", "cow"}


def test_converting_for_deployment_and_other_classes_says_what_changed(
    weights: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("convert", weights, "--out", photos / "x.safetensors", "--new-classes", "plate")
    assert run(*words, "--deploy") == 0
    shown = capsys.readouterr().out
    assert "12 of 1770 tensors were not taken over, for 1 classes instead of 3" in shown
    assert "the auxiliary part was left out" in shown
    assert run("info", photos / "x.safetensors", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["network"] == "yolov9-t, auxiliary part left out"
    assert facts["classes"] == 1


def test_info_tells_the_published_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", "yolov9-c", "--json") == 0
    cost = json.loads(capsys.readouterr().out)["cost"]
    assert cost["training"]["parameters"] == 51_182_048
    assert cost["inference"]["parameters"] == 25_498_736
    assert cost["folded"]["parameters"] == 25_288_752
    assert cost["folded"]["gflops"] == pytest.approx(102.1, abs=0.05)


def test_info_lists_layers_that_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("yolov9-t", "yolov9-c", "yolov9-e"):
        assert run("info", name, "--json") == 0
        facts = json.loads(capsys.readouterr().out)
        assert sum(facts["layers"].values()) == facts["cost"]["training"]["parameters"]


def test_info_on_a_file_tells_where_it_comes_from(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("info", weights) == 0
    shown = capsys.readouterr().out
    assert "yolov9-t, 3 classes" in shown
    assert "licence: unknown: ask where the file came from" in shown
    assert "sha256: " in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predct"], "gelan: no command is called 'predct'; did you mean 'predict'? (known:"),
        (["predict", "--confidnce", "1"], "gelan predict: unknown option --confidnce; did you"),
        (["predict", "--weights", "w.pt"], "gelan predict: missing: --source"),
        (["info", "yolov9c"], "gelan: yolov9c is neither a network nor a file; did you mean"),
        (["pull", "v9c"], "gelan: no published weights are called 'v9c'; did you mean 'v9-c'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(message)
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--weights", "absent.pt"], "absent.pt: no such file"),
        (["--classes", "unicorn"], "no class is called 'unicorn'"),
        (["--confidence", "2"], "confidence is 2.0; it must lie between 0 and 1"),
        (["--size", "100"], "size 100 is not a multiple of 32"),
        (["--save", "picturs"], "did you mean 'pictures'?"),
        (["--device", "cuda:99"], "device 'cuda:99' cannot be used here"),
        (["--batch", "0"], "--batch is 0"),
        (["--json", "--out", "x"], "--out has no effect"),
        (["--out", "photos"], "--out photos: exists already"),
    ],
)
def test_a_wrong_setting_leaves_nothing_behind(
    words: list[str],
    message: str,
    weights: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["predict", "--source", str(photos)]
    given += [] if "--weights" in words else ["--weights", str(weights)]
    given += [] if "--size" in words else ["--size", "64"]
    assert main([*given, *words]) == 2
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()
    assert not Path("x").exists()


def test_the_published_thresholds_are_the_defaults() -> None:
    options = Options(weights="w.pt", source="photos")
    assert (options.confidence, options.iou, options.max_detections) == (0.25, 0.45, 300)


def test_foreign_spellings_work_and_are_pointed_out(
    weights: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("predict", "--model", weights, "--source", photos / "a.jpg", "--imgsz", 64)
    assert run(*words, "--conf-thres", 0.3, "--json") == 0
    shown = capsys.readouterr()
    assert "--conf-thres is called --confidence here" in shown.err
    json.loads(shown.out)


def test_the_overview_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {verb} " in shown for verb in ("predict", "info", "convert", "pull"))
