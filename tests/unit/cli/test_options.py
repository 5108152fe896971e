"""Options that commands share: one default, one text, one range."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from gelan.cli import predict, val
from gelan.cli.options import open_predictor
from gelan.errors import ConfigError
from gelan.predict.loading import NamesError
from gelan.predict.postprocess import EVALUATION, PostprocessSettings


def test_the_defaults_of_predict_are_those_of_the_settings() -> None:
    options, settings = predict.Options(weights="w.pt", source="photos"), PostprocessSettings()
    for name in ("confidence", "iou", "max_detections", "agnostic"):
        assert getattr(options, name) == getattr(settings, name)


def test_the_defaults_of_val_are_the_protocol_of_published_figures() -> None:
    options = val.Options(weights="w.pt", data="data")
    for name in ("confidence", "iou", "max_detections"):
        assert getattr(options, name) == getattr(EVALUATION, name)


def test_shared_options_have_the_same_words() -> None:
    words = [
        {field.name: field.metadata["help"] for field in fields(kind)}
        for kind in (predict.Options, val.Options)
    ]
    for name in ("weights", "size", "batch", "device", "precision", "names", "iou", "quiet"):
        assert words[0][name] == words[1][name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "--batch is 0; it must be at least 1"),
        ({"batch": 10**23}, "--batch is 100000000000000000000000; it must be at most 1024"),
        ({"size": 1_000_000}, "--size is 1000000; it must be at most 8192"),
        ({"size": 0}, "--size is 0; it must be at least 1"),
    ],
)
def test_a_senseless_number_is_refused_before_the_weights_are_read(
    options: dict[str, Any], message: str
) -> None:
    asked = replace(predict.Options(weights="absent.pt", source="photos"), **options)
    with pytest.raises(ConfigError) as caught:
        open_predictor(asked)
    assert str(caught.value) == message


def test_a_misspelt_coco_is_answered_with_coco(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(weights: str, **settings: object) -> None:
        raise NamesError("1 names were given for a network of 80 classes")

    monkeypatch.setattr("gelan.cli.options.load", load)
    for names, hint in (("coc", "; did you mean 'coco'?"), ("dog", ""), ("coc,dog", "")):
        with pytest.raises(ConfigError) as caught:
            open_predictor(predict.Options(weights="w.pt", source="photos", names=names))
        text = f"--names {names}: 1 names were given for a network of 80 classes{hint}"
        assert str(caught.value) == text


def test_a_size_that_is_no_multiple_of_32_is_refused_before_the_weights_are_read() -> None:
    with pytest.raises(ConfigError, match=r"^--size 641 is not a multiple of 32; take 672$"):
        open_predictor(predict.Options(weights="absent.pt", source="photos", size=641))
