"""One REST call as a state machine: what to send, when to wait, what came of it.

Driven by anything that can send a request and tell the time::

    step = op.begin(now=clock())
    while True:
        if isinstance(step, Send):          # put step.request on the wire, then
            step = op.responded(response, now=clock(), wall_now=unix_time())
            # or, without an answer: step = op.lost(Cause.TIMEOUT, Sent.MAYBE, now=clock())
        elif isinstance(step, SleepUntil):  # wait until step.at, then
            step = op.wake(now=clock())
        elif isinstance(step, Done):
            return step.value
        else:
            raise step.error

It retries by :class:`RetryPolicy`, decodes and classifies; it never sends a request by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

from plivo_core.errors import LocalProtocolError, PlivoError, mask_path
from plivo_core.rest._errors import (
    UnreadableAnswer,
    api_error,
    no_answer_error,
    read_object,
    unreadable_error,
)
from plivo_core.rest._request import Request, Response
from plivo_core.rest._retry import DEFAULT_RETRY, Jitter, RetryPolicy, is_repeatable
from plivo_core.rest._retry import parse_retry_after as _parse_retry_after
from plivo_core.rest._vocabulary import Cause, Sent

__all__ = ["Done", "Failed", "Operation", "Send", "SleepUntil", "Step"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Send:
    """Put ``request`` on the wire; then call ``responded`` or ``lost``."""

    request: Request


@dataclass(frozen=True, slots=True)
class SleepUntil:
    """Wait until ``at`` (the clock of ``now``), then call ``wake``; ``because`` is what failed."""

    at: float
    because: PlivoError


# No slots: on 3.10 a frozen, slotted class cannot be called as Done[None](...).
@dataclass(frozen=True)
class Done(Generic[T_co]):
    """The operation succeeded."""

    value: T_co


@dataclass(frozen=True, slots=True)
class Failed:
    """The operation failed for good; raise ``error``."""

    error: PlivoError


Step: TypeAlias = Send | SleepUntil | Done[T] | Failed


class _State(Enum):
    NEW = "not begun"
    SENT = "waiting for the answer"
    ASLEEP = "waiting to send again"
    OVER = "over"


class Operation(Generic[T]):
    """One request and its repeats, until ``Done`` or ``Failed``.

    Good for one run: a request that must not happen twice cannot be sent twice by accident. Build
    another for another run. A call that does not fit the state raises LocalProtocolError and
    changes nothing; no answer, however odd, makes a method raise.
    """

    __slots__ = (
        "_at", "_because", "_decode", "_jitter", "_look_up", "_maybe", "_policy", "_state",
        "attempts", "path", "request",
    )  # fmt: skip

    def __init__(
        self,
        request: Request,
        decode: Callable[[Mapping[str, object]], T],
        *,
        path: str,
        look_up: str = "",
        retry: RetryPolicy = DEFAULT_RETRY,
    ) -> None:
        self.request = request
        """The same for every attempt."""
        self.path = path
        """Percent-encoded, from ``/v1`` on, without query."""
        self.attempts = 0
        """Requests sent so far."""
        self._decode = decode
        self._look_up = look_up
        self._policy = retry
        self._jitter: Jitter | None = None
        self._state = _State.NEW
        self._maybe = False  # an attempt may have had its effect, though no answer said so
        self._at = 0.0
        self._because: PlivoError | None = None

    @property
    def method(self) -> str:
        return self.request.method

    def __repr__(self) -> str:
        return f"<Operation {self.method} {mask_path(self.path)}, {self._state.value}>"

    # -- input, each answering with the next step ----------------------------------------------

    def begin(
        self, *, now: float, retry: RetryPolicy | None = None, jitter: Jitter | None = None
    ) -> Step[T]:
        """Start. ``retry`` replaces the account's policy; ``jitter`` spreads its back-off."""
        del now  # every input takes the time, so that drivers need not know which use it
        self._require(_State.NEW, "begin", "an operation is good for one run: build another")
        if retry is not None:
            self._policy = retry
        self._jitter = jitter
        return self._send()

    def responded(self, response: Response, *, now: float, wall_now: float) -> Step[T]:
        """An answer came, and its body as far as ``response`` says.

        ``wall_now`` is Unix time, for a Retry-After that is a date. A success whose body broke on
        its way is repeated for GET, HEAD, OPTIONS, PUT and DELETE as if it had been lost; a POST or
        PATCH, which was carried out, never is: its ApiError keeps the status.
        """
        self._require(_State.SENT, "responded", "answer each Send once, with responded or lost")
        status = response.status
        if 200 <= status <= 299:
            broken = self._broken(response)
            if broken is not None:
                return self._lost(broken, Sent.MAYBE, now)
            try:
                value = self._decode(read_object(response))
            except UnreadableAnswer as problem:
                return self._fail(
                    unreadable_error(response, problem, self.method, self.path, self.attempts)
                )
            self._state = _State.OVER
            return Done(value)
        failed_there = 500 <= status <= 599
        retry_after = None
        if failed_there or status == 429:
            text = response.header("retry-after")
            if text is not None:
                retry_after = _parse_retry_after(text, wall_now=wall_now)
        error = api_error(
            response,
            method=self.method,
            path=self.path,
            attempts=self.attempts,
            retry_after=retry_after,
            uncertain=self._maybe or failed_there,
            look_up=self._look_up,
        )
        self._maybe = self._maybe or failed_there
        if status == 429 or (failed_there and self._may_repeat()):
            return self._sleep_or_fail(error, retry_after, now)
        return self._fail(error)

    def lost(self, cause: Cause, sent: Sent, *, now: float) -> Step[T]:
        """No answer will come. ``Sent.NO`` only if not one byte of the request can have arrived."""
        self._require(_State.SENT, "lost", "answer each Send once, with responded or lost")
        return self._lost(cause, sent, now)

    def again(self) -> Operation[T]:
        """The same operation, not begun: for what may happen twice, such as a page of a list."""
        return Operation(
            self.request, self._decode, path=self.path, look_up=self._look_up, retry=self._policy
        )

    def wake(self, *, now: float) -> Step[T]:
        """The wait is over. Too early is harmless: the same SleepUntil comes back."""
        self._require(_State.ASLEEP, "wake", "call it after a SleepUntil")
        if now < self._at:
            assert self._because is not None
            return SleepUntil(self._at, self._because)
        return self._send()

    # -- parts -----------------------------------------------------------------------------------

    def _require(self, state: _State, call: str, hint: str) -> None:
        if self._state is not state:
            raise LocalProtocolError(
                f"{call}() while the operation is {self._state.value}", hint=hint
            )

    def _broken(self, response: Response) -> Cause | None:
        """What broke a success that is to be asked for again, if something did.

        ``retry_unsafe`` is for doubt, and here is none: a POST was carried out.
        """
        if response.complete or response.status == 204 or not is_repeatable(self.method):
            return None
        return response.broken

    def _lost(self, cause: Cause, sent: Sent, now: float) -> SleepUntil | Failed:
        self._maybe = self._maybe or sent is Sent.MAYBE
        error = no_answer_error(
            cause,
            method=self.method,
            path=self.path,
            attempts=self.attempts,
            maybe=self._maybe,
            look_up=self._look_up,
        )
        if cause is not Cause.REFUSED and (sent is Sent.NO or self._may_repeat()):
            return self._sleep_or_fail(error, None, now)
        return self._fail(error)

    def _may_repeat(self) -> bool:
        return is_repeatable(self.method) or self._policy.retry_unsafe

    def _send(self) -> Send:
        self._state = _State.SENT
        self.attempts += 1
        return Send(self.request)

    def _sleep_or_fail(
        self, error: PlivoError, retry_after: float | None, now: float
    ) -> SleepUntil | Failed:
        wait = self._policy.wait_before_repeat(
            self.attempts, retry_after=retry_after, jitter=self._jitter
        )
        if wait is None:
            return self._fail(error)
        self._state = _State.ASLEEP
        self._at, self._because = now + wait, error
        return SleepUntil(self._at, error)

    def _fail(self, error: PlivoError) -> Failed:
        self._state = _State.OVER
        return Failed(error)
