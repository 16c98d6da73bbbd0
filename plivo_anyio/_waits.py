"""Who waits for an event of a call: ``wait_for`` and ``gather_digits`` of a session.

An event is seen when it *arrives*, before it is handed to a lane, so a handler may wait for what
its own lane will deliver later. The driver calls :meth:`Waiters.observe` for each event while
somebody waits, and :meth:`Waiters.end` when no event will come any more. Nothing is kept for who
does not wait yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import anyio

from plivo_anyio._barrier import stopped
from plivo_anyio._registry import class_key, key_of
from plivo_anyio._stats import NOTHING_HEARD
from plivo_core import ConfigError, Ended, Event, SessionClosedError, UnknownEvent
from plivo_core.session import DigitGatherer, Digits, DigitSource

__all__ = ["Waiter", "Waiters"]

_INFINITY = float("inf")


class Waiter(Protocol):
    """What is told of events. Neither method raises."""

    def receive(self, event: Event) -> None: ...

    def end(self) -> None: ...


class Waiters(list[Waiter]):
    """Those who wait, of one call. Empty nearly always: then the driver's cost is a truth test."""

    __slots__ = ("_ended", "_source", "caller_audio")

    def __init__(self) -> None:
        super().__init__()
        self._ended = False
        self.caller_audio = NOTHING_HEARD
        """What all iterations over the caller's audio have counted."""
        self._source: DigitSource | None = None  # of the key presses of this call, once known

    # -- what the driver calls -----------------------------------------------------------------

    def observe(self, event: Event) -> None:
        """An event arrived."""
        for waiter in tuple(self):  # one may leave in here, or be collected as garbage
            waiter.receive(event)

    def end(self) -> None:
        """No further event comes. Idempotent."""
        self._ended = True
        for waiter in tuple(self):
            waiter.end()

    # -- what a session calls ------------------------------------------------------------------

    async def wait_for(
        self,
        event: str | type[Any],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the caller's words, as in the docs
        match: Callable[[Any], object] | None = None,
    ) -> Any:
        """See :meth:`plivo_anyio.CallSession.wait_for`."""
        wanted = _filter(event)
        _require_seconds(timeout)
        self.require_open()
        waiter = _OneEvent(wanted, match)
        self.append(waiter)
        try:
            with anyio.CancelScope(deadline=_deadline(timeout)):
                await waiter.done.wait()
        finally:
            self.remove(waiter)
        return waiter.outcome(event, timeout)

    async def gather_digits(
        self,
        n: int | None = None,
        *,
        finish_on: str = "#",
        timeout: float = 10.0,  # noqa: ASYNC109 - as above
        digit_timeout: float = 3.0,
        source: DigitSource | None = None,
    ) -> Digits:
        """See :meth:`plivo_anyio.CallSession.gather_digits`."""
        gatherer = DigitGatherer(
            n,
            finish_on=finish_on,
            timeout=timeout,
            digit_timeout=digit_timeout,
            source=source or self._source,
            now=anyio.current_time(),
        )
        self.require_open()
        waiter = _Gathering(gatherer)
        self.append(waiter)
        try:
            while (result := gatherer.result) is None:
                with anyio.CancelScope(deadline=cast("float", gatherer.deadline())):
                    await waiter.changed.wait()
                waiter.changed = anyio.Event()
                gatherer.handle_timeout(anyio.current_time())
        finally:
            self.remove(waiter)
            self._source = gatherer.source
        return result

    def require_open(self) -> None:
        """Raise SessionClosedError once no event will come any more."""
        if self._ended:
            raise SessionClosedError("the call is over: no further event will come")


class _OneEvent:
    """Waits for the first event that fits."""

    __slots__ = ("_error", "_event", "_match", "_wanted", "done")

    def __init__(
        self, wanted: Callable[[Event], bool], match: Callable[[Any], object] | None
    ) -> None:
        self._wanted = wanted
        self._match = match
        self._event: Event | None = None
        self._error: Exception | None = None
        self.done = anyio.Event()

    def receive(self, event: Event) -> None:
        if self.done.is_set() or not self._wanted(event):
            return
        if self._match is not None:
            try:
                if not self._match(event):
                    return
            except BaseException as error:
                # It must not stop the reading of the call: it is raised where the wait is.
                if (told := stopped(error)) is None:
                    raise
                self._error = told
        self._event = event
        self.done.set()

    def end(self) -> None:
        if not self.done.is_set():
            self._error = SessionClosedError("the call ended before the event came")
            self.done.set()

    def outcome(self, wanted: object, timeout: float | None) -> Event:
        """The event. An event that came together with the time-out wins."""
        if self._error is not None:
            raise self._error
        if self._event is None:
            name = wanted if isinstance(wanted, str) else getattr(wanted, "__name__", wanted)
            raise TimeoutError(f"no {name} came within {timeout} s")
        return self._event


class _Gathering:
    """Feeds a gatherer; wakes its task for each event that changed something."""

    __slots__ = ("_gatherer", "changed")

    def __init__(self, gatherer: DigitGatherer) -> None:
        self._gatherer = gatherer
        self.changed = anyio.Event()

    def receive(self, event: Event) -> None:
        before = self._gatherer.deadline()
        self._gatherer.receive(event, anyio.current_time())
        if self._gatherer.deadline() != before:
            self.changed.set()

    def end(self) -> None:
        self._gatherer.end()
        self.changed.set()


def _filter(event: str | type[Any]) -> Callable[[Event], bool]:
    """Whether an event is of the kind: as ``app.on`` means it. Raises ConfigError."""
    if event is Ended:
        raise ConfigError(
            "Ended cannot be waited for", hint="the end of the call raises SessionClosedError"
        )
    if event is UnknownEvent:
        return lambda each: isinstance(each, UnknownEvent)
    key = event if isinstance(event, str) else class_key(event)
    return lambda each: key_of(each) == key


def _require_seconds(timeout: object) -> None:
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise ConfigError(f"timeout must be seconds or None, not {type(timeout).__name__}")
    if not 0 <= timeout <= _INFINITY:  # NaN compares false
        raise ConfigError(f"timeout must not be negative, got {timeout}")


def _deadline(timeout: float | None) -> float:
    return _INFINITY if timeout is None else anyio.current_time() + timeout
