"""RetryPolicy and Retry-After."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import ConfigError, RateLimitError, ServerError
from plivo_core.rest import RetryPolicy
from plivo_core.rest._retry import parse_retry_after
from tests.core._rest import an_operation, answers, run

NOW = datetime(2026, 3, 2, 10, 0, 0, tzinfo=timezone.utc)


def seconds_of(text: str) -> float | None:
    return parse_retry_after(text, wall_now=NOW.timestamp())


# --- policy ---


def test_the_back_off_doubles_up_to_its_cap_and_ends() -> None:
    policy = RetryPolicy(max_retries=7)
    waits = [policy.wait_before_repeat(attempts) for attempts in range(1, 9)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, None]


def test_a_policy_of_very_many_repeats_does_not_overflow() -> None:
    policy = RetryPolicy(max_retries=10**9, backoff_factor=10**9, max_backoff=10**9)
    assert policy.wait_before_repeat(10**8) == 10**9


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RetryPolicy().max_retries = 9  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_retries", -1),
        ("max_retries", 1.5),
        ("max_retries", True),
        ("max_retries", "3"),
        ("max_retries", 10**400),
        ("backoff_factor", -0.1),
        ("backoff_factor", float("nan")),
        ("backoff_factor", float("inf")),
        ("max_backoff", None),
        ("max_backoff", "8"),
        ("max_retry_after", False),
        ("max_retry_after", float("inf")),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        RetryPolicy(**{name: value})


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_beyond_the_cap_is_raised_at_once_and_told(status: int) -> None:
    result = run(an_operation("GET"), [answers(status, retry_after="60.5")])
    assert isinstance(result.error, (RateLimitError, ServerError))
    assert (result.sends, result.waits, result.error.retry_after) == (1, [], 60.5)


def test_retry_after_at_the_cap_is_still_waited_for() -> None:
    result = run(an_operation("GET"), [answers(429, retry_after="60"), answers(200)])
    assert result.waits == [60.0]


def test_an_unreadable_retry_after_falls_back_to_the_back_off() -> None:
    script = [answers(503, retry_after="1, 2"), answers(429, retry_after="soon"), answers(200)]
    assert run(an_operation("GET"), script).waits == [0.5, 1.0]


def test_retry_after_means_nothing_on_other_answers() -> None:
    assert run(an_operation("GET"), [answers(404, retry_after="7")]).error.retry_after is None


# --- Retry-After ---


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("2", 2.0),
        (" 2 \t", 2.0),
        ("0.25", 0.25),
        (".5", 0.5),
        ("5.", 5.0),
        ("+3", 3.0),
        ("-5", 0.0),
        ("1e3", None),
        ("1_0", None),
        ("٣", None),
        ("9" * 400, None),
        ("", None),
        ("   ", None),
        ("nan", None),
        ("-inf", None),
        ("2, 3", None),
        ("2;q=1", None),
        ("Mon, 02 Mar 2026 10:00:30 GMT", 30.0),
        ("Monday, 02-Mar-26 10:00:30 GMT", 30.0),
        ("Mon Mar  2 10:00:30 2026", 30.0),
        ("Mon Mar 12 10:00:00 2026", 864_000.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0),  # 1994: 2094 would be more than 50 years ahead
        ("Saturday, 06-Nov-77 08:49:37 GMT", 0.0),
        ("Mon, 02 Mar 2026 10:00:60 GMT", 60.0),  # a leap second
        ("Mon, 02 Mar 2026 10:00:30 +0000", None),
        ("Mon, 2 Mar 2026 10:00:30 GMT", None),
        ("Mon, 02 mar 2026 10:00:30 GMT", None),
        ("Mon, 02 Mar 2026 24:00:30 GMT", None),
        ("Mon, 02 Mar 2026 10:60:30 GMT", None),
        ("Mon, 02 Mar 2026 10:00:61 GMT", None),
        ("Mon, 00 Mar 2026 10:00:30 GMT", None),
        ("Sun, 29 Feb 2026 10:00:30 GMT", None),
        ("Sun, 31 Apr 2026 10:00:30 GMT", None),
        ("Thu, 29 Feb 2100 10:00:30 GMT", None),
        ("2026-03-02T10:00:30Z", None),
    ],
)
def test_retry_after_is_read_as_rfc_9110_writes_it(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


def test_a_two_digit_year_up_to_fifty_years_ahead_is_in_the_future() -> None:
    ahead = seconds_of("Friday, 06-Nov-76 08:49:37 GMT")
    assert ahead is not None
    assert ahead > 50 * 365 * 86_400


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), st.floats(0, 4e9))  # noqa: DTZ001
def test_every_date_that_the_standard_library_writes_is_read(
    moment: datetime, wall_now: float
) -> None:
    moment = moment.replace(tzinfo=timezone.utc, microsecond=0)
    at = (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(seconds=1)
    read = parse_retry_after(format_datetime(moment, usegmt=True), wall_now=wall_now)
    assert read == max(0.0, at - wall_now)


@given(st.text() | st.from_regex(r"[A-Z][a-z]+, ?\d\d[ -][A-Z][a-z]{2}[ -]\d+ \d\d:\d\d:\d\d GMT"))
def test_no_text_makes_reading_fail_or_go_back_in_time(text: str) -> None:
    seconds = seconds_of(text)
    assert seconds is None or seconds >= 0.0
