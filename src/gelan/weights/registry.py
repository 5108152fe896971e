"""Weights that others have published, and an explicit, verified download.

Nothing is fetched unless `pull` is called. The sizes and checksums of the published files are not
in the table: none is published beside them, and the files could not be reached when it was written.
So `pull` needs a sha256 from the caller, or leave to trust the first download; what it saw then is
kept beside the file and holds for later downloads.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import logging
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from gelan.errors import CheckpointError, nearest
from gelan.weights.containers import Container, container_of

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
"""Called with the bytes so far and, where the server says it, the bytes in all."""

MAX_BYTES = 2 * 2**30
"""The largest published file has about 140 MB; a download that goes on beyond this is stopped."""

_CHUNK_BYTES = 2**20
_TIMEOUT_SECONDS = 30
_MIT = "https://github.com/MultimediaTechLab/YOLO/releases/download/v1.0-alpha"
_GPL = "https://github.com/WongKinYiu/yolov9/releases/download/v0.1"


@dataclass(frozen=True, slots=True)
class PublishedWeights:
    """One published file."""

    name: str
    """What `gelan pull` calls it."""
    variant: str
    """The network: yolov9-* with the auxiliary part or converted without, gelan-* without PGI."""
    url: str
    size_bytes: int | None
    """None where unknown."""
    sha256: str | None
    """None where unknown."""
    licence: str
    """SPDX name of the licence of the repository that publishes the file."""
    origin: str
    ap: float | None
    """COCO val2017 AP in percent as its authors give it, not measured here; None: not given."""

    @property
    def file_name(self) -> str:
        """The name of the file on disk."""
        return self.url.rpartition("/")[2]


def _mit(name: str, variant: str, ap: float | None) -> PublishedWeights:
    url = f"{_MIT}/{name}.pt"
    return PublishedWeights(name, variant, url, None, None, "MIT", "MultimediaTechLab/YOLO", ap)


def _gpl(name: str, variant: str, ap: float | None) -> PublishedWeights:
    url = f"{_GPL}/{name}.pt"
    return PublishedWeights(name, variant, url, None, None, "GPL-3.0", "WongKinYiu/yolov9", ap)


PUBLISHED: tuple[PublishedWeights, ...] = (
    _mit("v9-t", "yolov9-t", None),
    _mit("v9-s", "yolov9-s", 46.8),
    _mit("v9-m", "yolov9-m", 51.4),
    _mit("v9-c", "yolov9-c", 53.0),
    _gpl("yolov9-s", "yolov9-s", 46.8),
    _gpl("yolov9-m", "yolov9-m", 51.4),
    _gpl("yolov9-c", "yolov9-c", 53.0),
    _gpl("yolov9-e", "yolov9-e", 55.6),
    _gpl("yolov9-t-converted", "yolov9-t", 38.3),
    _gpl("yolov9-s-converted", "yolov9-s", 46.8),
    _gpl("yolov9-m-converted", "yolov9-m", 51.4),
    _gpl("yolov9-c-converted", "yolov9-c", 53.0),
    _gpl("yolov9-e-converted", "yolov9-e", 55.6),
    _gpl("gelan-s", "gelan-s", 46.7),
    _gpl("gelan-m", "gelan-m", 51.1),
    _gpl("gelan-c", "gelan-c", 52.5),
    _gpl("gelan-e", "gelan-e", 55.0),
)
"""AP from the tables of the two projects; of gelan-* from table 1 of the paper."""


def published(name: str) -> PublishedWeights:
    """The entry of that name.

    >>> published("v9-c").licence
    'MIT'

    Raises:
        CheckpointError: there is none; names those of that network, or the nearest.
    """
    for entry in PUBLISHED:
        if entry.name == name:
            return entry
    same = [f"{entry.name} ({entry.licence})" for entry in PUBLISHED if entry.variant == name]
    if same:
        raise CheckpointError(
            f"no published weights are called {name!r}; of that network there are {', '.join(same)}"
        )
    names = [entry.name for entry in PUBLISHED]
    hint = nearest(name, names) or f"; there are {', '.join(names)}"
    raise CheckpointError(f"no published weights are called {name!r}{hint}")


def pull(
    entry: PublishedWeights,
    folder: Path,
    *,
    sha256: str | None = None,
    progress: Progress | None = None,
    accept_unverified: bool = False,
) -> Path:
    """The path of the published file in `folder`, downloaded if it is not there yet.

    The file is verified against `sha256`, else the table's, else the one noted beside the file by
    an earlier download (`<file>.json`). Where there is none of them, `accept_unverified` takes what
    comes, if it begins like a weights file, and notes its sha256. A broken or differing download
    leaves nothing behind.

    Raises:
        CheckpointError: there is no checksum to verify against; the download fails, differs, or is
            no weights file; a file that differs is there already (it is never overwritten).
    """
    target = folder / entry.file_name
    note = folder / f"{entry.file_name}.json"
    given = _given(entry, sha256)
    expected = given or _noted(note, entry)
    if target.exists():
        _require_equal(target, expected)
        return target
    if expected is None and not accept_unverified:
        raise CheckpointError(
            f"{entry.name}: no checksum of {entry.url} is known; give the sha256 that its "
            "publisher tells you (--sha256 HEX), or take what comes (--accept-unverified)"
        )
    _make(folder)
    unfinished = folder / f".{entry.file_name}.{os.getpid()}.unfinished"
    try:
        found, size = _download(entry, unfinished, progress)
        if expected is not None and found != expected:
            raise CheckpointError(
                f"{entry.url}: has sha256 {found}, expected {expected}; nothing was kept"
            )
        if expected is None:
            _require_weights(unfinished, entry)
        if given is not None or expected is None:
            _write_note(note, entry, sha256=found, size=size, verified=given is not None)
        unfinished.replace(target)
    except OSError as failure:
        raise CheckpointError(f"{target}: cannot be written: {failure.strerror}") from failure
    finally:
        unfinished.unlink(missing_ok=True)
    if expected is None:
        logger.warning("%s was not verified; its sha256 %s is noted in %s", target, found, note)
    return target


def _require_weights(path: Path, entry: PublishedWeights) -> None:
    """Servers and networks answer with a page of their own where they have no file to give."""
    kind = container_of(path)
    if kind is not Container.ZIP:
        raise CheckpointError(f"{entry.url}: gave {kind.value}; nothing was kept")


def _given(entry: PublishedWeights, sha256: str | None) -> str | None:
    """The checksum of the caller or of the table, which must agree."""
    if sha256 is None:
        return entry.sha256
    wanted = sha256.strip().lower()
    if len(wanted) != 64 or set(wanted) - set("0123456789abcdef"):
        raise CheckpointError(f"{sha256!r:.80} is no sha256: 64 hexadecimal digits are needed")
    if entry.sha256 not in (None, wanted):
        raise CheckpointError(
            f"{entry.name}: its sha256 is known to be {entry.sha256}, not {wanted}; "
            "leave --sha256 out"
        )
    return wanted


def _noted(note: Path, entry: PublishedWeights) -> str | None:
    """The checksum that an earlier download noted beside the file."""
    if not note.exists():
        return None
    try:
        values = json.loads(note.read_text("utf-8"))
    except (OSError, ValueError) as failure:
        raise CheckpointError(f"{note}: cannot be read ({_line(failure)}); remove it") from failure
    if not isinstance(values, dict) or not isinstance(values.get("sha256"), str):
        raise CheckpointError(f"{note}: is no note of a download; remove it")
    if values.get("url") != entry.url:
        raise CheckpointError(f"{note}: is of {_line(values.get('url'))}; choose another folder")
    return str(values["sha256"])


def _write_note(
    note: Path, entry: PublishedWeights, *, sha256: str, size: int, verified: bool
) -> None:
    values = {
        "url": entry.url,
        "sha256": sha256,
        "size_bytes": size,
        "verified": verified,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "licence": entry.licence,
        "origin": entry.origin,
    }
    note.write_text(json.dumps(values, indent=2) + "\n", "utf-8")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise CheckpointError(f"{folder}: cannot be made: {failure.strerror}") from failure


def _require_equal(target: Path, expected: str | None) -> None:
    if expected is None:
        raise CheckpointError(
            f"{target}: is there already, with no checksum to compare; give --sha256, "
            "move it away or choose another folder"
        )
    try:
        with target.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as failure:
        raise CheckpointError(f"{target}: cannot be read: {failure.strerror}") from failure
    if found != expected:
        raise CheckpointError(
            f"{target}: is there already with sha256 {found}, expected {expected}; "
            "it was not touched: move it away or choose another folder"
        )


def _download(entry: PublishedWeights, to: Path, progress: Progress | None) -> tuple[str, int]:
    """The sha256 and the size of what was downloaded."""
    _require_secure(entry.url)
    opener = urllib.request.build_opener(_SecureRedirects())
    try:
        with opener.open(entry.url, timeout=_TIMEOUT_SECONDS) as response, to.open("wb") as stream:
            announced = response.headers.get("Content-Length", "")
            total = int(announced) if announced.isdecimal() else None
            found, size = _copy(response, stream, total=total, progress=progress)
            os.fsync(stream.fileno())
    except urllib.error.HTTPError as failure:
        failure.close()
        raise CheckpointError(f"{entry.url}: the server answers {_line(failure)}") from failure
    except (http.client.HTTPException, OSError) as failure:
        raise CheckpointError(f"{entry.url}: cannot be downloaded: {_line(failure)}") from failure
    for wanted in (total, entry.size_bytes):
        if wanted is not None and size != wanted:
            raise CheckpointError(f"{entry.url}: gave {size:,} bytes of {wanted:,}; try again")
    return found, size


def _line(message: object) -> str:
    """A message of another program on one line, and not endless."""
    return " ".join(str(message).split())[:300]


def _copy(
    response: io.BufferedIOBase,
    stream: io.BufferedIOBase,
    *,
    total: int | None,
    progress: Progress | None,
) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    while chunk := response.read(_CHUNK_BYTES):
        digest.update(chunk)
        stream.write(chunk)
        size += len(chunk)
        if size > MAX_BYTES:
            raise CheckpointError(
                f"the download is larger than {MAX_BYTES:,} bytes; it was stopped"
            )
        if progress is not None:
            progress(size, total)
    stream.flush()
    return digest.hexdigest(), size


def _require_secure(url: str) -> None:
    """Only https; plain http from this very machine, for tests."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and (parts.scheme, parts.hostname) != ("http", "127.0.0.1"):
        raise CheckpointError(f"{url}: is not https; nothing was fetched")


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, as release downloads need, but not away from https."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes] | io.BufferedIOBase,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        fp.close()  # nobody else would, if the way ends here
        _require_secure(newurl)
        if urllib.parse.urlsplit(req.full_url).scheme != urllib.parse.urlsplit(newurl).scheme:
            raise CheckpointError(f"{req.full_url}: leads away from https; nothing was fetched")
        return urllib.request.Request(newurl, unverifiable=True)
