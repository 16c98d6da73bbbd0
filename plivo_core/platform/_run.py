"""One scenario over one connection, byte by byte, so that what sockets do wrong is data, too.

The core's contract with one addition. After each input: take :meth:`ScenarioRun.data_to_send` until
it is empty, then :meth:`ScenarioRun.next_action`, and do that; repeat until both are empty. Read
only while :attr:`ScenarioRun.reading`. The same object runs under every clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from plivo_core.commands import Command
from plivo_core.connection import ClientConnection
from plivo_core.events import Ended, InvalidMessage
from plivo_core.platform._observer import Observation
from plivo_core.platform._outbox import PlatformEvent
from plivo_core.platform._scenario import Scenario
from plivo_core.platform._steps import Fault
from plivo_core.wire import Headers, Rejected, Upgraded

__all__ = ["ScenarioResult", "ScenarioRun", "SocketAction"]

_CLOSE_GRACE = 1.0  # seconds for the application to close after the call is over, then we do
# Opcode 3 is reserved (RFC 6455 5.2): a masked frame of it, without payload.
_BAD_FRAME = b"\x83\x80\0\0\0\0"


class SocketAction(Enum):
    """What to do to the socket, behind the bytes taken so far."""

    DROP = "drop"
    """Close it at once; nothing more is read or sent."""
    HALF_CLOSE = "half_close"
    """Send no more, but go on reading."""


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """What came of a scenario. ``ok``: every step was met."""

    title: str
    steps: tuple[Observation, ...]
    """What was observed, in order; ``at`` is in seconds since the run began."""
    missed: tuple[str, ...]
    """Labels of the steps that were not met, those never reached included."""
    unexpected: tuple[Command, ...]
    """Commands that no step expected, the newest 1,000."""
    invalid: tuple[InvalidMessage, ...]
    """What was no command at all."""
    ended: Ended | None
    """How the connection ended, seen from Plivo's side."""
    seconds: float

    @property
    def ok(self) -> bool:
        return not self.missed

    @property
    def sequence(self) -> tuple[tuple[str, bool], ...]:
        """Labels and verdicts, in order: the same under every clock."""
        return tuple((step.label, step.met) for step in self.steps)

    @property
    def latencies(self) -> dict[str, float]:
        """From event to reaction, in seconds, by label."""
        return {step.label: step.latency for step in self.steps if step.latency is not None}


