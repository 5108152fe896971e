from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gelan.errors import ImageError, SourceError
from gelan.predict.sources import ImageFile, find_images


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), (10, 20, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def found(source: Path | str, root: Path) -> list[str]:
    paths = [file.path for file in find_images(str(source))]
    return [path.relative_to(root).as_posix() for path in paths if path is not None]


def complaint(source: Path | str, *, stdin: bytes = b"") -> str:
    with pytest.raises(SourceError) as caught:
        find_images(str(source), stdin=io.BytesIO(stdin))
    return str(caught.value)


def test_a_file_is_itself_whatever_its_suffix(tmp_path: Path) -> None:
    for name in ("a.jpg", "scan.dat", "no suffix", "odd[1].png", "~backup.png"):
        touch(tmp_path, name)
        path = tmp_path / name
        assert find_images(str(path)) == [ImageFile(str(path), path)]


def test_a_folder_gives_its_images_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path, "b2.PNG", "b10.png", "B1.jpeg", "7.webp", "a.tif", "a.avif")
    touch(tmp_path, "notes.txt", "clip.mp4", ".hidden.png", "._b2.png", "inner/c.png")
    expected = ["7.webp", "a.avif", "a.tif", "B1.jpeg", "b2.PNG", "b10.png"]
    assert found(tmp_path, tmp_path) == expected


def test_files_that_are_passed_over_are_counted_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path, "a.png", "a.txt", "b.txt", "c.xml")
    with caplog.at_level(logging.INFO):
        find_images(str(tmp_path))
    expected = f"{tmp_path}: passed over 3 files that are no images (.txt 2, .xml 1)"
    assert caplog.messages == [expected]


def test_a_pattern_gives_the_images_that_match(tmp_path: Path) -> None:
    touch(tmp_path, "a1.png", "a2.jpg", "a2.txt", "b.png", "in/a3.png", "in/deep/a4.png")
    assert found(tmp_path / "a*", tmp_path) == ["a1.png", "a2.jpg"]
    assert found(tmp_path / "[bc].png", tmp_path) == ["b.png"]
    assert found(tmp_path / "*/a?.png", tmp_path) == ["in/a3.png"]


@pytest.mark.parametrize("pattern", ["**", "**/*", "**/*.png"])
def test_two_stars_look_into_folders_but_not_into_hidden_ones(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "a.png", "in/b.png", "in/deep/c.png", ".cache/d.png", "in/.e.png")
    expected = ["a.png", "in/b.png", "in/deep/c.png"]
    assert found(tmp_path / pattern, tmp_path) == expected
    assert found(tmp_path / ".cache/*", tmp_path) == [".cache/d.png"]


def test_patterns_may_be_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(touch(tmp_path, "a.png", "in/b.png"))
    assert [file.name for file in find_images("*.png")] == ["a.png"]
    assert [file.name for file in find_images("in")] == [str(Path("in/b.png"))]


def test_a_list_keeps_its_order_and_finds_files_beside_it_or_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "lists/b.png", "lists/a.png", "here/c.png")
    text = f"\ufeff# chosen\n\n  b.png \na.png\nc.png\r\n{tmp_path}/lists/a.png\n"
    (tmp_path / "lists/some.txt").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "here")
    files = find_images(str(tmp_path / "lists/some.txt"))
    names = [file.path.name for file in files if file.path is not None]
    assert names == ["b.png", "a.png", "c.png", "a.png"]


def test_a_missing_line_of_a_list_is_named_with_its_number_and_the_others_are_read(
    tmp_path: Path,
) -> None:
    touch(tmp_path, "photo1.png", "folder/x.png")
    (tmp_path / "photo1.png").write_bytes(png())
    chosen = tmp_path / "list.txt"
    chosen.write_text("# three\nphoto2.png\nphoto1.png\nfolder\n", encoding="utf-8")
    missing, there, folder = find_images(str(chosen))
    assert there.read().shape == (2, 3, 3)
    start = f"{chosen}:2: photo2.png: no such file or folder; did you mean 'photo1.png'?"
    with pytest.raises(ImageError) as caught:
        missing.read()
    assert str(caught.value) == start
    with pytest.raises(ImageError, match=r"list\.txt:4: folder: is a folder, not a file"):
        folder.read()


