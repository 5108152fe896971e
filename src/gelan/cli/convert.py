"""Any readable weights file to ours: one safetensors file with everything about the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gelan.cli.classes import class_table
from gelan.cli.printing import printable
from gelan.config import option
from gelan.errors import ConfigError
from gelan.optional import require

_OTHER_FORMATS = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".onnx")
"""Endings that promise another format than the one that is written."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `gelan convert`."""

    weights: Path = option(
        "the file to read: ours, or any published YOLOv9 checkpoint", positional=True
    )
    out: Path | None = option(
        "the file to write, which must not exist yet (default: beside it, ending in .safetensors, "
        "or in -gelan.safetensors if the file to read ends so)",
        default=None,
    )
    names: str = option(
        "class names to store: coco, a text file (names.txt) with one a line, or a,b,c", default=""
    )
    new_classes: str = option(
        "start on other classes, written as in --names; only the class outputs are new, and named",
        default="",
    )
    deploy: bool = option("leave the auxiliary part out, which only training needs", default=False)


def run(options: Options) -> int:
    """Read, change what was asked, write."""
    require("torch", extra="train", purpose="to convert weights")
    from gelan.weights.changes import with_classes, without_auxiliary
    from gelan.weights.checkpoint import require_writable
    from gelan.weights.loading import load_weights, renamed, save_weights

    if options.names and options.new_classes:
        raise ConfigError("--names renames the classes there are, --new-classes replaces them")
    out = _beside(options.weights) if options.out is None else options.out
    if out.suffix.lower() in _OTHER_FORMATS:
        raise ConfigError(
            f"--out {out}: what is written is a safetensors file; call it {out.stem}.safetensors"
        )
    require_writable(out)
    weights = load_weights(options.weights)
    if options.names:
        weights = renamed(weights, class_table(options.names))
    if options.new_classes:
        weights = with_classes(weights, class_table(options.new_classes))
    if options.deploy:
        weights = without_auxiliary(weights)
    save_weights(out, weights)
    for line in (
        *(f"note: {note}" for note in (*weights.notes, *weights.training_notes)),
        f"network: {weights.description}",
        f"licence: {weights.metadata.licence}",
        f"{options.weights} -> {out}",
    ):
        print(printable(line))
    return 0


def _beside(path: Path) -> Path:
    """Where the result goes if nothing is said; never the file that is read.

    >>> _beside(Path("a/yolov9-c.pt")).name, _beside(Path("x.safetensors")).name
    ('yolov9-c.safetensors', 'x-gelan.safetensors')
    """
    if path.suffix == ".safetensors":
        return path.with_name(f"{path.stem}-gelan.safetensors")
    return path.with_name(f"{path.stem or path.name}.safetensors")
