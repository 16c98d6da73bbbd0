"""Gathering digits: which presses count, when it ends, and that it ends once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import ConfigError, Ended
from plivo_core.events import Dtmf, Event, StreamDtmf, UserIdle
from plivo_core.session import DigitGatherer, Digits

THE_END = Ended("remote", 1000, "", "close")


def gathering(n: int | None = 4, **options: Any) -> DigitGatherer:
    return DigitGatherer(n, now=0.0, **options)


def caller_presses(
    gatherer: DigitGatherer, keys: str, *, now: float = 1.0, kind: type[Any] = Dtmf
) -> Digits | None:
    for key in keys:
        gatherer.receive(kind(digit=key), now)
    return gatherer.result


# --- how it ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "n", "finish_on", "expected"),
    [
        ("1234", 4, "#", Digits("1234", "complete")),
        ("12345", 4, "#", Digits("1234", "complete")),
        ("12#", 4, "#", Digits("12", "finish_key")),
        ("12#4", 4, "", Digits("12#4", "complete")),
        ("12*", None, "*#", Digits("12", "finish_key")),
        ("#", None, "#", Digits("", "finish_key")),
        ("A*", 2, "#", Digits("A*", "complete")),
        ("1" * 99, None, "", Digits("1" * 99, "complete")),
    ],
    ids=["n", "more", "finish", "no-finish", "two-keys", "at-once", "letters", "cap"],
)
def test_it_ends_with_the_last_key_or_a_finish_key(
    keys: str, n: int | None, finish_on: str, expected: Digits
) -> None:
    assert caller_presses(gathering(n, finish_on=finish_on), keys) == expected


def test_the_first_key_has_its_own_time_and_each_further_one_counts_from_the_one_before() -> None:
    gatherer = gathering(timeout=10, digit_timeout=3)
    assert gatherer.deadline() == 10
    caller_presses(gatherer, "1", now=9.9)
    assert gatherer.deadline() == pytest.approx(12.9)
    gatherer.handle_timeout(12.8)
    assert caller_presses(gatherer, "2", now=12.8) is None
    gatherer.handle_timeout(15.8)
    assert gatherer.result == Digits("12", "timeout")
    assert gatherer.deadline() is None


def test_a_press_after_the_deadline_is_late_even_if_the_clock_was_not_told() -> None:
    assert caller_presses(gathering(timeout=10), "1", now=10.0) == Digits("", "timeout")


def test_the_end_of_the_call_leaves_what_was_pressed() -> None:
    gatherer = gathering()
    caller_presses(gatherer, "12")
    gatherer.receive(THE_END, 1.0)
    assert gatherer.result == Digits("12", "ended")


def test_after_the_end_nothing_changes_the_result() -> None:
    gatherer = gathering(1)
    result = caller_presses(gatherer, "1")
    caller_presses(gatherer, "2#", now=500)
    gatherer.handle_timeout(1000)
    gatherer.end()
    assert gatherer.result is result
    assert result == Digits("1", "complete")


# --- which presses count --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        Dtmf(),
        Dtmf(digit="12"),
        Dtmf(digit="w"),
        Dtmf(digit="a"),
        StreamDtmf(digit="x" * 100),
        UserIdle(),
    ],
    ids=["empty", "two", "pause", "lower", "long", "other"],
)
def test_what_is_no_press_neither_counts_nor_buys_time(event: Event) -> None:
    gatherer = gathering()
    gatherer.receive(event, 5.0)
    assert (gatherer.deadline(), gatherer.source) == (10.0, None)
    assert caller_presses(gatherer, "1234", now=6.0) == Digits("1234", "complete")


@pytest.mark.parametrize("first", [Dtmf, StreamDtmf], ids=["agent", "stream"])
def test_a_press_told_twice_counts_once(first: type[Any]) -> None:
    other = StreamDtmf if first is Dtmf else Dtmf
    gatherer = gathering()
    for key in "1123":
        caller_presses(gatherer, key, kind=first)
        caller_presses(gatherer, key, kind=other)
    assert gatherer.result == Digits("1123", "complete")
    assert gatherer.source is first


def test_the_copy_of_an_earlier_press_does_not_count_for_a_gatherer_that_knows_its_source() -> None:
    pin = gathering(2, source=Dtmf)
    caller_presses(pin, "4", kind=StreamDtmf)
    assert caller_presses(pin, "99") == Digits("99", "complete")


# --- what it shows and refuses --------------------------------------------------------------------


def test_no_digit_is_shown() -> None:
    gatherer = gathering()
    result = caller_presses(gatherer, "4711")
    assert repr(result) == "Digits(digits=<masked>, reason='complete')"
    assert "4711" not in repr(gatherer)
    assert repr(Digits("", "timeout")) == "Digits(digits='', reason='timeout')"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("n", 0),
        ("n", 100),
        ("n", True),
        ("n", "4"),
        ("finish_on", "x"),
        ("finish_on", None),
        ("timeout", 0),
        ("timeout", float("nan")),
        ("timeout", None),
        ("timeout", True),
        ("digit_timeout", float("inf")),
        ("source", UserIdle),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_an_argument_that_cannot_be_meant_is_refused_by_name(argument: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^{argument} "):
        DigitGatherer(**{"now": 0.0, argument: value})  # type: ignore[arg-type]


# --- any sequence ---------------------------------------------------------------------------------

presses = st.sampled_from("0123456789*#ABCDw").flatmap(
    lambda key: st.sampled_from([Dtmf(digit=key), StreamDtmf(digit=key)])
)
steps = st.tuples(st.floats(0, 6), st.one_of(presses, st.none(), st.just(UserIdle())))


@given(
    script=st.lists(steps, max_size=30),
    n=st.none() | st.integers(1, 6),
    finish_on=st.sampled_from(["", "#", "*#"]),
)
def test_it_ends_once_and_never_later_than_its_deadline_says(
    script: list[tuple[float, Event | None]], n: int | None, finish_on: str
) -> None:
    told, untold = (gathering(n, finish_on=finish_on) for _ in range(2))
    now, seen = 0.0, list[str]()
    result: Digits | None = None
    for wait, event in script:
        now += wait
        due = told.deadline()
        told.handle_timeout(now)  # told the clock before each event; the other only the events
        assert (result is not None) == (due is None)
        if due is not None:
            assert (told.result is None) == (now < due)
        if event is not None:
            if told.result is None and isinstance(event, (Dtmf, StreamDtmf)):
                seen.append(event.digit)
            told.receive(event, now)
            untold.receive(event, now)
        assert result in (None, told.result)
        result = told.result
    untold.handle_timeout(now)
    told.receive(THE_END, now)
    untold.receive(THE_END, now)
    assert told.result == untold.result
    assert told.result is not None
    digits = told.result.digits
    assert len(digits) <= (n or 99)
    assert not set(digits) & {*finish_on, "w"}
    left = iter(seen)
    assert all(digit in left for digit in digits)  # in order, each press at most once
    assert (told.result.reason == "complete") == (n is not None and len(digits) == n)
