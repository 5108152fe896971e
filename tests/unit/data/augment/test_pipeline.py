from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gelan.data.augment.config import AugmentConfig, none, published
from gelan.data.augment.pieces import pieces_of
from gelan.data.augment.pipeline import (
    Decoded,
    Made,
    Recipe,
    augmented,
    letterboxed,
    plan,
    samples,
)
from gelan.errors import ConfigError
from gelan.geometry.letterbox import Preprocessing, letterbox
from gelan.structures.samples import Annotations, Sample
from tests.unit.data.augment.painted import Painted

PREPROCESSING = Preprocessing(size=64)


def recipe(config: AugmentConfig | None = None, *, seed: int = 0, epoch: int = 0) -> Recipe:
    return Recipe(config=config or published(), preprocessing=PREPROCESSING, seed=seed, epoch=epoch)


def trace(sample: Sample) -> tuple[bytes, bytes, str]:
    return sample.image.tobytes(), sample.annotations.boxes.tobytes(), sample.source


def drawn(source: Painted, *, seed: int, epoch: int) -> tuple[bytes, bytes, str]:
    made = augmented(
        source, 2, seed=seed, epoch=epoch, config=published(), preprocessing=PREPROCESSING
    )
    return trace(made)


def test_a_sample_depends_on_seed_epoch_and_index_alone() -> None:
    first = drawn(Painted(9), seed=1, epoch=2)
    np.random.default_rng(0).random()
    assert first == drawn(Painted(9), seed=1, epoch=2)
    assert first != drawn(Painted(9), seed=1, epoch=3)
    assert first != drawn(Painted(9), seed=2, epoch=2)
    assert first != drawn(Painted(9), seed=2, epoch=1)


@pytest.mark.parametrize("config", [published(), published().without_mosaic()])
def test_the_same_images_meet_another_chance_in_every_epoch(config: AugmentConfig) -> None:
    group, read = np.arange(9), Decoded(Painted(9), at_most=64)
    found = [
        plan(group, 2, recipe=recipe(config, seed=seed, epoch=epoch), read=read)
        for seed, epoch in ((0, 1), (0, 1), (0, 2), (1, 1))
    ]
    assert found[0].gains == found[1].gains
    assert len({each.gains for each in found}) == 3
    tiles = {tile.matrix.tobytes() for each in found[1:] for tile in each.scenes[0].tiles}
    assert len(tiles) == sum(len(each.scenes[0].tiles) for each in found[1:])


def test_augmented_is_what_the_epoch_gives() -> None:
    source, settings = Painted(23), recipe(replace(published(), partners=8), seed=4, epoch=1)
    in_epoch = {
        int(group[place]): trace(made.sample)
        for group in settings.groups(23)
        for place, made in enumerate(samples(source, group, range(len(group)), recipe=settings))
    }
    assert sorted(in_epoch) == list(range(23))
    for index in (0, 7, 22):
        alone = augmented(
            source, index, seed=4, epoch=1, config=settings.config, preprocessing=PREPROCESSING
        )
        assert trace(alone) == in_epoch[index]


def test_each_image_is_decoded_once_in_a_group() -> None:
    source, settings = Painted(20), recipe(replace(published(), partners=10))
    for group in settings.groups(20):
        source.loads.clear()
        list(samples(source, group, range(len(group)), recipe=settings))
        assert sorted(source.loads) == sorted(group.tolist())


def test_the_order_of_an_epoch_holds_every_image_once_in_even_groups() -> None:
    groups = recipe(replace(published(), partners=8)).groups(20)
    assert [len(group) for group in groups] == [7, 7, 6]
    order = np.concatenate(groups).tolist()
    assert sorted(order) == list(range(20))
    assert order != list(range(20))
    assert order != np.concatenate(recipe(epoch=1).groups(20)).tolist()
    assert np.concatenate(recipe(none()).groups(20, shuffle=False)).tolist() == list(range(20))


def test_any_image_is_as_likely_a_partner_as_any_other() -> None:
    # 12 images in groups of 4: over the epochs, each pair should meet as often as any other.
    count, epochs = 12, 60
    config = AugmentConfig(
        mosaic_spread=0.0, scale=0.0, translate=0.0, mixup=0.0, copy_paste=0.0, partners=4
    )
    read = Decoded(Painted(count, largest=24), at_most=64)
    met = np.zeros((count, count))
    for epoch in range(epochs):
        settings = recipe(config, epoch=epoch)
        for group in settings.groups(count):
            for place, index in enumerate(group.tolist()):
                made = plan(group, place, recipe=settings, read=read)
                met[index, sorted(made.indices - {index})] += 1
    expected = epochs * 3 / (count - 1)
    pairs = met[~np.eye(count, dtype=bool)]
    assert pairs.sum() == epochs * count * 3
    assert np.abs(pairs - expected).max() < 5 * expected**0.5
    partners = met.sum(axis=0)  # every image is partner as often as every other, exactly
    assert partners.tolist() == [epochs * 3] * count


