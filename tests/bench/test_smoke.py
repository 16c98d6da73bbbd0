"""A slow commit shows: generous bounds on the figures of per_packet.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    """Taken in a process of their own, which no coverage tool traces."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.bench.per_packet"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    measured: dict[str, float] = json.loads(run.stdout)
    return measured


def test_the_core_costs_a_small_multiple_of_the_json_per_packet(figures: dict[str, float]) -> None:
    assert figures["ratio_to_json"] < 8, "about 2 when this was last touched"


def test_the_cost_per_packet_does_not_grow_with_the_call(figures: dict[str, float]) -> None:
    assert figures["late_to_early"] < 2
