from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gelan.errors import CheckpointError
from gelan.weights import registry
from gelan.weights.registry import PUBLISHED, PublishedWeights, published, pull

CONTENT = b"PK\x03\x04" + bytes(range(256)) * 10  # begins as a torch file does
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REDIRECTS = {
    "/file/weights.pt": "file:///etc/passwd",
    "/away/weights.pt": "http://example.org/a.pt",
    "/moved/weights.pt": "/elsewhere/weights.pt",
    "/round/weights.pt": "/round/weights.pt",
}
OTHER = hashlib.sha256(b"other").hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT, in ways that the path names, and keeps a list of what was asked."""

    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.startswith("/absent"):
            self.send_error(404)
            return
        goal = REDIRECTS.get(self.path)
        self.send_response(302 if goal else 200)
        if goal:
            self.send_header("Location", goal)
        if not self.path.startswith("/unsized"):
            extra = 100 if self.path.startswith("/broken") else 0
            self.send_header("Content-Length", str(len(CONTENT) + extra))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def entry(
    server: Server, path: str = "weights.pt", *, sha256: str | None = None
) -> PublishedWeights:
    url = f"http://127.0.0.1:{server.server_address[1]}/{path}"
    return PublishedWeights("tiny", "gelan-t", url, None, sha256, "MIT", "a test", None)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# The table


def test_names_and_files_are_unique_and_served_over_https() -> None:
    assert len({item.name for item in PUBLISHED}) == len(PUBLISHED) == 17
    assert len({item.file_name for item in PUBLISHED}) == len(PUBLISHED)
    assert all(item.url.startswith("https://github.com/") for item in PUBLISHED)


def test_the_files_under_the_mit_licence_come_first() -> None:
    assert [item.licence for item in PUBLISHED] == ["MIT"] * 4 + ["GPL-3.0"] * 13
    assert [item.ap for item in PUBLISHED[:4]] == [None, 46.8, 51.4, 53.0]


def test_an_unknown_name_gets_the_nearest() -> None:
    assert published("yolov9-c-converted").url.endswith("/v0.1/yolov9-c-converted.pt")
    with pytest.raises(CheckpointError) as caught:
        published("yolov9c")
    assert str(caught.value) == (
        "no published weights are called 'yolov9c'; did you mean 'yolov9-c'?"
    )
    with pytest.raises(CheckpointError, match="called 'resnet'; there are v9-t, v9-s, "):
        published("resnet")


def test_the_name_of_a_network_gets_the_files_that_hold_it() -> None:
    with pytest.raises(CheckpointError) as caught:
        published("yolov9-t")
    assert str(caught.value) == (
        "no published weights are called 'yolov9-t'; of that network there are v9-t (MIT), "
        "yolov9-t-converted (GPL-3.0)"
    )


def test_a_file_is_stored_under_the_name_that_pull_knows_it_by() -> None:
    assert all(item.file_name == f"{item.name}.pt" for item in PUBLISHED)


def test_the_table_can_be_read_without_torch() -> None:
    code = "import sys, gelan.weights.registry; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# The download


def test_a_given_checksum_is_verified_and_noted(server: Server, tmp_path: Path) -> None:
    path = pull(entry(server), tmp_path / "new", sha256=SHA256.upper())
    assert path == tmp_path / "new" / "weights.pt"
    assert path.read_bytes() == CONTENT
    note = json.loads((tmp_path / "new" / "weights.pt.json").read_text())
    assert note.pop("date")
    assert note == {
        "url": entry(server).url,
        "sha256": SHA256,
        "size_bytes": 2564,
        "verified": True,
        "licence": "MIT",
        "origin": "a test",
    }


def test_the_checksum_of_the_table_is_enough(server: Server, tmp_path: Path) -> None:
    assert pull(entry(server, sha256=SHA256), tmp_path).read_bytes() == CONTENT


def test_without_any_checksum_nothing_is_asked_for(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        pull(entry(server), tmp_path)
    assert str(caught.value) == (
        f"tiny: no checksum of {entry(server).url} is known; give the sha256 that its publisher "
        "tells you (--sha256 HEX), or take what comes (--accept-unverified)"
    )
    assert (server.asked, names_in(tmp_path)) == ([], [])


def test_an_unverified_download_is_noted_and_holds_later_ones_to_it(
    server: Server,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = pull(entry(server), tmp_path, accept_unverified=True)
    assert f"was not verified; its sha256 {SHA256} is noted in" in caplog.text
    assert json.loads((tmp_path / "weights.pt.json").read_text())["verified"] is False
    path.unlink()
    assert pull(entry(server), tmp_path) == path
    assert json.loads((tmp_path / "weights.pt.json").read_text())["verified"] is False
    path.unlink()
    monkeypatch.setattr(sys.modules[__name__], "CONTENT", b"changed")
    with pytest.raises(CheckpointError, match=f"expected {SHA256}; nothing was kept"):
        pull(entry(server), tmp_path, accept_unverified=True)
    assert names_in(tmp_path) == ["weights.pt.json"]


def test_a_folder_in_the_way_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").mkdir()
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        pull(entry(server), tmp_path, sha256=SHA256)
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be made: Not a directory"):
        pull(entry(server), tmp_path / "file" / "below", sha256=SHA256)


@pytest.mark.parametrize("noted", [True, False])
def test_a_file_that_is_there_is_not_downloaded_again(
    server: Server, tmp_path: Path, noted: bool
) -> None:
    if noted:
        pull(entry(server), tmp_path, accept_unverified=True)
        server.asked.clear()
    else:
        (tmp_path / "weights.pt").write_bytes(CONTENT)
    path = pull(entry(server), tmp_path, sha256=None if noted else SHA256)
    assert path.read_bytes() == CONTENT
    assert server.asked == []


@pytest.mark.parametrize(
    ("sha256", "accept", "cause"),
    [
        (SHA256, False, f"expected {SHA256}; it was not touched"),
        (SHA256, True, f"expected {SHA256}; it was not touched"),
        (None, True, "is there already, with no checksum to compare; give --sha256, move it away"),
    ],
)
def test_a_file_that_differs_is_never_overwritten(
    server: Server, tmp_path: Path, sha256: str | None, accept: bool, cause: str
) -> None:
    (tmp_path / "weights.pt").write_bytes(b"mine")
    with pytest.raises(CheckpointError, match=cause):
        pull(entry(server), tmp_path, sha256=sha256, accept_unverified=accept)
    assert (tmp_path / "weights.pt").read_bytes() == b"mine"
    assert server.asked == []


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("weights.pt", f"has sha256 {SHA256}, expected {OTHER}; nothing was kept"),
        ("broken/weights.pt", "gave 2,564 bytes of 2,664; try again"),
        ("absent/weights.pt", "the server answers HTTP Error 404: Not Found"),
        ("away/weights.pt", "http://example.org/a.pt: is not https; nothing was fetched"),
        ("round/weights.pt", "infinite loop. The last 30x error message was: Found"),
        ("file/weights.pt", "Redirection to url 'file:///etc/passwd' is not allowed"),
    ],
)
def test_a_failed_download_leaves_nothing_behind(
    server: Server, tmp_path: Path, path: str, cause: str
) -> None:
    with pytest.raises(CheckpointError) as caught:
        pull(entry(server, path), tmp_path, sha256=OTHER)
    assert str(caught.value).endswith(cause)
    assert "\n" not in str(caught.value)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"<!DOCTYPE html><html>Not here</html>", "gave a web page, not the file behind it"),
        (b"\xef\xbb\xbf\r\n<html>", "gave a web page, not the file behind it"),
        (b"Not found", "gave a text file"),
        (b"", "gave an empty file"),
        (b"version https://git-lfs.github.com/spec/v1", "gave a Git LFS pointer"),
        (b"\x80\x02}.", "gave a bare pickle"),
    ],
)
def test_what_is_no_weights_file_is_not_kept_even_if_unverified(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, cause: str
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "CONTENT", content)
    with pytest.raises(CheckpointError) as caught:
        pull(entry(server), tmp_path, accept_unverified=True)
    assert str(caught.value).startswith(f"{entry(server).url}: {cause}")
    assert str(caught.value).endswith("; nothing was kept")
    assert names_in(tmp_path) == []


def test_a_redirect_is_followed_as_releases_need(server: Server, tmp_path: Path) -> None:
    path = pull(entry(server, "moved/weights.pt"), tmp_path, sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["/moved/weights.pt", "/elsewhere/weights.pt"]


def test_a_download_that_is_interrupted_leaves_nothing_behind(
    server: Server, tmp_path: Path
) -> None:
    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(entry(server), tmp_path, sha256=SHA256, progress=interrupt)
    assert names_in(tmp_path) == []


def test_a_server_that_is_not_there_is_named(server: Server, tmp_path: Path) -> None:
    absent = replace(entry(server), url="http://127.0.0.1:9/weights.pt")
    with pytest.raises(CheckpointError, match=r"cannot be downloaded: .*refused"):
        pull(absent, tmp_path, sha256=SHA256)
    assert names_in(tmp_path) == []


def test_another_size_than_the_known_one_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="gave 2,564 bytes of 7; try again"):
        pull(replace(entry(server), size_bytes=7), tmp_path, sha256=SHA256)


def test_a_download_without_end_is_stopped(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MAX_BYTES", 100)
    with pytest.raises(CheckpointError, match="is larger than 100 bytes; it was stopped"):
        pull(entry(server, "unsized/weights.pt"), tmp_path, sha256=SHA256)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(("path", "total"), [("weights.pt", 2564), ("unsized/weights.pt", None)])
def test_progress_is_told_in_bytes(
    server: Server, tmp_path: Path, path: str, total: int | None
) -> None:
    steps: list[tuple[int, int | None]] = []
    pull(
        entry(server, path),
        tmp_path,
        sha256=SHA256,
        progress=lambda done, whole: steps.append((done, whole)),
    )
    assert steps[-1] == (2564, total)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.pt",
        "ftp://127.0.0.1/a.pt",
        "file:///a.pt",
        "http://127.0.0.1.example/a.pt",
    ],
)
def test_only_https_is_asked(server: Server, tmp_path: Path, url: str) -> None:
    with pytest.raises(CheckpointError, match="is not https; nothing was fetched"):
        pull(replace(entry(server), url=url), tmp_path, sha256=SHA256)


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64, SHA256 + "0"])
def test_a_checksum_of_another_form_is_refused(server: Server, tmp_path: Path, sha256: str) -> None:
    with pytest.raises(CheckpointError, match="is no sha256: 64 hexadecimal digits are needed"):
        pull(entry(server), tmp_path, sha256=sha256)


def test_a_checksum_against_the_table_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is known to be .*; leave --sha256 out"):
        pull(entry(server, sha256=SHA256), tmp_path, sha256=OTHER)


@pytest.mark.parametrize(
    ("note", "cause"),
    [
        ("{", r"cannot be read \(.*\); remove it"),
        ("[]", "is no note of a download; remove it"),
        ('{"sha256": "a", "url": "https://b"}', "is of https://b; choose another folder"),
    ],
)
def test_a_note_that_does_not_fit_is_told(
    server: Server, tmp_path: Path, note: str, cause: str
) -> None:
    (tmp_path / "weights.pt.json").write_text(note)
    with pytest.raises(CheckpointError, match=cause):
        pull(entry(server), tmp_path, accept_unverified=True)
    assert server.asked == []
