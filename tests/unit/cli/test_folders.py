"""The folder for results: new, or a reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gelan.cli.folders import require_new, result_folder
from gelan.errors import ConfigError


@pytest.mark.parametrize("out", ["/proc/here", "file/sub", "x" * 300, "a\0b"])
def test_a_folder_that_cannot_be_made_is_one_error(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"^--out .*: cannot be made: .*; choose another place$"):
        result_folder(Path(out), "predict")


def test_a_working_directory_that_is_not_to_be_written_to_is_one_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir("/proc")
    with pytest.raises(ConfigError, match=r"^/proc/runs cannot be made: .*, with --out$"):
        result_folder(None, "predict")


def test_what_is_there_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("gone")
    require_new(None)
    require_new(tmp_path / "new")
    for path in (tmp_path, tmp_path / "link"):
        with pytest.raises(ConfigError, match=r"^--fix .*: exists already; choose another name$"):
            require_new(path, "fix")


def test_a_name_that_is_too_long_is_refused_at_the_latest_when_it_is_made() -> None:
    name = Path("x" * 300)

    def look_and_make() -> None:
        require_new(name)  # from Python 3.14 on, no such file exists
        result_folder(name, "val")

    with pytest.raises(ConfigError, match=r"^--out x{200}: cannot be made: "):
        look_and_make()
