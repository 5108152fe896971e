"""Results kept in a file: the same afterwards, and a damaged file is never half read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gelan.errors import ConfigError
from gelan.predict.postprocess import EVALUATION, PostprocessSettings
from gelan.report.saved import FILE_NAME, SavedResults, load_results, save_results
from gelan.structures.classes import ClassTable
from tests.unit.evaluate.made_up import image


def saved(*, postprocess: PostprocessSettings = EVALUATION) -> SavedResults:
    first = image([((0, 0, 4, 4), 1)], [((0, 0, 4, 5), 2, 0.25)], crowds=[((1, 1, 3, 3), 0)])
    empty = image([], [], source="caf\udce9.jpg")  # a name that is no UTF-8
    return SavedResults(
        results=(first, empty),
        classes=ClassTable(("cat", "dog", "car"), (1, 7, 9)),
        postprocess=postprocess,
        facts={"weights": "w.pt"},
    )


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    before = saved(postprocess=PostprocessSettings(classes=(0, 2), multi_label=True))
    save_results(tmp_path / FILE_NAME, before)
    after = load_results(tmp_path)
    assert after.classes == before.classes
    assert after.postprocess == before.postprocess
    assert after.facts == before.facts
    assert [result.source for result in after.results] == ["a.jpg", "caf\udce9.jpg"]
    for one, other in zip(before.results, after.results, strict=True):
        assert one.detections.size_hw == other.detections.size_hw
        for part in ("boxes", "scores", "classes"):
            np.testing.assert_array_equal(
                getattr(one.detections, part), getattr(other.detections, part)
            )
        for part in ("boxes", "classes", "crowd", "areas"):
            np.testing.assert_array_equal(
                getattr(one.annotations, part), getattr(other.annotations, part)
            )


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_text("mine")
    with pytest.raises(ConfigError, match="is there already and stays as it is"):
        save_results(path, saved())
    assert path.read_text() == "mine"


def test_a_folder_without_results_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name the folder that gelan val has written"):
        load_results(tmp_path)


@pytest.mark.parametrize("kept", [0, 10, 300, -10])
def test_a_file_cut_short_is_refused(kept: int, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    save_results(path, saved())
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ConfigError, match="make it anew with gelan val"):
        load_results(path)


def test_columns_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    save_results(path, saved())
    with np.load(path) as arrays:
        columns = dict(arrays)
    columns["found_scores"] = np.zeros(5, np.float32)
    with path.open("wb") as file:
        np.savez(file, **columns)
    with pytest.raises(ConfigError, match="found_scores has 5 rows instead of 1"):
        load_results(path)
