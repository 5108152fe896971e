from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from gelan.cli.augment import Options, augmentation, run, settings_of
from gelan.data.augment.config import none, published
from gelan.errors import ConfigError


@pytest.fixture
def photos(tmp_path: Path) -> str:
    """A YOLO folder of three grey images with one box each."""
    for kind in ("images", "labels"):
        (tmp_path / "set" / kind / "train").mkdir(parents=True)
    for number in range(3):
        image = np.full((48, 64, 3), 80 + 40 * number, np.uint8)
        assert cv2.imwrite(str(tmp_path / f"set/images/train/{number}.png"), image)
        (tmp_path / f"set/labels/train/{number}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    description = tmp_path / "set/data.yaml"
    description.write_text("train: images/train\nval: images/train\nnames: [leaf]\n")
    return str(description)


def options(photos: str, tmp_path: Path, *settings: str) -> Options:
    return Options(data=photos, count=4, size=64, set=settings, out=tmp_path / "out")


def picture(given: Options) -> bytes:
    """The pixels of the only sheet that a command makes."""
    assert given.out is not None
    assert run(given) == 0
    (sheet,) = given.out.iterdir()
    return sheet.read_bytes()


def test_what_is_set_is_seen(photos: str, tmp_path: Path) -> None:
    given = options(photos, tmp_path)
    made = [
        picture(replace(given, set=words, out=tmp_path / name))
        for name, words in (
            ("a", ()),
            ("b", ("augment.mosaic=1.0",)),
            ("c", ("augment.degrees=90",)),
        )
    ]
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_settings_are_those_of_a_run(photos: str, tmp_path: Path) -> None:
    def found(*words: str) -> object:
        given = options(photos, tmp_path, *words)
        return augmentation(given, settings_of(given), images=3)

    assert found() == published()
    assert found("augment.degrees=10", "augment.mixup=0") == replace(
        published(), degrees=10.0, mixup=0.0
    )
    plain = replace(options(photos, tmp_path), plain=True)
    assert augmentation(plain, settings_of(plain), images=3) == none()


def test_a_short_run_says_how_many_epochs_it_closes(
    photos: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [
        picture(
            replace(options(photos, tmp_path), epochs=20, epoch=epoch, out=tmp_path / str(epoch))
        )
        for epoch in (16, 17)
    ]
    assert "augment.close_mosaic = 3: a short run of 20 epochs\n" in capsys.readouterr().out
    without = ("augment.mosaic=0", "augment.mixup=0", "augment.copy_paste=0")
    closed = replace(
        options(photos, tmp_path, *without, "augment.close_mosaic=0"), epoch=17, out=tmp_path / "c"
    )
    assert picture(closed) == made[1]
    assert picture(replace(closed, epoch=16, out=tmp_path / "d")) != made[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("mosaic=0",), "--set mosaic: samples show settings of augment alone; did you mean "),
        (("optimizer.learning_rate=1",), "--set optimizer.learning_rate: samples show settings of"),
        (("augment.mosiac=0",), "unknown key 'augment.mosiac'; did you mean 'mosaic'"),
        (("augment.mixup=1.5",), "mixup is 1.5, outside 0..1"),
        (("augment.mixup=0", "augment.mixup_concentration=5"), "mixup_concentration"),
        (("augment.mosaic=0",), "augment: mixup needs mosaics, and mosaic is 0; set mixup=0"),
        (("augment.mixup",), "--set: 'augment.mixup' is no setting: write key=value"),
    ],
)
def test_what_a_run_would_refuse_is_refused_here(
    photos: str, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        run(options(photos, tmp_path, *words))
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_epochs_and_plain_must_fit_the_rest(photos: str, tmp_path: Path) -> None:
    given = options(photos, tmp_path, "augment.mixup=0")
    with pytest.raises(ConfigError, match="keep one of the two"):
        run(replace(given, plain=True))
    with pytest.raises(ConfigError, match="--epoch is 20; it must be at most 19"):
        run(replace(given, epochs=20, epoch=20))
