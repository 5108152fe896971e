"""The classes of a data set among those of a network: by name, or a reason why not."""

from __future__ import annotations

import numpy as np
import pytest

from gelan.errors import ConfigError
from gelan.report.fitting import Fit, fit_classes
from gelan.structures.classes import ClassTable
from gelan.structures.coco import COCO
from gelan.structures.detections import Detections


def fit(network: tuple[str, ...], data: tuple[str, ...], counts: list[int] | None = None) -> Fit:
    objects = [1] * len(data) if counts is None else counts
    return fit_classes(ClassTable(network), ClassTable(data), counts=objects)


def test_the_same_classes_need_no_word() -> None:
    same = fit(("cat", "dog"), ("cat", "dog"))
    assert (same.network_indices, same.notes) == ((0, 1), ())


def test_another_order_is_paired_by_name_and_said() -> None:
    turned = fit(("cat", "dog"), ("dog", "cat"))
    assert turned.network_indices == (1, 0)
    assert turned.notes == (
        "the order of the classes differs, so they were paired by name: dog 0 -> 1, cat 1 -> 0",
    )


def test_spellings_of_coco_classes_are_known() -> None:
    names = ("aeroplane", "Potted_Plant", "tvmonitor", "trafficlight")
    found = fit_classes(COCO, ClassTable(names), counts=[1] * 4)
    assert [COCO.names[i] for i in found.network_indices if i is not None] == [
        "airplane", "potted plant", "tv", "traffic light",
    ]  # fmt: skip
    assert "aeroplane = airplane" in found.notes[0]


def test_detections_get_the_classes_of_the_data_and_others_go() -> None:
    some = fit(("cat", "dog", "cow"), ("cow", "cat"))
    found = Detections(
        boxes=np.zeros((3, 4), np.float32),
        scores=np.array([0.9, 0.8, 0.7], np.float32),
        classes=np.array([0, 1, 2]),
        names=("cat", "dog", "cow"),
        size_hw=(4, 4),
    )
    translated = some.translated(found)
    assert translated.labels == ["cat", "cow"]
    assert translated.classes.tolist() == [1, 0]
    assert some.wanted == (0, 2)
    assert some.translated(found[:0]).labels == []


def test_a_strange_class_without_objects_is_only_noted() -> None:
    found = fit(("cat",), ("cat", "unicorn"), [3, 0])
    assert found.network_indices == (0, None)
    assert found.notes == ("unknown to the network, and without objects: unicorn",)


def test_data_without_names_keeps_its_ids_if_it_has_as_many_classes() -> None:
    network, data = ClassTable(("cat", "dog")), ClassTable(("class 0", "class 1"), (3, 7))
    same = fit_classes(network, data, counts=[1, 1])
    assert same.classes == ClassTable(("cat", "dog"), (3, 7))
    fewer = fit_classes(ClassTable(("cat", "dog", "cow")), data, counts=[1, 1])
    assert fewer.classes == ClassTable(("cat", "dog", "cow"))  # the third has no id


def test_of_many_classes_six_are_named() -> None:
    names = tuple(f"kind {letter}" for letter in "abcdefgh")
    found = fit(names, ("kind a",))
    assert found.notes[0].endswith("kind b, kind c, kind d, kind e, kind f, kind g and 1 more")
    with pytest.raises(ConfigError, match=r"'kind e'; did you mean .*, 'kind f'.* and 2 more; "):
        fit(("kind", "other"), names)


def test_labels_without_names_get_those_of_the_network() -> None:
    found = fit(("cat", "dog", "cow"), ("class 0", "class 1"))
    assert found.classes.names == ("cat", "dog", "cow")
    assert "the data set has no class names" in found.notes[0]


@pytest.mark.parametrize(
    ("network", "data", "reason"),
    [
        (("cat",), ("cta",), "unknown to the network, which has 1: 'cta'; did you mean 'cat'?"),
        (("cat", "dog"), ("background", "cat", "dog"), "all others are one off"),
        (("cat", "dog"), ("Katze", "Hund"), "say so with --names, in the order of the network"),
        (("cat", "cow"), ("cat", "dog", "fox"), "take weights that were trained on these"),
        (("cat", "Cat"), ("cat",), "are too alike to be told apart"),
        (("cat", "dog"), ("cat", "CAT"), "'cat' and 'CAT' of the data set are both 'cat'"),
        (("class 0",), ("cat", "dog"), "the weights file has no names to tell which is which"),
        (COCO.names, tuple(f"class {n}" for n in range(91)), "80 and 90 or 91 are both COCO"),
        (COCO.names, tuple(f"class {n}" for n in range(81)), "a class for the background"),
    ],
)
def test_classes_that_do_not_fit_are_refused_with_the_likely_reason(
    network: tuple[str, ...], data: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        fit(network, data)
    assert reason in str(caught.value)
