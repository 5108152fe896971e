"""Labelled images, read ahead of their use; what is wrong with them is noted, not hidden."""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from tqdm import tqdm

from gelan.cli.printing import printable, progress_bar
from gelan.errors import ImageError

if TYPE_CHECKING:
    from gelan.data.description import DatasetDescription, ImageRecord
    from gelan.structures.findings import Finding
    from gelan.structures.samples import Sample

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

MISFIT_KINDS = ("image-size", "image-turned")
THREADS = 2
AHEAD = 16
"""Images that are held at most before they are asked for: two batches."""


class ReadableSamples:
    """The images with their objects, in order; those that cannot be read are noted."""

    def __init__(self, records: Sequence[ImageRecord], *, quiet: bool) -> None:
        self._records, self._quiet = records, quiet
        self.findings: list[Finding] = []
        self._misfits: list[ImageRecord] = []

    def __iter__(self) -> Iterator[Sample]:
        from gelan.data.health.pictures import unreadable
        from gelan.data.health.scan import Unreadable

        read = read_ahead(_sample, self._records)
        bar = progress_bar(read, total=len(self._records), hidden=self._quiet)
        for record, sample in zip(self._records, bar, strict=True):
            if isinstance(sample, ImageError):
                tqdm.write(f"gelan: {printable(str(sample))}", file=sys.stderr)
                self.findings.append(unreadable(Unreadable(record.path, sample)))
            else:
                if record.stated_hw not in (None, sample.image.shape[:2]):
                    self._misfits.append(record)
                yield sample

    def misfit_findings(self, data: DatasetDescription) -> list[Finding]:
        """Images, of those that have been read, whose boxes are for another size or turn of them.

        The log has the first of each kind.
        """
        from gelan.data.health.kinds import meaning
        from gelan.data.health.pictures import picture_findings
        from gelan.data.health.scan import look_at

        seen = {record.path: look_at(record.path) for record in self._misfits}
        part = replace(data, splits={"": tuple(self._misfits)})
        found = [one for one in picture_findings(part, seen) if one.kind in MISFIT_KINDS]
        for kind in MISFIT_KINDS:
            alike = [one for one in found if one.kind == kind]
            if alike:
                more = f" (and {len(alike) - 1} more)" if len(alike) > 1 else ""
                logger.warning("%s: %s%s", meaning(kind), alike[0], more)
        return found


def _sample(record: ImageRecord) -> Sample | ImageError:
    from gelan.data.images import read_image
    from gelan.structures.samples import Sample

    try:
        image = read_image(record.path)
    except ImageError as error:
        return error
    annotations = record.annotations((image.shape[0], image.shape[1]))
    return Sample(image=image, annotations=annotations, source=str(record.path))


def read_ahead(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int = THREADS,
    ahead: int = AHEAD,
) -> Generator[Result, None, None]:
    """`map(function, items)` with the next results made in threads, never more than `ahead`.

    >>> list(read_ahead(abs, [-1, 2, -3], ahead=2))
    [1, 2, 3]
    """
    executor = ThreadPoolExecutor(threads)
    waiting = iter(items)
    try:
        made: deque[Future[Result]] = deque(
            executor.submit(function, item) for item in islice(waiting, ahead)
        )
        while made:
            result = made.popleft().result()
            made.extend(executor.submit(function, item) for item in islice(waiting, 1))
            yield result
    finally:
        executor.shutdown(cancel_futures=True)