def test_mosaics_without_shuffling_are_refused() -> None:
    with pytest.raises(ConfigError, match="mosaics take their partners from a random order"):
        recipe().groups(20, shuffle=False)


def test_without_augmentation_an_image_is_what_predict_sees() -> None:
    source = Painted(5, "outlines")
    original = source[3]
    (made,) = samples(source, np.array([3]), [0], recipe=recipe(none()))
    canvas, placement = letterbox(original.image, PREPROCESSING)
    assert (made.sample.image == canvas).all()
    assert made.placement == placement
    boxes = original.annotations.boxes
    assert (made.sample.annotations.boxes == placement.to_canvas(boxes)).all()
    assert placement.to_original(made.sample.annotations.boxes) == pytest.approx(boxes, abs=1e-4)


def test_letterboxed_annotations_by_hand() -> None:
    found = Annotations.of_boxes([[10, 0, 50, 20]], [0])
    outlined = Annotations(
        boxes=found.boxes,
        classes=found.classes,
        crowd=np.array([True]),
        areas=found.areas,
        polygons=((np.array([[10, 0], [50, 0], [50, 20]], np.float32),),),
    )
    sample = Sample(image=np.zeros((64, 128, 3), np.uint8), annotations=outlined, source="a.png")
    made = letterboxed(sample, PREPROCESSING).sample.annotations
    assert made.boxes.tolist() == [[5, 16, 25, 26]]
    assert made.areas.tolist() == [200]
    assert made.crowd.tolist() == [True]
    assert made.polygons[0][0].tolist() == [[5, 16], [25, 16], [25, 26]]


def darker(sample: Sample) -> Sample:
    return replace(sample, image=sample.image // 2)


def halved(sample: Sample) -> Sample:
    return replace(sample, image=sample.image[::2])


def broken(sample: Sample) -> Sample:
    raise KeyError("leaf")


def test_a_hook_changes_the_finished_sample() -> None:
    def make(hook: object) -> Sample:
        assert hook is None or callable(hook)
        return augmented(Painted(9), 1, config=published(), preprocessing=PREPROCESSING, hook=hook)

    assert (make(darker).image == make(None).image // 2).all()
    with pytest.raises(ConfigError) as caught:
        make(halved)
    assert str(caught.value) == (
        "1.png: the hook made uint8 (32, 64, 3) of an image of uint8 (64, 64, 3); "
        "it must keep the size and the type"
    )
    with pytest.raises(KeyError) as raised:
        make(broken)
    assert raised.value.__notes__ == ["the hook was given a sample of 1.png"]


class Careless(Painted):
    """A source that gives images in full whatever it is asked."""

    def load(self, index: int, *, at_most: int) -> Sample:
        return super().load(index, at_most=1000)


def test_a_source_that_ignores_the_size_is_told_so() -> None:
    with pytest.raises(ValueError, match=r"png: load gave .* pixels where at most 64 were asked"):
        augmented(Careless(9), 1, config=published(), preprocessing=PREPROCESSING)


def test_an_index_that_is_not_there_is_an_error() -> None:
    with pytest.raises(IndexError, match=r"index 9 is outside 0\.\.8"):
        augmented(Painted(9), 9, config=published())


def test_rectangles_and_negative_seeds_are_refused() -> None:
    with pytest.raises(ConfigError, match="samples are square"):
        Recipe(config=published(), preprocessing=Preprocessing(shape="rectangle"), seed=0, epoch=0)
    with pytest.raises(ConfigError, match="seed -1 and epoch 0 must not be below 0"):
        recipe(seed=-1)


@pytest.mark.parametrize("parts", [0, 1, 2, 5, 40])
@pytest.mark.parametrize(
    "positions",
    [
        [range(20)],
        [range(3, 17)],
        [range(0)],
        [],
        [range(19, 20)],
        [range(3), range(5, 9), range(9, 10), range(18, 20)],  # groups of 7, 7 and 6
        [range(0, 1), range(13, 14)],
    ],
)
def test_pieces_hold_the_positions_of_an_epoch_in_order(parts: int, positions: list[range]) -> None:
    settings = recipe(replace(published(), partners=8))
    pieces = pieces_of(settings, 20, positions=positions, shuffle=True, parts=parts)
    held = [int(piece.group[place]) for piece in pieces for place in piece.places]
    order = np.concatenate(settings.groups(20)).tolist()
    assert held == [order[place] for part in positions for place in part]
    assert all(len(piece.places) for piece in pieces)
    if len(held) == 20:
        assert len(pieces) >= min(parts, 20)


def test_made_says_where_there_is_no_way_back() -> None:
    ((_, placement),) = samples(Painted(3), np.arange(3), [0], recipe=recipe())
    assert placement is None
    assert Made._fields == ("sample", "placement")
