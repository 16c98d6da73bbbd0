"""What ``import plivo_core`` costs, as a ratio to the two libraries that it stands on."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

ROUNDS = 9
BOUND = 4.0


def seconds_to(statement: str) -> float:
    program = (
        "from time import perf_counter\n"
        "before = perf_counter()\n"
        f"{statement}\n"
        "print(perf_counter() - before)"
    )
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return float(child.stdout)


def test_importing_the_core_costs_at_most_four_times_its_libraries() -> None:
    core, libraries = "import plivo_core", "import h11, wsproto"
    for statement in (core, libraries):
        seconds_to(statement)  # writes the .pyc files
    # Interleaved: what else the machine does meanwhile slows both alike.
    pairs = [(seconds_to(core), seconds_to(libraries)) for _ in range(ROUNDS)]
    ratio = median(pair[0] for pair in pairs) / median(pair[1] for pair in pairs)
    assert ratio <= BOUND, f"import plivo_core costs {ratio:.1f}x import h11, wsproto"
