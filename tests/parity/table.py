"""Prints the largest differences to the reference numbers, network by network.

python -m tests.parity.table
"""

from __future__ import annotations

import torch

from gelan.weights.foreign import convert
from tests.parity.test_networks import (
    GOLDENS,
    SIZES,
    decoded_channels,
    largest,
    raw_channels,
)
from tests.shared_files import golden, golden_weights, make_input


@torch.no_grad()
def main() -> None:
    """One line a network, input size and branch."""
    print(f"{'network':22}{'input':9}{'branch':8}{'raw':>9}{'boxes px':>10}{'scores':>9}")  # noqa: T201
    for name, key_list in GOLDENS.items():
        arrays = golden(name)
        detector = convert(golden_weights(name, key_list), source=name).detector
        for size in SIZES:
            predictions = detector(make_input(*size))
            outputs = {"main": predictions.main, "aux": predictions.auxiliary}
            for branch, output in outputs.items():
                if output is None:
                    continue
                prefix = f"{size[0]}x{size[1]}.{branch}"
                decoded, recorded = decoded_channels(output, size), arrays[f"{prefix}_dec"]
                raw = largest(raw_channels(output), arrays[f"{prefix}_raw"])
                boxes = largest(decoded[:, :4], recorded[:, :4])
                scores = largest(decoded[:, 4:], recorded[:, 4:])
                shown = f"{size[0]}x{size[1]}"
                print(f"{name:22}{shown:9}{branch:8}{raw:9.1e}{boxes:10.1e}{scores:9.1e}")  # noqa: T201


if __name__ == "__main__":
    main()
