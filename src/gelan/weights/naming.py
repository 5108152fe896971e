"""What a network is called, as far as its file tells."""

from __future__ import annotations

from collections.abc import Mapping

from gelan.model.specs import DetectorSpec
from gelan.model.variants import name_of

LEFT_OUT = "left out"
"""Value of `provenance["auxiliary"]` where this program has left the auxiliary part out."""


_PROGRAMS = {"models": "official", "ultralytics": "ultralytics"}
"""Top package of a pickled network's class -> the family of files that it writes."""
_LIKE_OFFICIAL = ("official", "ultralytics", "unknown (official layout)")
"""Families whose tensors have the official names."""


def family_of(layout: str, attributes: Mapping[str, object]) -> str:
    """Which program wrote a file, as far as it tells.

    Files of ultralytics have tensors named as the official ones, so the class of the pickled
    network decides; a bare state dict has none.

    >>> family_of("official", {"class": "ultralytics.nn.tasks.DetectionModel"})
    'ultralytics'
    >>> family_of("official", {}), family_of("multimediatechlab", {})
    ('unknown (official layout)', 'multimediatechlab')
    """
    if layout != "official":
        return layout
    return _PROGRAMS.get(_program({"attributes": attributes}), f"unknown ({layout} layout)")


def network_in_words(spec: DetectorSpec, provenance: Mapping[str, object]) -> str:
    """The published name of a network, and where its auxiliary part is.

    A yolov9-c without its auxiliary part has the tensors of a gelan-c that was trained alone; where
    the file does not tell which it is, both are named.

    >>> from gelan.model.variants import VARIANTS
    >>> network_in_words(VARIANTS["gelan-c"], {"auxiliary": "left out"})
    'yolov9-c, auxiliary part left out'
    >>> network_in_words(VARIANTS["yolov9-c"], {"family": "official"})
    'yolov9-c'
    """
    name = name_of(spec)
    if name is None:
        return "a network of its own"
    if spec.auxiliary is not None:
        return name
    return _without_auxiliary(name, provenance, dense=spec.head.box_groups == 1)


def _without_auxiliary(name: str, provenance: Mapping[str, object], *, dense: bool) -> str:
    """What a gelan-c may be, too; ultralytics and official segmentation have dense box towers."""
    whole = name.replace("gelan-", "yolov9-")
    family = provenance.get("family")
    if provenance.get("auxiliary") == LEFT_OUT:
        return f"{whole}, auxiliary part left out"
    if family == "multimediatechlab":
        return f"{whole}, trained or saved without auxiliary part"
    if family not in _LIKE_OFFICIAL:
        return name
    program = _program(provenance)
    if program == "ultralytics" or (dense and program != "models"):
        return f"{whole} as ultralytics builds it, without auxiliary part"
    return f"{whole}, auxiliary part left out (converted), or {name} trained alone"


def _program(provenance: Mapping[str, object]) -> str:
    """Top package of the classes that the file names; "" where it names none."""
    attributes = provenance.get("attributes")
    kind = attributes.get("class") if isinstance(attributes, Mapping) else None
    return str(kind or "").partition(".")[0]
