"""The keys a caller presses, gathered into one answer.

A :class:`DigitGatherer` is fed events and the clock and ends once, with a :class:`Digits`. It sends
nothing and prompts for nothing. Any event may be fed to it: what is no key press does nothing.

A press can be told twice: a connection with an agent session and an audio stream has ``user.dtmf``
*and* ``dtmf``, one message for each (PROTOCOL.md 9.2, notes). They share no identifier, so nothing
but their kind tells a copy from a second press: one kind counts, the one of the first press, or
``source``. Either kind carries one key per message; anything but a single ``0-9 * # A-D`` is no
press.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from plivo_core._redact import hide
from plivo_core.errors import ConfigError
from plivo_core.events import Dtmf, Ended, Event, StreamDtmf

__all__ = ["DigitGatherer", "DigitSource", "Digits"]

DigitSource: TypeAlias = "type[Dtmf] | type[StreamDtmf]"

_KEYS = frozenset("0123456789*#ABCD")
# What a gatherer without `n` holds at most, and the largest `n`: a peer may press for ever. No
# number that a caller types, of a card or an account, comes near it.
_MAX_DIGITS = 99
_INFINITY = float("inf")


@dataclass(frozen=True, slots=True, repr=False)
class Digits:
    """What the caller pressed, and why it ended there. ``digits`` is masked in the repr.

    ``reason``: ``complete``, all ``n`` are there; ``finish_key``, a key of ``finish_on`` was
    pressed (it is not part of ``digits``); ``timeout``, the caller paused; ``ended``, the call did.
    """

    digits: str
    reason: Literal["complete", "finish_key", "timeout", "ended"]

    def __repr__(self) -> str:
        shown = hide(self.digits) if self.digits else ""
        return f"Digits(digits={shown!r}, reason={self.reason!r})"


class DigitGatherer:
    """Gathers up to ``n`` keys; None: as many as come before a key of ``finish_on`` (99 at most).

    ``finish_on`` holds the keys that finish, empty for none; a finish key counts before ``n`` does.
    ``timeout`` is the wait for the first key from ``now`` on, ``digit_timeout`` the wait for each
    further one from the key before it, both in seconds: so nobody who is pressing is cut off, and
    the whole ends after ``timeout + n * digit_timeout``. ``source`` says which kind of event
    counts; None: the kind of the first press. Raises ConfigError for what cannot be meant.

    After each input: :attr:`result`, and while that is None, :meth:`deadline`.
    """

    __slots__ = ("_digit_timeout", "_digits", "_due", "_finish_on", "_n", "_result", "_source")

    def __init__(
        self,
        n: int | None = None,
        *,
        finish_on: str = "#",
        timeout: float = 10.0,
        digit_timeout: float = 3.0,
        source: DigitSource | None = None,
        now: float,
    ) -> None:
        _require_count(n)
        _require_keys(finish_on)
        _require_seconds(timeout, "timeout")
        _require_seconds(digit_timeout, "digit_timeout")
        if source not in (None, Dtmf, StreamDtmf):
            raise ConfigError("source must be Dtmf, StreamDtmf or None")
        self._n = _MAX_DIGITS if n is None else n
        self._finish_on = finish_on
        self._digit_timeout = digit_timeout
        self._source = source
        self._digits = ""
        self._due = now + timeout
        self._result: Digits | None = None

    def __repr__(self) -> str:
        return f"<DigitGatherer {len(self._digits)} of {self._n}, {self._result}>"

    @property
    def result(self) -> Digits | None:
        """None until it ended; never changes after that."""
        return self._result

    @property
    def source(self) -> DigitSource | None:
        """The kind of event that counts; None before the first press, unless it was given.

        The next gatherer of the same call should be given it: the second telling of the last press
        of this one may be still to come.
        """
        return self._source

    def receive(self, event: Event, now: float) -> None:
        """An event of the call. A press at the deadline or after it comes too late."""
        self.handle_timeout(now)
        if isinstance(event, (Dtmf, StreamDtmf)):
            self._receive_key(event, now)
        elif isinstance(event, Ended):
            self.end()

    def handle_timeout(self, now: float) -> None:
        """The clock; harmless if early."""
        if now >= self._due:
            self._finish("timeout")

    def end(self) -> None:
        """The call is over; :class:`~plivo_core.events.Ended` says so, too."""
        self._finish("ended")

    def deadline(self) -> float | None:
        """When to call :meth:`handle_timeout`."""
        return self._due if self._result is None else None

    def _receive_key(self, event: Dtmf | StreamDtmf, now: float) -> None:
        kind, key = type(event), event.digit
        if self._result is not None or key not in _KEYS or self._source not in (None, kind):
            return
        self._source = kind
        if key in self._finish_on:
            self._finish("finish_key")
            return
        self._digits += key
        self._due = now + self._digit_timeout
        if len(self._digits) == self._n:
            self._finish("complete")

    def _finish(self, reason: Literal["complete", "finish_key", "timeout", "ended"]) -> None:
        if self._result is None:
            self._result = Digits(self._digits, reason)


def _require_count(n: object) -> None:
    if n is None:
        return
    if isinstance(n, bool) or not isinstance(n, int):
        raise ConfigError(f"n must be an int or None, not {type(n).__name__}")
    if not 1 <= n <= _MAX_DIGITS:
        raise ConfigError(f"n must be between 1 and {_MAX_DIGITS}, got {n}")


def _require_keys(finish_on: object) -> None:
    if not isinstance(finish_on, str):
        raise ConfigError(f"finish_on must be a str, not {type(finish_on).__name__}")
    if not _KEYS.issuperset(finish_on):
        raise ConfigError(
            f"finish_on is {finish_on!r}", hint="use keys of 0-9 * # A-D, or '' for none"
        )


def _require_seconds(value: object, argument: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{argument} must be a number of seconds, not {type(value).__name__}")
    if not 0 < value < _INFINITY:  # NaN compares false
        raise ConfigError(f"{argument} must be positive and finite, got {value}")
