"""Values of the wrong type in Python code: one `ConfigError` each, before any work is done.

The cases run in an interpreter of their own, as a user's program does: here, the shape checks of
the tests would refuse them first.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SETTINGS = {
    "confidence='a'": "confidence is 'a' (str); it must be a number between 0 and 1",
    "confidence=True": "confidence is True (bool); it must be a number between 0 and 1",
    "confidence=None": "confidence is None (NoneType); it must be a number between 0 and 1",
    "confidence=float('nan')": "confidence is nan; it must lie between 0 and 1",
    "iou='0.5'": "iou is '0.5' (str); it must be a number between 0 and 1",
    "max_detections=2.5": "max_detections is 2.5 (float); it must be a whole number",
    "max_detections=True": "max_detections is True (bool); it must be a whole number",
    "max_detections=0": "max_detections is 0; it must be at least 1",
    "agnostic='yes'": "agnostic is 'yes' (str); it must be True or False",
    "confidence=np.float32(0.5), iou=1, max_detections=np.int64(3), agnostic=np.bool_(1)": "",
}
WEIGHTS = "pass the path of a weights file, as a text or a Path"
NAMES = "pass a ClassTable, or the name of every class in order"
LOADING = {
    "None": f"weights is None (NoneType); {WEIGHTS}",
    "b'x'": f"weights is b'x' (bytes); {WEIGHTS}",
    "''": f"weights is empty; {WEIGHTS}",
    "'w.pt', precision='half'": "precision is 'half'; take fp32, bf16 or fp16",
    "'w.pt', precision=16": "precision is 16; take fp32, bf16 or fp16",
    "'w.pt', precision=['fp32']": "precision is ['fp32']; take fp32, bf16 or fp16",
    "'w.pt', device=None": "device is None (NoneType); pass a text: 'auto', 'cpu', 'cuda:0' ...",
    "'w.pt', device=0": "device is 0 (int); pass a text: 'auto', 'cpu', 'cuda:0' ...",
    "'w.pt', size=641": "size 641 is not a multiple of 32; take 672",
    "'w.pt', size='640'": "size '640' is not a whole number of pixels",
    "'w.pt', classes='cat,dog'": f"classes is 'cat,dog' (str); {NAMES}",
    "'w.pt', classes={'cat'}": f"classes is {{'cat'}} (set); {NAMES}",
    "'w.pt', classes=['cat', 1]": f"classes holds 1 (int); {NAMES}",
    "'w.pt', classes=['cat', ' ']": "classes: name 1 is empty",
    "'w.pt', classes=['cat', 'cat']": "classes: 'cat' stands twice",
    "'w.pt', classes=[]": "classes: there are none",
}


def complaints(call: str, cases: list[str]) -> dict[str, str]:
    """What each call says in a fresh interpreter; nothing for a call that goes through."""
    code = f"""
import json, sys
import numpy as np, gelan
from gelan.predict.postprocess import PostprocessSettings
said = {{}}
for case in json.loads(sys.argv[1]):
    try:
        eval({call!r} + "(" + case + ")")
        said[case] = ""
    except gelan.GelanError as error:
        said[case] = str(error) if type(error).__name__ == "ConfigError" else repr(error)
    except Exception as error:
        said[case] = repr(error)
assert "torch" not in sys.modules
print(json.dumps(said))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(cases)], check=True, capture_output=True, text=True
    )
    said: dict[str, str] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize(
    ("call", "expected"), [("PostprocessSettings", SETTINGS), ("gelan.load", LOADING)]
)
def test_a_wrong_value_is_one_clear_error_at_once(call: str, expected: dict[str, str]) -> None:
    assert complaints(call, list(expected)) == expected
