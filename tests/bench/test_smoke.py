"""A slow commit shows: generous bounds on the figures of per_packet.py. So does a leak: soak.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def run_bench(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own, which no coverage tool traces."""
    return subprocess.run(
        [sys.executable, "-m", f"tests.bench.{module}", *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    run = run_bench("per_packet")
    assert run.returncode == 0, run.stderr
    measured: dict[str, float] = json.loads(run.stdout)
    return measured


def test_the_core_costs_a_small_multiple_of_the_json_per_packet(figures: dict[str, float]) -> None:
    assert figures["ratio_to_json"] < 8, "about 2 when this was last touched"


def test_the_cost_per_packet_does_not_grow_with_the_call(figures: dict[str, float]) -> None:
    assert figures["late_to_early"] < 2


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="reads /proc")
@pytest.mark.parametrize(("backend", "handler"), [("asyncio", "async"), ("trio", "sync")])
def test_calls_that_break_off_leave_nothing_behind(backend: str, handler: str) -> None:
    """Five seconds of it. Memory is for ten minutes: here it may still settle."""
    options = ("--minutes", "0.08", "--calls", "25", "--tolerance", "0.5")
    run = run_bench("soak", "--backend", backend, "--handler", handler, *options)
    assert run.returncode == 0, run.stdout + run.stderr
    told = json.loads(run.stdout)
    assert told["problems"] == {}
    assert told["packets"] > 0
