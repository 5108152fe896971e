"""YOLOv9 and GELAN object detectors with programmable gradient information (PGI).

Nothing heavy is imported until it is used: `import gelan` costs milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gelan.errors import GelanError as GelanError
    from gelan.model.auxiliary import attach_auxiliary as attach_auxiliary
    from gelan.model.auxiliary import detach_auxiliary as detach_auxiliary
    from gelan.model.detector import Detector as Detector
    from gelan.model.detector import detector_on as detector_on
    from gelan.model.head import decode as decode
    from gelan.model.reparameterize import reparameterize as reparameterize
    from gelan.model.variants import build as build
    from gelan.predict.loading import load as load
    from gelan.predict.predictor import Predictor as Predictor
    from gelan.structures.classes import ClassTable as ClassTable
    from gelan.structures.detections import Detections as Detections

_HOME = {
    "ClassTable": "gelan.structures.classes",
    "Detections": "gelan.structures.detections",
    "Detector": "gelan.model.detector",
    "GelanError": "gelan.errors",
    "Predictor": "gelan.predict.predictor",
    "attach_auxiliary": "gelan.model.auxiliary",
    "build": "gelan.model.variants",
    "decode": "gelan.model.head",
    "detach_auxiliary": "gelan.model.auxiliary",
    "detector_on": "gelan.model.detector",
    "load": "gelan.predict.loading",
    "reparameterize": "gelan.model.reparameterize",
}
"""Public name -> the module that it lives in."""

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'gelan' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
