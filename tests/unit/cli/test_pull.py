"""`gelan pull` against a server of this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gelan.cli.main import main
from gelan.weights import registry
from gelan.weights.registry import PublishedWeights

FILE = b"PK\x03\x04 the file"
PAGE = b"<!doctype html><html>Please log in</html>"


class Handler(BaseHTTPRequestHandler):
    """Gives a file, or the page of a network that wants a login."""

    def do_GET(self) -> None:
        content = PAGE if "page" in self.path else FILE
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The server's address; its two files are the only published ones."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        entries = tuple(
            PublishedWeights(
                name, "gelan-t", f"{address}/{name}.pt", None, None, "MIT", "a test", None
            )
            for name in ("file", "page")
        )
        monkeypatch.setattr(registry, "PUBLISHED", entries)
        yield address
        server.shutdown()
        thread.join()


def run(*words: object) -> int:
    return main(["pull", *map(str, words)])


def test_a_verified_file_is_kept_and_its_use_told(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sha256 = hashlib.sha256(FILE).hexdigest()
    assert run("file", "--folder", tmp_path, "--sha256", sha256) == 0
    assert (tmp_path / "file.pt").read_bytes() == FILE
    assert capsys.readouterr().out.splitlines() == [
        f"{address}/file.pt -> {tmp_path}/file.pt (published under MIT)",
        f"use it: gelan predict --weights {tmp_path}/file.pt --source PHOTOS",
    ]


def test_a_web_page_is_not_kept_even_if_unverified(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("page", "--folder", tmp_path, "--accept-unverified") == 2
    assert capsys.readouterr().err == (
        f"gelan: {address}/page.pt: gave a web page, not the file behind it; nothing was kept\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("file",), ("nothing",), ("file", "--sha256", "abc")])
def test_an_error_is_one_line(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert run(*words, "--folder", tmp_path) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_list_names_licence_and_origin(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list") == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [
        *("file", "gelan-t", "MIT", "a", "test")
    ]
