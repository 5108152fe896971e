"""What importing costs: fresh interpreters, with and without `import gelan`, in turn.

python benchmarks/startup.py [--rounds 11]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

STATEMENTS = ("pass", "import gelan", "import gelan.cli.main", "import torch")


def seconds_of(statement: str) -> float:
    """Wall-clock seconds of one interpreter that runs the statement."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - begin


def main() -> None:
    """Print the medians beyond that of an interpreter that does nothing."""
    parser = argparse.ArgumentParser(description="What importing costs.")
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    for statement in STATEMENTS:
        seconds_of(statement)
    times: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for _ in range(rounds):
        for statement, seconds in times.items():
            seconds.append(seconds_of(statement))
    nothing = statistics.median(times["pass"])
    for statement in STATEMENTS[1:]:
        print(f"{statement:24}{statistics.median(times[statement]) - nothing:7.3f} s")


if __name__ == "__main__":
    main()
