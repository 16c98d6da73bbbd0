"""When a request is repeated, and after how long: DESIGN 4, as pure functions.

No clock and no randomness: the time of day comes in with an HTTP date, jitter as a callable.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

from plivo_core.errors import ConfigError

__all__ = ["DEFAULT_RETRY", "Jitter", "RetryPolicy", "is_repeatable", "parse_retry_after"]

Jitter: TypeAlias = Callable[[float], float]
"""From a back-off in seconds to the wait in its place, e.g. ``lambda s: random.uniform(0, s)``."""

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
# Enough to reach any cap; 2.0 ** 1024 would overflow.
_MAX_EXPONENT = 64
# A year is 3.2e7 seconds. Keeps the arithmetic of huge whole numbers from overflowing.
_MAX_SETTING = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often, when and how patiently a request is repeated. Immutable; raises ConfigError.

    ``retry_unsafe`` also repeats POST and PATCH after a 5xx or a lost answer: only for requests
    that may happen twice.
    """

    max_retries: int = 3
    """Repeats after the first attempt; 0 switches them off."""
    backoff_factor: float = 0.5
    """Seconds before the first repeat; each further wait is twice as long."""
    max_backoff: float = 8.0
    """Seconds; the cap of that doubling."""
    max_retry_after: float = 60.0
    """Seconds; a longer Retry-After is raised at once instead of waited for."""
    retry_unsafe: bool = False

    def __post_init__(self) -> None:
        if not _is_number(self.max_retries, int):
            raise ConfigError(
                f"max_retries must be a whole number, 0 to {_MAX_SETTING}",
                hint="0 switches retries off",
            )
        for name in ("backoff_factor", "max_backoff", "max_retry_after"):
            if not _is_number(getattr(self, name), int, float):
                raise ConfigError(f"{name} must be a number of seconds, 0 to {_MAX_SETTING}")

    def wait_before_repeat(
        self, attempts: int, *, retry_after: float | None = None, jitter: Jitter | None = None
    ) -> float | None:
        """Seconds to wait after ``attempts`` requests, or None: do not repeat.

        Whether the request may be repeated at all is another question. ``retry_after`` is kept to
        as it is; jitter spreads only our own back-off, and never beyond it.
        """
        if attempts > self.max_retries:
            return None
        if retry_after is not None:
            return retry_after if retry_after <= self.max_retry_after else None
        exponent = min(attempts - 1, _MAX_EXPONENT)
        wait = min(self.backoff_factor * 2.0**exponent, self.max_backoff)
        # min and max in this order turn a NaN into the whole wait.
        return wait if jitter is None else max(0.0, min(wait, jitter(wait)))


def _is_number(value: object, *kinds: type) -> bool:
    """Whether it is of ``kinds``, no bool and neither negative, NaN nor absurd."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, kinds) and 0 <= value <= _MAX_SETTING


DEFAULT_RETRY = RetryPolicy()


def is_repeatable(method: str) -> bool:
    """Whether sending ``method`` twice does no more than sending it once (RFC 9110, 9.2.2)."""
    return method in _REPEATABLE


# --- Retry-After (PROTOCOL.md D-6) ----------------------------------------------------------------

_SECONDS = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = "|".join(_MONTHS)
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# RFC 9110, 5.6.7. The day's name is not compared with the date: a clock's slip there is no harm.
_DATES = (
    re.compile(
        rf"[A-Z][a-z]{{2}}, (?P<day>[0-9]{{2}}) (?P<month>{_MONTH}) (?P<year>[0-9]{{4}})"
        rf" {_TIME} GMT"
    ),
    re.compile(
        rf"[A-Z][a-z]+day, (?P<day>[0-9]{{2}})-(?P<month>{_MONTH})-(?P<year>[0-9]{{2}})"
        rf" {_TIME} GMT"
    ),
    re.compile(
        rf"[A-Z][a-z]{{2}} (?P<month>{_MONTH}) (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})"
    ),
)
_DAY = 86_400
_EPOCH = 719_468  # days from 0000-03-01 to 1970-01-01


def parse_retry_after(text: str, *, wall_now: float) -> float | None:
    """Seconds from now, never negative; None for what says nothing (blank, nan, lists, prose)."""
    text = text.strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        return max(0.0, seconds) if isfinite(seconds) else None
    for form in _DATES:
        match = form.fullmatch(text)
        if match is not None:
            at = _unix_seconds(match, wall_now)
            return None if at is None else max(0.0, at - wall_now)
    return None


def _unix_seconds(match: re.Match[str], wall_now: float) -> float | None:
    year, day = int(match["year"]), int(match["day"])
    month = _MONTHS.index(match["month"]) + 1
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    if len(match["year"]) == 2:
        # RFC 9110: a date that seems more than 50 years ahead is the latest past one of that name.
        this_year = 1970 + int(wall_now // (365.2425 * _DAY))
        year += this_year - this_year % 100
        if year > this_year + 50:
            year -= 100
    if hour > 23 or minute > 59 or second > 60 or not 1 <= day <= _days_in(year, month):
        return None
    # Howard Hinnant's days_from_civil: years begin in March, so that leap days come last.
    shifted = year - (month <= 2)
    era, year_of_era = divmod(shifted, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return float((days - _EPOCH) * _DAY + hour * 3600 + minute * 60 + second)


def _days_in(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31
