"""Labelled images, read one after the other; those that cannot be read are noted, not hidden."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tqdm import tqdm

from gelan.errors import ImageError

if TYPE_CHECKING:
    from gelan.data.description import ImageRecord
    from gelan.structures.findings import Finding
    from gelan.structures.samples import Sample


class ReadableSamples:
    """The images with their objects, one after the other; those that cannot be read are noted."""

    def __init__(self, records: Sequence[ImageRecord], *, quiet: bool) -> None:
        self._records, self._quiet = records, quiet
        self.findings: list[Finding] = []

    def __iter__(self) -> Iterator[Sample]:
        from gelan.data.images import read_image
        from gelan.structures.findings import Finding
        from gelan.structures.samples import Sample

        hidden = self._quiet or not sys.stderr.isatty()
        for record in tqdm(self._records, unit="image", disable=hidden, file=sys.stderr):
            try:
                image = read_image(record.path)
            except ImageError as error:
                tqdm.write(f"gelan: {error}", file=sys.stderr)
                cause = str(error).removeprefix(f"{record.path}: ")
                remedy = "left out of all figures; replace the file or take it out of the data set"
                self.findings.append(
                    Finding(
                        kind="image-unreadable",
                        severity="error",
                        file=str(record.path),
                        line=None,
                        cause=cause,
                        remedy=remedy,
                    )
                )
                continue
            annotations = record.annotations((image.shape[0], image.shape[1]))
            yield Sample(image=image, annotations=annotations, source=str(record.path))
