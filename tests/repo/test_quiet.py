"""The tests' own judgement of the machine: it excuses stalls, and nothing else."""

from __future__ import annotations

import time

import pytest

from tests import quiet


def test_a_round_without_a_fault_is_the_only_one() -> None:
    assert [measured.number for measured in quiet.rounds()] == [1]


def fails_in(rounds: list[int], error: type[Exception] = AssertionError) -> None:
    for measured in quiet.rounds():
        with measured:
            rounds.append(measured.number)
            raise error(f"round {measured.number}")


def test_a_machine_that_stalls_is_an_excuse_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quiet, "_STALL", -1.0)
    numbers = list[int]()
    with pytest.raises(AssertionError, match="round 6"):
        fails_in(numbers)
    assert numbers == [1, 2, 3, 4, 5, 6]


def test_a_machine_that_does_not_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "_STALL", 3600.0)
    with pytest.raises(AssertionError, match="round 1"):
        fails_in([])


def test_only_what_was_asserted_is_excused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "_STALL", -1.0)
    with pytest.raises(ValueError, match="round 1"):
        fails_in([], ValueError)


def test_a_thread_that_is_kept_from_running_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    [measured] = quiet.rounds()
    monkeypatch.setattr(time, "perf_counter", iter([0.0, 0.005, 0.705]).__next__)
    waits = iter([False, True])
    monkeypatch.setattr(measured._over, "wait", lambda seconds: next(waits))
    measured._watch()
    assert measured.worst == pytest.approx(0.7 - 0.005)
    assert measured.stalled
