"""What happened in a training run, epoch by epoch, and what was chosen for it beforehand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRow:
    """One epoch in numbers, as `results.csv` has them; None where nothing was measured.

    Losses are means over the images of the epoch, with their gains: main ones sum up to what is
    minimised, together with the auxiliary ones times their weight.
    """

    epoch: int
    """Counted from 1."""
    iterations: int
    """Batches since the start of the run."""
    seconds: float
    """Since the start of the run, pauses left out."""
    images_per_second: float
    """While training, validation left out."""
    memory_mb: float
    """Highest so far: of the GPU, else of the process."""
    learning_rate: float
    """Of the convolutions, at the end of the epoch."""
    gradient_norm: float
    """Mean before clipping."""
    box: float
    classification: float
    distribution: float
    auxiliary_box: float | None
    auxiliary_classification: float | None
    auxiliary_distribution: float | None
    validation_box: float | None
    validation_classification: float | None
    validation_distribution: float | None
    ap: float | None
    """Of the averaged weights on the validation split, IoU 0.50 to 0.95."""
    ap50: float | None
    ap75: float | None
    mosaic: bool
    """Whether mosaics were on."""
    pgi: bool
    """Whether the auxiliary part was attached."""

    @property
    def loss(self) -> float:
        """Of the main head."""
        return self.box + self.classification + self.distribution

    @property
    def validation_loss(self) -> float | None:
        """Of the main head on the validation split."""
        parts = (
            self.validation_box,
            self.validation_classification,
            self.validation_distribution,
        )
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A setting that was chosen automatically."""

    name: str
    """As `--set` has it: `optimizer.learning_rate`."""
    value: object
    reason: str
    """In a few words: what it was chosen after."""

    def __str__(self) -> str:
        """For example "epochs = 100: fine-tuning from a checkpoint"."""
        return f"{self.name} = {self.value}: {self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PgiCost:
    """What the auxiliary part costs in a training step, measured before the start."""

    seconds_without: float
    seconds_with: float
    memory_mb_without: float
    memory_mb_with: float
    images: int
    """In the measured step."""

    def __str__(self) -> str:
        """In one sentence."""
        time = self.seconds_with / self.seconds_without - 1
        memory = self.memory_mb_with - self.memory_mb_without
        return (
            f"PGI costs {time:+.0%} time ({self.seconds_without:.2f} -> {self.seconds_with:.2f} s "
            f"for a step of {self.images} images) and {memory:+.0f} MB memory while training, "
            "nothing afterwards"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStory:
    """Everything about a training run that its page tells."""

    title: str
    """For example "yolov9-t on bccd"."""
    network: str
    """For example "yolov9-t"."""
    num_images: int
    """To learn from: those of the training split."""
    command: str
    """With which anybody gets the same run."""
    rows: tuple[EpochRow, ...]
    best_epoch: int | None
    """Counted from 1; None where nothing was validated."""
    planned_epochs: int
    ending: str
    """Why it ended, in a sentence: all epochs done, stopped early, interrupted, out of memory."""
    choices: tuple[Choice, ...]
    """What was chosen automatically."""
    settings: dict[str, object]
    """The resolved configuration, nested as it is in its file."""
    environment: dict[str, str]
    """Versions, machine, devices."""
    data: str
    """The data set in one sentence."""
    classes: tuple[tuple[int, str, int], ...]
    """Source id, name, training objects of each class, in model order."""
    pgi_cost: PgiCost | None
    resumed_at: tuple[int, ...] = ()
    """Epochs (from 1) in which the run was taken up again."""