class ScenarioRun:
    """Plivo's end of the connection, playing ``scenario``.

    ``host``, ``target``, ``headers`` and ``random_bytes`` are those of
    :class:`~plivo_core.ClientConnection`; ``on_sent`` and ``on_received`` see every event and every
    command as it passes.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        random_bytes: Callable[[int], bytes],
        now: float,
        host: str = "localhost",
        target: str = "/",
        headers: Headers = (),
        on_sent: Callable[[PlatformEvent], None] = lambda event: None,
        on_received: Callable[[Command | InvalidMessage], None] = lambda command: None,
    ) -> None:
        self.call = scenario.call()
        self._title = scenario.title
        self._on_sent = on_sent
        self._on_received = on_received
        self._conn = ClientConnection(
            host=host, target=target, headers=headers, random_bytes=random_bytes, now=now
        )
        self._out: deque[bytes | SocketAction] = deque()
        self._began = self._now = now
        self._upgraded = False
        self._mute = False
        self._piece = 0  # bytes per send; 0: as many as there are
        self._cut = b""  # what is sent in pieces, from _cut_at on
        self._cut_at = 0
        self._stalled_until = float("-inf")
        self._armed: str = ""  # reorder or duplicate: what happens to the next event
        self._held: PlatformEvent | None = None
        self._close_at: float | None = None
        self._ended: Ended | None = None

    # -- input ---------------------------------------------------------------------------------

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Bytes from the application."""
        self._conn.receive_data(data, now=now)
        self._drain(now)

    def receive_eof(self, *, now: float) -> None:
        """The application will send nothing more. Idempotent."""
        self._forget()
        self._conn.receive_eof(now=now)
        self._drain(now)

    def send_failed(self, *, now: float) -> None:
        """The bytes last taken never left."""
        self._forget()
        self._conn.send_failed(now=now)
        self._drain(now)

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due; harmless if early."""
        self._drain(now)

    # -- output --------------------------------------------------------------------------------

    def data_to_send(self) -> bytes:
        """Bytes for the application; call until ``b""``. Each is to be sent by itself."""
        self._flush()
        if data := self._next_piece():
            return data
        parts: list[bytes] = []
        while self._out and isinstance(part := self._out[0], bytes):
            self._out.popleft()
            parts.append(part)
        data = b"".join(parts)
        if self._piece:
            self._cut, self._cut_at = data, 0
            data = self._next_piece()
        return data

    def _next_piece(self) -> bytes:
        """Of what is sent in pieces; the rest is not copied, for there may be a million of them."""
        start, self._cut_at = self._cut_at, self._cut_at + self._piece
        return self._cut[start : self._cut_at]

    def next_action(self) -> SocketAction | None:
        """What to do to the socket now that data_to_send() is empty; None: nothing."""
        if self._out and isinstance(action := self._out[0], SocketAction):
            self._out.popleft()
            return action
        return None

    def deadline(self) -> float | None:
        """When to call handle_timeout(); None: nothing is awaited."""
        waits = [self._conn.deadline(), self._close_at]
        if self._upgraded:
            waits.append(self.call.deadline())
        if not self.reading:
            waits.append(self._stalled_until)
        return min((due for due in waits if due is not None), default=None)

    @property
    def reading(self) -> bool:
        """Whether to read; not while stalled."""
        return self._now >= self._stalled_until

    @property
    def finished(self) -> bool:
        """Whether the run is over; close the socket."""
        return self._ended is not None and not self._out and self._cut_at >= len(self._cut)

    @property
    def result(self) -> ScenarioResult:
        """What was observed so far."""
        call = self.call
        return ScenarioResult(
            title=self._title,
            steps=tuple(
                Observation(seen.label, seen.met, seen.at - self._began, seen.latency)
                for seen in call.observations
            ),
            missed=tuple(call.missed),
            unexpected=tuple(call.unexpected),
            invalid=tuple(call.invalid),
            ended=self._ended,
            seconds=self._now - self._began,
        )

    def _forget(self) -> None:
        """Nothing of what waits can be sent any more."""
        self._out.clear()
        self._cut = b""

    # -- both sides ----------------------------------------------------------------------------

    def _drain(self, now: float) -> None:
        """Pass on what either side has to say, and what the clock says to both."""
        conn, call = self._conn, self.call
        self._now = now
        conn.handle_timeout(now=now)
        while (item := conn.next_event()) is not None:
            if isinstance(item, Upgraded):
                self._upgraded = True
                call.start(now=now)
            elif isinstance(item, Ended):
                self._ended = item
                self._close_at = None
                call.receive_close(item.code, now=now)
            elif not isinstance(item, Rejected):  # its Ended says it all
                self._on_received(item)
                call.receive_command(item, now=now)
        if self._upgraded and self._ended is None:
            call.handle_timeout(now=now)
            self._say_all(now)
            self._close_if_over(now)

    def _say_all(self, now: float) -> None:
        while self._ended is None and (item := self.call.next_item()) is not None:
            if isinstance(item, Fault):
                self._do(item, now)
            else:
                self._say(item, now)
        if self.call.finished and self._held is not None and self._ended is None:
            self._send(self._held, now)
            self._held = None

    def _say(self, event: PlatformEvent, now: float) -> None:
        armed, self._armed = self._armed, ""
        if armed == "reorder":
            self._held = event
            return
        self._send(event, now)
        if armed == "duplicate":
            self._send(event, now)
        if self._held is not None:
            held, self._held = self._held, None
            self._send(held, now)

    def _send(self, event: PlatformEvent, now: float) -> None:
        self._on_sent(event)
        self._conn.send(event, now=now)
        self._flush()  # a script is what it is: no budget of the connection's may drop a part

    def _do(self, fault: Fault, now: float) -> None:
        kind = fault.kind
        self._flush()  # as in _send
        if kind == "garbage":
            self._conn.send_text(fault.text, now=now)
        elif kind == "binary":
            self._conn.send_text(b"\xff" * fault.size, now=now)
        elif kind == "oversized":
            self._conn.send_text("x" * fault.size, now=now)
        self._flush()
        if kind in ("reorder", "duplicate"):
            self._armed = kind
        elif kind == "split":
            self._piece = fault.size
        elif kind == "stall":
            self._stalled_until = now + fault.seconds
        elif kind == "bad_frame":
            self._out.append(_BAD_FRAME)
        elif kind == "half_close":
            self._out.append(SocketAction.HALF_CLOSE)
            self._mute = True
        elif kind == "drop":
            self._out.append(SocketAction.DROP)
            self._mute = True
            self._conn.send_failed(now=now)
            self._drain(now)

    def _flush(self) -> None:
        """Behind what was queued here, what the connection has to send."""
        while data := self._conn.data_to_send():
            if not self._mute:
                self._out.append(data)

    def _close_if_over(self, now: float) -> None:
        if not self.call.finished or self._ended is not None:
            return
        if self._close_at is None:
            self._close_at = max(now + _CLOSE_GRACE, self.call.deadline() or now)
        elif now >= self._close_at:
            self._conn.close(now=now)
            self._close_at = float("inf")
