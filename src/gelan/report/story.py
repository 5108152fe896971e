"""What a training run came to, in sentences; each is said only where its rule holds.

The rules look at validated epochs alone, so that a run that validates every fifth epoch is judged
like one that validates each. They are deliberately coarse: a figure that jumps about by its noise
shall not be told as a trend.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Literal

from gelan.report.sentences import counted
from gelan.structures.history import EpochRow, RunStory

FEWEST = 10
"""Validated epochs from which a trend can be told."""
CHANGE = 0.01
"""AP by which a mean must differ to count as better or worse."""
LOSS_RISE = 0.05
"""Rise of the validation loss, in parts of its lowest, that counts as over-fitting."""
Trend = Literal["unknown", "improving", "level", "falling"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Overfit:
    """From where on the network learnt its training images by heart."""

    epoch: int
    """After which the validation loss rose."""
    rise: float
    """Of the validation loss since, in parts of its lowest."""


def ap_trend(rows: Sequence[EpochRow]) -> Trend:
    """Which way AP went in the last fifth of the validated epochs.

    Their mean AP is compared with the highest mean of an earlier fifth: `improving` if it is more
    than 0.01 above, `falling` if it is more than 0.01 below, else `level`; `unknown` with fewer
    than 10 validated epochs.
    """
    values = [row.ap for row in rows if row.ap is not None]
    if len(values) < FEWEST:
        return "unknown"
    ends = [len(values) * part // 5 for part in range(6)]
    means = [fmean(values[start:end]) for start, end in pairwise(ends)]
    change = means[-1] - max(means[:-1])
    if abs(change) <= CHANGE:
        return "level"
    return "improving" if change > 0 else "falling"


def overfitting(rows: Sequence[EpochRow]) -> Overfit | None:
    """Where over-fitting began, or None where the losses do not show it.

    With at least 10 validated epochs: the mean validation loss of the last fifth lies 5 % or more
    above the lowest mean of three neighbours before, while the training loss of the main head fell
    from there to the mean of the last fifth.
    """
    known = [(row, loss) for row in rows if (loss := row.validation_loss) is not None]
    if len(known) < FEWEST:
        return None
    before, last = known[: -(len(known) // 5)], known[-(len(known) // 5) :]
    losses = [loss for _, loss in before]
    means = [fmean(losses[number : number + 3]) for number in range(len(losses) - 2)]
    lowest = min(means)
    place = means.index(lowest) + 1  # the middle one of the three
    rise = fmean(loss for _, loss in last) / lowest - 1 if lowest > 0 else 0.0
    trained = fmean(row.loss for row, _ in last)
    if rise < LOSS_RISE or trained >= before[place][0].loss:
        return None
    return Overfit(epoch=before[place][0].epoch, rise=rise)


def run_sentences(story: RunStory) -> str:
    """What somebody who was not there should know first."""
    return " ".join(_sentences(story))


def _sentences(story: RunStory) -> Iterator[str]:
    classes = "1 class" if len(story.classes) == 1 else counted(len(story.classes), "class")
    images = counted(story.num_images, "image")
    if not story.rows:
        yield f"{story.network} was to learn {classes} from {images}."
        yield f"{_sentence(story.ending)} It ended before its first epoch was over."
        return
    done = story.rows[-1].epoch
    time = duration(story.rows[-1].seconds)
    yield f"{story.network} learnt {classes} from {images} in {time}."
    if story.resumed_at:
        times = {1: "once", 2: "twice"}.get(len(story.resumed_at), f"{len(story.resumed_at)} times")
        which = _listed([str(epoch) for epoch in story.resumed_at])
        word = "epoch" if len(story.resumed_at) == 1 else "epochs"
        yield f"It was taken up again {times}, in {word} {which}."
    yield _sentence(story.ending)
    if done < story.planned_epochs:
        yield f"It went through {done} of {counted(story.planned_epochs, 'epoch')}."
    yield from _progress(story)


def _progress(story: RunStory) -> Iterator[str]:
    """The best epoch, and whether there was more to learn."""
    rows, best = story.rows, best_row(story)
    if all(row.ap is None for row in rows):
        yield (
            "It was not validated, so nothing is known about how well it finds objects in images "
            "that it has not learnt from."
        )
        return
    if best is not None and best.ap is not None:
        yield f"It was best after epoch {best.epoch} of {rows[-1].epoch}, with AP {best.ap:.3f}."
    trend, overfit = ap_trend(rows), overfitting(rows)
    yield _TRENDS[trend]
    if overfit is not None:
        but = "although AP did not suffer, " if trend == "improving" else ""
        yield (
            f"It began to over-fit at about epoch {overfit.epoch}: {but}the validation loss rose "
            f"by {100 * overfit.rise:.0f} % from there to the end, while the training loss fell."
        )


_TRENDS: dict[Trend, str] = {
    "unknown": "Too few epochs were validated to tell whether it had learnt all it could.",
    "improving": "At the end it was still improving, so a longer run may well give more.",
    "level": "At the end it had stopped improving.",
    "falling": "At the end it was getting worse, so a shorter run, or more data, serves better.",
}


def best_row(story: RunStory) -> EpochRow | None:
    """The epoch whose weights are kept as the best."""
    return next((row for row in story.rows if row.epoch == story.best_epoch), None)


def _sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    end = "" if not text or text[-1] in ".!?" else "."
    return text[:1].upper() + text[1:] + end


def _listed(words: Sequence[str]) -> str:
    """`1`, `1 and 2`, `1, 2 and 3`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def duration(seconds: float) -> str:
    """A time in its two largest units.

    >>> duration(7.4), duration(372.0), duration(7380.0), duration(93600.0)
    ('7.4 s', '6 min 12 s', '2 h 3 min', '1 d 2 h')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, name, part, part_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // part} {part_name}"
    raise AssertionError(seconds)
