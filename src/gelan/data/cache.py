"""Decoded images that are kept, in memory or on disk, up to a bound in bytes.

Both kinds fill up and then keep what they have: an epoch reads every image once, in an order that
changes, so a cache that dropped the oldest image for the newest would drop each just before it is
read again. An image that was changed since is told by time and size of its file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import time
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from gelan.data.images import Image
from gelan.errors import ConfigError

_HEADER = struct.Struct("<8sqqIIII")
_MAGIC = b"gelanpx1"
_SUFFIX = ".pixels"
_UNFINISHED = ".unfinished"
_OLD_SECONDS = 3600.0
"""An unfinished file of this age belongs to a process that was killed."""
_RECOUNT = 32
"""The folder is measured again after so many parts of its bound were written."""


class CacheKey(NamedTuple):
    """Which image, as of when, and how large."""

    path: Path
    modified: int
    """Of the file, in nanoseconds."""
    file_bytes: int
    at_most: int | None
    """What its longer side was shrunk to; None for the image as it is."""

    @classmethod
    def of(cls, path: Path, at_most: int | None) -> CacheKey:
        """The key of an image as its file is now.

        Raises:
            OSError: there is no such file.
        """
        state = path.stat()
        return cls(path, state.st_mtime_ns, state.st_size, at_most)


class Held(NamedTuple):
    """A decoded image and the size that it had in full."""

    image: Image
    size_hw: tuple[int, int]


@runtime_checkable
class Cache(Protocol):
    """A place for decoded images; it may refuse or forget any of them."""

    def get(self, key: CacheKey) -> Held | None:
        """The image of a key, if it is there; its pixels are not to be written to."""

    def put(self, key: CacheKey, held: Held) -> None:
        """Keep an image, if there is room."""


class MemoryCache:
    """Images in the memory of this process.

    Sent to another process, it arrives empty with the same bound, and fills there. The workers of
    a loader so take the bound each, and may hold the same images several times: give it what there
    is divided by the workers, as `gelan train` does, or let a `DiskCache` serve them all.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self.max_bytes = _checked(max_bytes)
        self.used_bytes = 0
        self._held: dict[tuple[Path, int | None], tuple[CacheKey, Held]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: CacheKey) -> Held | None:
        """The image, unless its file has changed."""
        kept_key, held = self._held.get((key.path, key.at_most), (None, None))
        return held if kept_key == key else None

    def put(self, key: CacheKey, held: Held) -> None:
        """Keep an image if it fits, in place of what its file was before."""
        place = (key.path, key.at_most)
        if place in self._held:
            self.used_bytes -= self._held.pop(place)[1].image.nbytes
        if self.used_bytes + held.image.nbytes <= self.max_bytes:
            self._held[place] = (key, held)
            self.used_bytes += held.image.nbytes

    def __reduce__(self) -> tuple[object, ...]:
        """For another process: empty, with the same bound."""
        return (_empty_memory_cache, (self.max_bytes,))


def _empty_memory_cache(max_bytes: int) -> MemoryCache:
    return MemoryCache(max_bytes=max_bytes)


class DiskCache:
    """Images in files of one folder, which several processes and runs may share.

    A file appears under its name when it is complete, and is believed only if its length and
    header agree, so a process may be killed at any moment. With several writers the bound is kept
    to within a part of 32 for each of the others. Files of other kinds in the folder are left
    alone.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        """A cache in a folder, which is made if it is not there.

        Raises:
            ConfigError: the bound is none, or the folder cannot be made.
        """
        self.folder, self.max_bytes = folder, _checked(max_bytes)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{folder}: cannot hold a cache: {error.strerror or error}"
            ) from error
        self.used_bytes = 0
        """What the files take, as far as this process knows."""
        self._since_count = 0
        self._remove_unfinished()
        self._count()

    def get(self, key: CacheKey) -> Held | None:
        """The image, unless its file has changed or the cache's own is damaged."""
        try:
            data = self._file(key).read_bytes()
        except OSError:  # it is not there, or no longer
            return None
        if len(data) < _HEADER.size:
            return None
        magic, modified, file_bytes, *sizes = _HEADER.unpack_from(data)
        height, width, full_height, full_width = sizes
        is_whole = magic == _MAGIC and len(data) == _HEADER.size + height * width * 3
        if not is_whole or (modified, file_bytes) != (key.modified, key.file_bytes):
            return None
        pixels = np.frombuffer(data, np.uint8, offset=_HEADER.size)
        return Held(pixels.reshape(height, width, 3), (full_height, full_width))

    def put(self, key: CacheKey, held: Held) -> None:
        """Keep an image if it fits; a full disk is no error."""
        size = _HEADER.size + held.image.nbytes
        if self._since_count * _RECOUNT > self.max_bytes:
            self._count()
        if self.used_bytes + size > self.max_bytes:
            return
        sizes = (*held.image.shape[:2], *held.size_hw)
        header = _HEADER.pack(_MAGIC, key.modified, key.file_bytes, *sizes)
        file = self._file(key)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}{_UNFINISHED}")
        try:
            replaced = file.stat().st_size if file.exists() else 0
            with unfinished.open("wb") as target:
                target.write(header)
                target.write(np.ascontiguousarray(held.image).data)
            unfinished.replace(file)
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            return
        self.used_bytes += size - replaced
        self._since_count += size

    def _file(self, key: CacheKey) -> Path:
        """One for each image and size, whatever the state of the image."""
        name = f"{key.path.absolute()}\0{key.at_most}"
        digest = hashlib.blake2b(os.fsencode(name), digest_size=16).hexdigest()
        return self.folder / f"{digest}{_SUFFIX}"

    def _count(self) -> None:
        self._since_count = 0
        self.used_bytes = sum(
            state.st_size for name, state in self._files() if name.endswith(_SUFFIX)
        )

    def _remove_unfinished(self) -> None:
        for name, state in self._files():
            is_old = time.time() - state.st_mtime > _OLD_SECONDS
            if name.endswith(_UNFINISHED) and _SUFFIX in name and is_old:
                (self.folder / name).unlink(missing_ok=True)

    def _files(self) -> list[tuple[str, os.stat_result]]:
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # another process has renamed it
                    found.append((entry.name, entry.stat()))
        return found


def _checked(max_bytes: int) -> int:
    if max_bytes <= 0:
        raise ConfigError(f"a cache needs room: {max_bytes} bytes should be more than 0")
    return max_bytes
