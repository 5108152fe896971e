"""The curves of a training run: what each epoch gave, and where something changed on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from gelan.structures.history import EpochRow, RunStory
from gelan.visualize.axes import Axis, count_axis, log_axis, round_axis
from gelan.visualize.charts import Line, Mark, Step, line_chart

TRAINING, VALIDATION = "var(--series-1, #2459c7)", "var(--series-2, #c2560c)"
THIRD = "var(--series-3, #18794e)"
LOG_FROM = 20.0
"""Losses whose largest is more than so many times their least have a logarithmic axis."""
_LARGE, _MIDDLE, _SMALL = (460.0, 320.0), (350.0, 232.0), (262.0, 190.0)
_TERMS = (
    ("box", "Box loss", "how far boxes are off (CIoU)"),
    ("classification", "Classification loss", "how far scores are off"),
    ("distribution", "Distribution loss", "how far the distributions of edges are off (DFL)"),
)
Value = Callable[[EpochRow], float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One chart with its heading."""

    title: str
    about: str
    chart: str
    """SVG."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LearningCurves:
    """The charts of a run in three groups, the most important first."""

    main: tuple[Panel, ...]
    """AP, where it was validated, and the loss."""
    terms: tuple[Panel, ...]
    """What the loss is made of."""
    running: tuple[Panel, ...]
    """Learning rate, gradient, speed and memory."""
    has_changes: bool
    """Whether something was switched on the way, which lines in the charts mark."""


def learning_curves(story: RunStory) -> LearningCurves | None:
    """The charts; None for a run without a single epoch."""
    if not story.rows:
        return None
    drawn = _Drawing(story)
    return LearningCurves(
        main=tuple(drawn.main()),
        terms=tuple(drawn.terms()),
        running=tuple(drawn.running()),
        has_changes=bool(changes(story)),
    )


def changes(story: RunStory) -> tuple[Step, ...]:
    """Where PGI or mosaics went on or off, and where the run was taken up again; rising."""
    found = [
        Step(at=float(epoch), text="resumed", about=f"taken up again in epoch {epoch}")
        for epoch in story.resumed_at
    ]
    for before, after in zip(story.rows, story.rows[1:], strict=False):
        for name, was, became in (
            ("PGI", before.pgi, after.pgi),
            ("mosaic", before.mosaic, after.mosaic),
        ):
            if was != became:
                text = f"{name} {'on' if became else 'off'}"
                about = f"{text} from epoch {after.epoch} on"
                found.append(Step(at=float(after.epoch), text=text, about=about))
    return tuple(sorted(found, key=lambda step: step.at))


class _Drawing:
    """The panels of one run; all share the axis of epochs and its marks."""

    def __init__(self, story: RunStory) -> None:
        self._rows, self._story = story.rows, story
        self._steps = changes(story)

    def main(self) -> Iterator[Panel]:
        if any(row.ap is not None for row in self._rows):
            yield self._average_precision()
        lines = [self._line("training", lambda row: row.loss, TRAINING)]
        lines += self._known("validation", lambda row: row.validation_loss, VALIDATION)
        about = "of the main head, over the images of an epoch; where validation rises while "
        about += "training falls, the network learns its images by heart"
        yield self._panel("Loss", about if len(lines) > 1 else "of the main head", lines)

    def _average_precision(self) -> Panel:
        lines = [
            *self._known("AP50", lambda row: row.ap50, VALIDATION),
            *self._known("AP75", lambda row: row.ap75, THIRD),
            *self._known("AP", lambda row: row.ap, TRAINING),
        ]
        marks = [
            Mark(
                point=(float(row.epoch), row.ap),
                text=f"best {row.ap:.3f} after epoch {row.epoch}",
                color=TRAINING,
                low=True,  # where no curve is
            )
            for row in self._rows
            if row.epoch == self._story.best_epoch and row.ap is not None
        ]
        axis = round_axis(_values(lines), title="AP", from_zero=True)
        chart = line_chart(
            lines,
            title="Average precision on the validation split after each epoch",
            axes=(self._epochs(6), axis),
            marks=marks,
            steps=self._steps,
            labelled=True,
        )
        about = "of the averaged weights on the validation split"
        return Panel(title="Average precision", about=about, chart=chart)

    def terms(self) -> Iterator[Panel]:
        for name, title, about in _TERMS:
            lines = [
                *self._known("auxiliary", _field(f"auxiliary_{name}"), THIRD, dashed=True),
                self._line("training", _field(name), TRAINING),
                *self._known("validation", _field(f"validation_{name}"), VALIDATION),
            ]
            yield self._panel(title, about, lines, size=_MIDDLE)

    def running(self) -> Iterator[Panel]:
        for title, about, value in (
            ("Learning rate", "of the convolutions, at the end of the epoch", "learning_rate"),
            ("Gradient norm", "mean before clipping", "gradient_norm"),
            ("Speed", "images a second in training", "images_per_second"),
            ("Memory", "MB, the highest so far", "memory_mb"),
        ):
            line = self._line("", _field(value), TRAINING)
            yield self._panel(title, about, [line], size=_SMALL)

    def _panel(
        self,
        title: str,
        about: str,
        lines: Sequence[Line],
        *,
        size: tuple[float, float] = _LARGE,
    ) -> Panel:
        """Losses and the like; in all but a large one changes are lines without words."""
        values = _values(lines)
        few = 4 if size == _SMALL else 5
        if size != _SMALL and min(values, default=0.0) * LOG_FROM < max(values, default=0.0):
            axis = log_axis(values, title="logarithmic")
        else:
            axis = round_axis(values, title="", from_zero=True, num_ticks=few)
        steps = [s if size == _LARGE else replace(s, text="") for s in self._steps]
        chart = line_chart(
            lines,
            title=f"{title} after each epoch: {about}",
            axes=(self._epochs(few), axis),
            steps=steps,
            labelled=len(lines) > 1,
            size=size,
        )
        return Panel(title=title, about=about, chart=chart)

    def _epochs(self, num_ticks: int) -> Axis:
        first, last = self._rows[0].epoch, self._rows[-1].epoch
        return count_axis(first, last, title="epoch", num_ticks=num_ticks)

    def _line(self, name: str, value: Value, color: str, *, dashed: bool = False) -> Line:
        """Through the epochs in which it was measured, however far apart."""
        points: list[tuple[float, float | None]] = []
        for row in self._rows:
            number = value(row)
            if number is not None:
                points.append((float(row.epoch), number))
        return Line(name=name, points=points, color=color, dashed=dashed)

    def _known(self, name: str, value: Value, color: str, *, dashed: bool = False) -> list[Line]:
        """The line, if it was ever measured."""
        line = self._line(name, value, color, dashed=dashed)
        return [line] if line.points else []


def _field(name: str) -> Value:
    def value(row: EpochRow) -> float | None:
        number: float | None = getattr(row, name)
        return number

    return value


def _values(lines: Sequence[Line]) -> list[float]:
    return [y for line in lines for _, y in line.points if y is not None and math.isfinite(y)]
