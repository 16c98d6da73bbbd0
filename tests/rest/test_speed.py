"""A slow commit shows: a client's CPU per request beside bare httpx, with room for noise."""

from __future__ import annotations

from tests.bench.restbench import measure


def test_a_request_costs_little_more_than_httpx_itself() -> None:
    results = measure(requests=400, rounds=10, backends=["sync"])
    cpu, ratio = results["sync ours"]
    assert ratio < 1.5, f"{ratio:.2f} times bare httpx ({cpu:.0f} us); about 1.0 when written"
    assert results["core"][1] < 0.25
