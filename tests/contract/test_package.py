"""Promises of the package as a whole: light to import, free of torch where it says so, small."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gelan

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src" / "gelan").rglob("*.py"))

TORCH_FREE = [
    "gelan",
    "gelan.cli.augment",
    "gelan.cli.compare",
    "gelan.cli.convert",
    "gelan.cli.doctor",
    "gelan.cli.info",
    "gelan.cli.main",
    "gelan.cli.predict",
    "gelan.cli.pull",
    "gelan.cli.train",
    "gelan.cli.val",
    "gelan.config",
    "gelan.data.augment.config",
    "gelan.data.augment.pipeline",
    "gelan.data.augment.pool",
    "gelan.data.cache",
    "gelan.data.containers",
    "gelan.data.dataset",
    "gelan.data.description",
    "gelan.data.drawn.dataset",
    "gelan.data.formats.writers",
    "gelan.data.health.mend",
    "gelan.data.health.quick",
    "gelan.data.health.report",
    "gelan.data.images",
    "gelan.errors",
    "gelan.evaluate.comparison",
    "gelan.evaluate.evaluator",
    "gelan.evaluate.report",
    "gelan.geometry.anchors",
    "gelan.geometry.boxes",
    "gelan.geometry.letterbox",
    "gelan.geometry.nms",
    "gelan.objective.config",
    "gelan.optional",
    "gelan.predict.adapters",
    "gelan.predict.backends.raw",
    "gelan.predict.files",
    "gelan.predict.loading",
    "gelan.predict.names",
    "gelan.predict.postprocess",
    "gelan.predict.predictor",
    "gelan.predict.sinks",
    "gelan.predict.sources",
    "gelan.report.folder",
    "gelan.report.history_file",
    "gelan.report.html",
    "gelan.report.run_folder",
    "gelan.report.tensorboard",
    "gelan.report.training",
    "gelan.structures.classes",
    "gelan.structures.coco",
    "gelan.structures.detections",
    "gelan.structures.history",
    "gelan.train.choices",
    "gelan.train.config",
    "gelan.visualize.boxes",
    "gelan.visualize.charts",
    "gelan.visualize.colors",
    "gelan.visualize.labels",
    "gelan.visualize.lettering",
    "gelan.visualize.sheets",
    "gelan.visualize.truth",
    "gelan.weights.containers",
    "gelan.weights.registry",
]

PUBLIC = [
    "ClassTable",
    "Detections",
    "Detector",
    "GelanError",
    "Predictor",
    "attach_auxiliary",
    "build",
    "decode",
    "detach_auxiliary",
    "detector_on",
    "load",
    "reparameterize",
]
"""A name goes or comes only on purpose: here, in the same change."""


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def test_the_public_names_are_these_and_exist() -> None:
    assert gelan.__all__ == PUBLIC
    assert all(getattr(gelan, name) is not None for name in PUBLIC)
    with pytest.raises(AttributeError, match="has no attribute 'fit'"):
        gelan.fit  # noqa: B018


def test_the_way_from_image_to_detections_needs_no_torch() -> None:
    imports = "; ".join(f"import {module}" for module in TORCH_FREE)
    assert python(f"import sys; {imports}; print('torch' in sys.modules)") == "False"


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'cv2', 'jsonargparse', 'tqdm'}"
    assert python(f"import sys, gelan; print({heavy} & set(sys.modules))") == "set()"


def test_importing_modules_has_no_effect_on_logging_or_torch() -> None:
    code = (
        "import logging, torch; before = (logging.root.handlers, torch.get_num_threads(), "
        "torch.get_default_dtype()); import gelan.cli.main, gelan.weights.loading; "
        "print(before == (logging.root.handlers, torch.get_num_threads(), "
        "torch.get_default_dtype()))"
    )
    assert python(code) == "True"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_function_is_longer_than_60_lines(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, node.name


def test_every_init_file_but_the_first_is_empty() -> None:
    inits = [path for path in SOURCES if path.name == "__init__.py"]
    assert [path for path in inits if path.read_text()] == [ROOT / "src/gelan/__init__.py"]


def test_no_registry_host_and_no_path_of_this_machine_is_named() -> None:
    files = [*SOURCES, *ROOT.glob("*.toml"), *ROOT.glob("*.txt"), ROOT / "Makefile"]
    words = ("pypi" + ".org", "download." + "pytorch.org", "/work/" + "main", "/root" + "/")
    for path in files:
        text = path.read_text()
        assert not [word for word in words if word in text], path
