"""Labelled images, read ahead of their use; those that cannot be read are noted, not hidden."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from tqdm import tqdm

from gelan.cli.printing import printable, progress_bar
from gelan.errors import ImageError

if TYPE_CHECKING:
    from gelan.data.description import ImageRecord
    from gelan.structures.findings import Finding
    from gelan.structures.samples import Sample

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = 2
AHEAD = 16
"""Images that are held at most before they are asked for: two batches."""


class ReadableSamples:
    """The images with their objects, in order; those that cannot be read are noted."""

    def __init__(self, records: Sequence[ImageRecord], *, quiet: bool) -> None:
        self._records, self._quiet = records, quiet
        self.findings: list[Finding] = []

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
                yield sample


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
