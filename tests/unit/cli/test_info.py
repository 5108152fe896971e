"""`gelan info`: one line for what cannot be, and no memory for what is only counted."""

from __future__ import annotations

import json

import pytest

from gelan.cli.info import Options, run
from gelan.cli.main import main
from gelan.errors import ConfigError


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "--size 0 is not a multiple of 32; take 32"),
        (-64, "--size -64 is not a multiple of 32; take 32"),
        (100, "--size 100 is not a multiple of 32; take 128"),
        (3_200_000_000, "--size 3200000000 is above 16384, the largest; take 640 or 1280"),
    ],
)
def test_an_impossible_size_is_one_clear_line(size: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run(Options(target="gelan-t", size=size))
    assert str(caught.value) == message


def test_the_command_line_says_it_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "gelan-t", "--size=-64"]) == 2
    assert capsys.readouterr().err == "gelan: --size -64 is not a multiple of 32; take 32\n"


def test_the_largest_size_is_counted_without_memory_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(Options(target="gelan-t", size=16384, json=True)) == 0
    facts = json.loads(capsys.readouterr().out)
    # 7.71 GFLOPs at 640, and convolutions cost as much a pixel at every size
    expected = 7.71 * (16384 / 640) ** 2
    assert facts["cost"]["folded"]["gflops"] == pytest.approx(expected, rel=1e-3)
    assert facts["size"] == 16384


def test_a_name_that_is_nothing_gets_the_nearest() -> None:
    with pytest.raises(Exception, match=r"yolov9c is neither .*did you mean 'yolov9-c'\?"):
        run(Options(target="yolov9c"))
