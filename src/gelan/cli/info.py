"""What a network or a weights file is made of, costs, and where it comes from."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gelan.cli.printing import printable
from gelan.config import option
from gelan.errors import CheckpointError, nearest
from gelan.geometry.letterbox import require_size
from gelan.optional import require

if TYPE_CHECKING:
    from gelan.model.cost import Costs
    from gelan.model.specs import DetectorSpec
    from gelan.weights.loading import LoadedWeights


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `gelan info`."""

    target: str = option(
        "a network (yolov9-t, -s, -m, -c, -e, gelan-t, ...) or a weights file", positional=True
    )
    size: int = option("side of the square image that operations are counted for", default=640)
    json: bool = option("print everything as one JSON object", default=False)


def run(options: Options) -> int:
    """Print what is known about the target."""
    require_size(options.size, name="--size")
    require("torch", extra="train", purpose="to build a network")
    from gelan.model.cost import costs
    from gelan.model.variants import VARIANTS
    from gelan.weights.loading import load_weights

    if options.target in VARIANTS:
        name, spec, weights = options.target, VARIANTS[options.target], None
    elif Path(options.target).exists():
        weights = load_weights(Path(options.target))
        assert weights.detector.spec is not None  # a foreign or folded network cannot be stored
        name, spec = weights.description, weights.detector.spec
    else:
        hint = nearest(options.target, VARIANTS)
        raise CheckpointError(f"{options.target} is neither a network nor a file{hint}")
    facts = Facts(name, spec, costs(spec, size=options.size), weights, options.size)
    print(facts.as_json() if options.json else "\n".join(map(printable, facts.as_text())))
    return 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything to be told."""

    name: str
    """Of a published network; of a file, what it holds, as far as it tells."""
    spec: DetectorSpec
    costs: Costs
    weights: LoadedWeights | None
    size: int

    def as_json(self) -> str:
        """One JSON object, in ASCII, which every terminal can show."""
        facts: dict[str, object] = {
            "network": self.name,
            "classes": self.spec.num_classes,
            "size": self.size,
            "cost": asdict(self.costs),
            "layers": dict(self._layers()),
            "spec": asdict(self.spec),
        }
        if self.weights is not None:
            facts["metadata"] = asdict(self.weights.metadata)
            facts["notes"] = [*self.weights.notes, *self.weights.training_notes]
        return json_module.dumps(facts, indent=2)

    def as_text(self) -> Iterator[str]:
        """Lines for people, not yet printable: some of their text is from the file."""
        head, branch = self.spec.head, self.spec.auxiliary
        yield f"{self.name}, {self.spec.num_classes} classes"
        kind = "no auxiliary branch in it" if branch is None else f"{branch.kind} auxiliary branch"
        yield f"PGI: {kind}"
        yield (
            f"head: boxes {head.box_width} wide in {head.box_groups} groups, "
            f"classes {head.class_width} wide, {head.bins} bins"
        )
        yield ""
        yield f"{'':24}{'parameters':>12}  GFLOPs at {self.size} x {self.size}"
        rows = {
            "training graph": self.costs.training,
            "inference graph": self.costs.inference,
            "re-parameterised": self.costs.folded,
        }
        for name, cost in rows.items():
            yield f"{name:24}{cost.parameters:12,}{cost.gflops:8.2f}"
        yield ""
        yield f"{'layer':24}{'parameters':>12}"
        for name, parameters in self._layers():
            yield f"{name:24}{parameters:12,}"
        if self.weights is not None:
            yield from self._about_file(self.weights)

    def _layers(self) -> Iterator[tuple[str, int]]:
        """Each stage, merge and tower group of the training graph with its parameters."""
        import torch

        from gelan.model.cost import count_parameters
        from gelan.model.detector import build_detector

        with torch.device("meta"):
            detector = build_detector(self.spec)
        for name, module in detector.named_modules():
            if name in _shown(self.spec):
                yield name, count_parameters(module)

    @staticmethod
    def _about_file(weights: LoadedWeights) -> Iterator[str]:
        metadata = weights.metadata
        yield ""
        yield f"licence: {metadata.licence}"
        for key in ("file", "sha256", "family", "entry"):
            if metadata.provenance.get(key):
                yield f"{key}: {metadata.provenance[key]}"
        names = ", ".join(weights.classes.names[:8])
        yield f"names: {names}{', ...' if len(weights.classes) > 8 else ''}"
        for note in (*weights.notes, *weights.training_notes):
            yield f"note: {note}"


def _shown(spec: DetectorSpec) -> list[str]:
    """Names of the modules that are worth a line."""
    stages = ["stem", "stage1", "stage2", "stage3", "stage4"]
    shown = [f"backbone.base.{stage}" for stage in stages]
    if spec.composite:
        shown += ["backbone.lead.routes", *(f"backbone.lead.chain.{stage}" for stage in stages)]
    for path, parts in (
        ("neck.top_down", ("pool", "merge4", "merge3")),
        ("neck.bottom_up", ("down4", "merge4", "down5", "merge5")),
        ("head", ("boxes", "classes")),
        ("auxiliary", ("branch", "head")),
    ):
        shown += [f"{path}.{part}" for part in parts]
    return shown
