"""What the documents show runs: Python blocks are executed, commands and options exist."""

from __future__ import annotations

import importlib
import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import nn

from gelan.cli.main import VERBS
from gelan.model.blocks import BLOCKS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NEEDS_FILES = ("predictor.predict(", "safe_open(")
"""Blocks with these words read files of the user's; other tests run what they show."""


class Maps(nn.Module):
    """A stand-in for a user's network."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            [nn.Conv2d(3, 64, 8, 8), nn.Conv2d(64, 128, 2, 2), nn.Conv2d(128, 256, 2, 2)]
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        for step in self.steps:
            x = step(x)
            maps.append(x)
        return maps


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python_blocks_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gelan.model.blocks.BLOCKS", dict(BLOCKS))
    names: dict[str, object] = {"images": torch.zeros(1, 3, 64, 64), "my_network": Maps()}
    for block in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL):
        if not any(word in block for word in NEEDS_FILES):
            exec(compile(block, str(path), "exec"), names)  # noqa: S102


def test_the_block_of_the_documents_is_a_network() -> None:
    from gelan.model.detector import build_detector
    from gelan.model.variants import VARIANTS, with_block

    text = (ROOT / "docs" / "blocks.md").read_text()
    (code,) = (b for b in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "Separable" in b)
    try:
        exec(compile(code, "blocks.md", "exec"), {})  # noqa: S102
        detector = build_detector(with_block(VARIANTS["gelan-t"], "separable", depth=2))
        assert detector.eval()(torch.zeros(1, 3, 64, 64)).main.logits.shape == (1, 84, 80)
    finally:
        BLOCKS.pop("separable", None)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_options_exist(path: Path) -> None:
    for verb, rest in re.findall(r"\bgelan ([a-z]+)((?: [^`\n#]*)?)", path.read_text()):
        if verb in VERBS:
            options = importlib.import_module(f"gelan.cli.{verb}").Options
            known = {field.name.replace("_", "-") for field in fields(options)} | {"help"}
            for option in re.findall(r"(?<!\S)--([a-z-]+)", rest):
                assert option in known, f"gelan {verb} --{option}"


def test_relative_links_lead_somewhere() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