def test_a_list_of_nothing_that_is_there_is_no_source(tmp_path: Path) -> None:
    touch(tmp_path, "folder/x.png")
    chosen = tmp_path / "list.txt"
    chosen.write_text("folder\n", encoding="utf-8")
    assert complaint(chosen) == f"{chosen}:1: folder: is a folder, not a file"
    chosen.write_text("\nfolder\nqqq\n", encoding="utf-8")
    expected = f"{chosen}:2: folder: is a folder, not a file (nor is any other line a file)"
    assert complaint(chosen) == expected
    chosen.write_text("\n# none\n", encoding="utf-8")
    assert complaint(chosen) == f"{chosen}: lists no images; write one path a line"
    chosen.write_bytes(b"\xff\xfe")
    assert complaint(chosen) == f"{chosen}: neither an image nor a list of paths in UTF-8"


@pytest.mark.parametrize("source", ["", "*"])
def test_a_link_that_leads_nowhere_is_reported_when_it_is_read(tmp_path: Path, source: str) -> None:
    touch(tmp_path, "a.png")
    (tmp_path / "b.png").symlink_to("gone.png")
    (tmp_path / "notes").symlink_to("gone")
    _, link = find_images(str(tmp_path / source))
    with pytest.raises(ImageError, match=r"b\.png: is a link to gone\.png, which is not there"):
        link.read()


def test_a_link_that_leads_nowhere_is_not_proposed_in_its_own_place(tmp_path: Path) -> None:
    touch(tmp_path, "other.png")
    (tmp_path / "a.png").symlink_to("gone.png")
    expected = f"{tmp_path}/a.png: is a link to gone.png, which is not there"
    assert complaint(tmp_path / "a.png") == expected
    (tmp_path / "photos").symlink_to("nowhere")
    inside = tmp_path / "photos" / "a.png"
    link = f"{tmp_path}/photos is a link to nowhere, which is not there"
    assert complaint(inside) == f"{inside}: {link}"


def test_brackets_in_the_name_of_a_folder_are_no_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "photos [2024]/a.png", "photos [2024]/b.jpg", "photos 2/c.png")
    folder = tmp_path / "photos [2024]"
    assert found(folder / "*.png", tmp_path) == ["photos [2024]/a.png"]
    assert found(folder / "[ab].*", tmp_path) == ["photos [2024]/a.png", "photos [2024]/b.jpg"]
    assert found(tmp_path / "photos [2]" / "*.png", tmp_path) == ["photos 2/c.png"]


def test_an_image_through_a_pipe_is_that_image() -> None:
    (file,) = find_images("-", stdin=io.BytesIO(png()))
    assert (file.name, file.path) == ("standard input", None)
    assert file.read().tolist() == [[[10, 20, 30]] * 3] * 2


def test_a_list_through_a_pipe_is_a_list(tmp_path: Path) -> None:
    touch(tmp_path, "BM.png", "P5 .png")
    text = f"{tmp_path}/BM.png\n{tmp_path}/P5 .png\n".encode()
    files = find_images("-", stdin=io.BytesIO(text))
    assert [file.path for file in files] == [tmp_path / "BM.png", tmp_path / "P5 .png"]
    assert complaint("-") == "standard input: lists no images; write one path a line"
    missing = complaint("-", stdin=b"\nno/such.png\n")
    assert missing.startswith("standard input:2: no/such.png: there is no no")


def test_junk_through_a_pipe_is_not_echoed_whole() -> None:
    long = complaint("-", stdin=b"x" * 5000)
    assert long.startswith(f"standard input:1: {'x' * 197}...: ")
    assert len(long) < 300
    zeros = complaint("-", stdin=b"\x7fELF\2\1\1\0" + bytes(10**6))
    assert zeros.startswith(
        "standard input: neither an image nor a list of paths: it holds bytes of value 0 "
        "(begins with b'\\x7fELF"
    )
    assert len(zeros) < 300


