"""Two evaluated networks on the same images: which is better, or that nobody can tell."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gelan.cli.options import require_between
from gelan.cli.printing import printable
from gelan.config import option, to_mapping
from gelan.errors import ConfigError
from gelan.evaluate.settings import COMPARISON
from gelan.report.sentences import counted

if TYPE_CHECKING:
    from gelan.evaluate.comparison import ClassDifference, Comparison, Difference
    from gelan.report.saved import SavedResults

LEAST_REPLICAS, MOST_REPLICAS = 20, 100_000
MOST_SEED = 2**63 - 1
MOST_CLASSES = 10
"""Classes that are printed: those that differ most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Options of `gelan compare`."""

    a: Path = option("folder that gelan val has written for one network", positional=True)
    b: Path = option("folder that gelan val has written for the other", positional=True)
    all_classes: bool = option("print every class, not the ten that differ most", default=False)
    replicas: int = option(
        "choices of images whose results are exchanged between the two, at least 20",
        default=COMPARISON.replicas,
    )
    seed: int = option("of these choices; of few images all are tried", default=COMPARISON.seed)
    json: bool = option("print the comparison as JSON, and nothing else", default=False)


def run(options: Options) -> int:
    """Compare and print."""
    from gelan.evaluate.comparison import compare
    from gelan.report.saved import load_results

    require_between("replicas", options.replicas, LEAST_REPLICAS, MOST_REPLICAS)
    require_between("seed", options.seed, 0, MOST_SEED)
    a, b = load_results(options.a), load_results(options.b)
    _require_comparable(a, b, options)
    settings = replace(COMPARISON, replicas=options.replicas, seed=options.seed)
    compared = compare(a.results, b.results, classes=a.classes, settings=settings)
    if options.json:
        print(json_module.dumps(to_mapping(compared)))  # ASCII, for any terminal
    else:
        print("\n".join(map(printable, _lines(compared, (a, b), options))))
    return 0


def _require_comparable(a: SavedResults, b: SavedResults, options: Options) -> None:
    if a.classes.names != b.classes.names:
        raise ConfigError(
            f"{options.a} and {options.b} were evaluated on different classes "
            f"({len(a.classes)} and {len(b.classes)}); evaluate both on the same data set"
        )
    if a.postprocess != b.postprocess:
        differing = [
            f"{name} {value} and {to_mapping(b.postprocess)[name]}"
            for name, value in to_mapping(a.postprocess).items()
            if value != to_mapping(b.postprocess)[name]
        ]
        raise ConfigError(
            f"{options.a} and {options.b} were evaluated with different settings "
            f"({', '.join(differing)}); evaluate both with the same"
        )


def _lines(
    compared: Comparison, saved: tuple[SavedResults, SavedResults], options: Options
) -> Iterator[str]:
    for letter, place, run_of in zip("AB", (options.a, options.b), saved, strict=True):
        yield f"{letter}  {place}  ({run_of.facts.get('weights', 'weights unknown')})"
    images, tried = counted(compared.num_images, "image"), compared.num_exchanges
    yield f"{images}; results exchanged on {tried:,} choices of them" if tried > 1 else images
    yield ""
    yield f"{'':6}{'A':>7}{'B':>7}{'A - B':>8}  {'interval of A - B':20}{'p':>7}"
    yield from (_figures(difference) for difference in (compared.ap, compared.ap50))
    yield ""
    yield compared.ap.verdict()
    yield compared.ap50.verdict()
    present = [each for each in compared.classes if each.num_objects]
    ranked = sorted(present, key=lambda each: -abs(_gain(each)))
    shown = ranked if options.all_classes else ranked[:MOST_CLASSES]
    width = max([5, *(len(each.name) for each in shown)])
    yield ""
    yield f"{'class':{width}}{'objects':>9}{'AP of A':>9}{'AP of B':>9}{'A - B':>8}"
    for each in shown:
        yield (
            f"{each.name:{width}}{each.num_objects:>9,}{_figure(each.a):>9}{_figure(each.b):>9}"
            f"{_gain(each):>+8.3f}"
        )
    yield "(of single classes no interval is given: with few objects chance decides)"


def _figures(difference: Difference) -> str:
    interval = difference.interval
    ends = "-" if interval is None else f"{interval.low:+.3f} to {interval.high:+.3f}"
    gain = "-" if difference.gain is None else f"{difference.gain:+.3f}"
    chance = _chance(difference.p)
    figures = f"{_figure(difference.a):>7}{_figure(difference.b):>7}{gain:>8}"
    return f"{difference.figure:6}{figures}  {ends:20}{chance:>7}"


def _chance(p: float | None) -> str:
    """To 3 decimals, but never as if something were certain."""
    if p is None:
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _gain(each: ClassDifference) -> float:
    return (each.a or 0.0) - (each.b or 0.0)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
