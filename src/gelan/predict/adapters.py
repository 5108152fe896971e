"""Detections in the types of other libraries; each library is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gelan.optional import require
from gelan.structures.detections import Detections

if TYPE_CHECKING:
    import supervision  # type: ignore[import-not-found, unused-ignore]


def to_supervision(detections: Detections) -> supervision.Detections:
    """The same detections, in the same order, for the tools of the supervision library.

    `xyxy` (pixels of the original image), `confidence`, `class_id` and, after tracking,
    `tracker_id` are copies; `data["class_name"]` holds the names.

    Raises:
        MissingDependencyError: supervision is not installed.
    """
    library = require("supervision", extra="supervision", purpose="to convert detections")
    converted: supervision.Detections = library.Detections(
        xyxy=detections.boxes.copy(),
        confidence=detections.scores.copy(),
        class_id=detections.classes.copy(),
        tracker_id=None if detections.track_ids is None else detections.track_ids.copy(),
        data={"class_name": np.array(detections.labels, dtype=np.str_)},
    )
    return converted