def test_standard_input_is_that_of_the_process() -> None:
    code = "from gelan.predict.sources import find_images; find_images('-')[0].read()"
    modules = "import sys; assert 'torch' not in sys.modules and 'PIL' not in sys.modules"
    command = [sys.executable, "-c", f"{code}; {modules}"]
    subprocess.run(command, input=png(), check=True)


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    assert complaint(tmp_path) == f"{tmp_path}: no files found"
    touch(tmp_path, "inner/a.png")
    deeper = f"; to look into its folders: '{tmp_path}/**'"
    assert complaint(tmp_path) == f"{tmp_path}: no files found{deeper}"
    touch(tmp_path, "a.txt", "b.TXT", "c")
    found_text = "3 files, none with a known image suffix (.txt 2, no suffix 1)"
    assert complaint(tmp_path) == f"{tmp_path}: {found_text}{deeper}"


def test_a_pattern_without_images_says_so(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt")
    assert complaint(tmp_path / "*.png") == f"{tmp_path}/*.png: no files found"
    expected = f"{tmp_path}/*: 1 file, none with a known image suffix (.txt 1)"
    assert complaint(tmp_path / "*") == expected
    wrong = "'**' must stand between slashes; did you mean '**/*.png'?"
    assert complaint(tmp_path / "**.png") == f"{tmp_path}/**.png: {wrong}"


def test_a_place_that_is_not_there_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    touch(tmp_path, "photos/a.png")
    missing = tmp_path / "fotos"
    assert complaint(missing) == f"{missing}: no such file or folder; did you mean 'photos'?"
    inside = tmp_path / "photo" / "a.png"
    expected = f"{inside}: there is no {tmp_path / 'photo'}; did you mean 'photos'?"
    assert complaint(inside) == expected
    assert complaint(tmp_path / "photo" / "*.png").startswith(f"{tmp_path}/photo/*.png: no such")
    assert complaint(tmp_path / "qqq") == f"{tmp_path}/qqq: no such file or folder"
    assert complaint("").startswith("the source is empty; name an image, a folder")


def test_videos_and_urls_are_not_read_yet(tmp_path: Path) -> None:
    touch(tmp_path, "clip.MP4")
    text = complaint(tmp_path / "clip.MP4")
    assert text.startswith(f"{tmp_path}/clip.MP4: videos are not read yet; cut it into pictures")
    url = "https://example.org/a.jpg"
    assert complaint(url) == f"{url}: URLs are not read yet; download it and name the file"


def test_an_unreadable_image_complains_when_it_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "empty.png")
    (file,) = find_images(str(tmp_path))
    with pytest.raises(ImageError, match=r"empty\.png: the file is empty"):
        file.read()
    with pytest.raises(ImageError, match=r"^pipe: no image"):
        ImageFile("pipe", data=b"text").read()


def test_a_file_is_read_as_an_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    (file,) = find_images(str(tmp_path / "a.png"))
    np.testing.assert_array_equal(file.read(), np.full((2, 3, 3), (10, 20, 30), np.uint8))


def test_a_closed_standard_input_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SourceError) as caught:
        find_images("-")
    assert str(caught.value) == (
        "standard input is closed; send an image or a list of paths, or name a file instead of -"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_what_is_there_but_no_regular_file_is_called_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ff.jpg")
    remedy = "not a regular file; to read what comes through it, send it to standard input (-)"
    assert complaint(tmp_path / "ff.jpg") == f"{tmp_path}/ff.jpg: is a pipe, {remedy}"
    assert complaint("/dev/null") == f"/dev/null: is a device, {remedy}"
    (tmp_path / "list.txt").write_text("ff.jpg", encoding="utf-8")
    start = f"{tmp_path}/list.txt:1: ff.jpg"
    assert complaint(tmp_path / "list.txt") == f"{start}: is a pipe, {remedy}"
    assert complaint(tmp_path / "*.jpg") == f"{tmp_path}/*.jpg: no files found"
    (tmp_path / "list.txt").unlink()
    assert complaint(tmp_path) == f"{tmp_path}: no files found"


def test_a_byte_order_mark_is_no_part_of_the_first_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(touch(tmp_path, "a.png"))
    data = b"\xef\xbb\xbfa.png\n"
    Path("list.txt").write_bytes(data)
    assert found("list.txt", Path()) == ["a.png"]
    (file,) = find_images("-", stdin=io.BytesIO(data))
    assert file.path == Path("a.png")
