"""One simulated call to a server of which nothing is known, and what became of it.

Like :func:`plivo_anyio.place_call`, for a URL: with TLS and headers, with a time limit on every
wait, and with a verdict in place of an exception, whatever the server does.
"""

from __future__ import annotations

import secrets
import ssl
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

import anyio
from anyio.abc import ByteStream

from plivo_anyio._carrier import Carrier
from plivo_anyio._cli._questions import ECHO_LABEL, Ears, name_of
from plivo_anyio._cli._target import Target
from plivo_anyio._platform import CallRun, drive_scenario
from plivo_anyio._transport import StreamIO
from plivo_core import (
    ClientConnection,
    Command,
    Ended,
    InvalidMessage,
    Rejected,
    SendQueueFull,
    Timings,
)
from plivo_core.events import StreamMedia
from plivo_core.platform import PlatformCall, PlatformEvent, Scenario, ScenarioRun

__all__ = ["Caller", "Miss", "Outcome"]

_FAREWELL = 0.3  # seconds for the Close frame of a call that is cut short
_EXCERPT = 120  # characters of what a server said that was not understood
_REMEMBERED = 1000  # commands, for what came in place of what was expected


@dataclass(frozen=True)
class Miss:
    """One thing that did not happen. ``step`` is its label or the stage of the call."""

    step: str
    expected: str
    came: str


@dataclass
class Outcome:
    """What became of one call. Times in seconds."""

    number: int
    connect: float | None = None
    upgrade: float | None = None
    first_command: float | None = None
    lag: list[float] = field(default_factory=list[float])
    """How late each frame of sound left, for want of time on our side."""
    seconds: float = 0.0
    events: int = 0
    commands: int = 0
    misses: list[Miss] = field(default_factory=list[Miss])
    met: list[str] = field(default_factory=list[str])
    finished: bool = False
    """Whether it ran to its end, well or not; False: it was cut short by a signal."""

    @property
    def answered(self) -> bool:
        """Whether the server accepted the call."""
        return self.upgrade is not None

    @property
    def ok(self) -> bool:
        return self.finished and not self.misses


class Caller:
    """Places one call; :meth:`watch` it to see what passes."""

    def __init__(
        self,
        number: int,
        play: PlatformCall | Scenario,
        target: Target,
        ears: Ears,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        timeout: float,
    ) -> None:
        self.outcome = Outcome(number)
        self.ears = ears
        self._play = play
        self._target = target
        self._headers = headers
        self._timeout = timeout
        self._on_sent: Callable[[PlatformEvent], None] | None = None
        self._on_received: Callable[[Command | InvalidMessage], None] | None = None
        self._on_end: Callable[[], None] | None = None
        self._heard = deque[tuple[float, str]](maxlen=_REMEMBERED)
        self._first_bytes = b""
        self._upgraded_at: float | None = None
        self._rejected: Rejected | None = None
        self._ended: Ended | None = None
        self._patience: anyio.CancelScope | None = None  # of a scenario, until something passes

    def watch(
        self,
        on_sent: Callable[[PlatformEvent], None],
        on_received: Callable[[Command | InvalidMessage], None],
        on_end: Callable[[], None],
    ) -> None:
        """Have every event and every command shown as it passes, and the end."""
        self._on_sent, self._on_received, self._on_end = on_sent, on_received, on_end

    async def place(self) -> None:
        """Play the call to its end; :attr:`outcome` says how it went. Raises nothing."""
        outcome, began = self.outcome, anyio.current_time()
        try:
            stream = await self._connect()
            if stream is None:
                outcome.finished = True
                return
            outcome.connect = anyio.current_time() - began
            try:
                self._asked_at = anyio.current_time()
                tapped = _Tapped(stream, self._note_first)
                if isinstance(self._play, Scenario):
                    await self._run_scenario(self._play, tapped)
                else:
                    await self._hold(self._play, tapped)
                self._judge()
                outcome.finished = True
            finally:
                await anyio.aclose_forcefully(stream)
        finally:
            outcome.seconds = anyio.current_time() - began
            if self._on_end is not None:
                self._on_end()

    def _miss(self, step: str, expected: str, came: str) -> None:
        self.outcome.misses.append(Miss(step, expected, came))

    # -- the connection ------------------------------------------------------------------------

    async def _connect(self) -> ByteStream | None:
        expected = f"a connection to port {self._target.port}"
        try:
            with anyio.fail_after(self._timeout):
                return await self._target.connect()
        except TimeoutError:
            self._miss("connect", expected, f"nothing within {self._timeout:g} s")
        except ssl.SSLCertVerificationError as error:
            self._miss(
                "connect",
                "a certificate that this machine trusts",
                f"{error.verify_message} (--ca-file names another authority)",
            )
        except ssl.SSLError as error:
            self._miss("connect", "a TLS handshake", str(error.reason or error))
        except OSError as error:
            self._miss("connect", expected, _reason(error))
        return None

    async def _hold(self, call: PlatformCall, stream: ByteStream) -> None:
        self._call = call
        conn = ClientConnection(
            host=self._target.authority,
            target=self._target.target,
            headers=self._headers,
            random_bytes=secrets.token_bytes,
            timings=Timings(handshake=self._timeout, write=self._timeout, close=self._timeout),
            now=self._asked_at,
        )
        run = CallRun(call, conn, self._sent, self._received)
        carrier = Carrier(run, StreamIO(stream), write_timeout=self._timeout)
        try:
            await carrier.run()
        except SendQueueFull:
            self._miss("call", "a server that reads", f"nothing read for {self._timeout:g} s")
            run.send_failed(now=anyio.current_time())
        finally:
            if run.ended is None:  # cut short: the server shall not think that the line is dead
                with anyio.move_on_after(_FAREWELL, shield=True):
                    conn.close(1001, now=anyio.current_time())
                    await carrier.flush()
        self._rejected, self._ended = run.rejected, run.ended

    async def _run_scenario(self, scenario: Scenario, stream: ByteStream) -> None:
        run = ScenarioRun(
            scenario,
            random_bytes=secrets.token_bytes,
            now=self._asked_at,
            host=self._target.authority,
            target=self._target.target,
            headers=self._headers,
            on_sent=self._sent,
            on_received=self._received,
        )
        self._call = run.call
        self._patience = anyio.CancelScope(deadline=self._asked_at + self._timeout)
        with self._patience:
            await drive_scenario(run, stream)
        self._ended = run.result.ended
        self.ears.answered += run.result.latencies.values()

    def _note_first(self, data: bytes) -> None:
        if self._upgraded_at is None and len(self._first_bytes) < _EXCERPT:
            self._first_bytes += data[:_EXCERPT]

    # -- what passes ---------------------------------------------------------------------------

    def _answered_at(self, now: float) -> float:
        """When the server took the call: the first thing passes then."""
        if self._upgraded_at is None:
            self._upgraded_at = now
            self.outcome.upgrade = now - self._asked_at
            if self._patience is not None:
                self._patience.deadline = float("inf")
        return self._upgraded_at

    def _sent(self, event: PlatformEvent) -> None:
        outcome, now = self.outcome, anyio.current_time()
        answered_at = self._answered_at(now)
        outcome.events += 1
        if isinstance(event, StreamMedia):
            due = answered_at + int(event.timestamp or 0) / 1000
            outcome.lag.append(max(0.0, now - due))
        self.ears.said(event, now=now)
        if self._on_sent is not None:
            self._on_sent(event)

    def _received(self, item: Command | InvalidMessage) -> None:
        outcome, now = self.outcome, anyio.current_time()
        answered_at = self._answered_at(now)
        outcome.commands += 1
        if outcome.first_command is None:
            outcome.first_command = now - answered_at
        self._heard.append((now, _in_a_line(name_of(item))))
        self.ears.heard(item, now=now)
        if self._on_received is not None:
            self._on_received(item)

    # -- the verdict ---------------------------------------------------------------------------

    def _judge(self) -> None:
        ended, call = self._ended, self._call
        if self._upgraded_at is None:
            self._miss("upgrade", "101 Switching Protocols", self._came_instead())
            return
        since = self._upgraded_at
        reached = set[str]()
        for seen in call.observations:
            reached.add(seen.label)
            if seen.label == ECHO_LABEL:
                continue
            if seen.met:
                self.outcome.met.append(seen.label)
            else:
                came = self._heard_between(since, seen.at)
                if ended is not None and call.finished and isinstance(self._play, Scenario):
                    came += f"; at the end {_end(ended)}"
                self._miss(seen.label, seen.label, came)
            since = seen.at
        if not call.finished and ended is not None:
            waited_for = next((label for label in call.missed if label not in reached), None)
            self._miss("call", waited_for or "the call to last until its end", _end(ended))
        for label in call.missed:
            if label not in reached and label != ECHO_LABEL:
                self._miss(label, label, "the call ended before")
        if call.invalid:
            first = call.invalid[0]
            raw = first.raw if isinstance(first.raw, bytes) else first.raw.encode()
            count = len(call.invalid)
            self._miss(
                "call",
                "messages that are JSON objects",
                f"{count} that {'is' if count == 1 else 'are'} not, the first {_excerpt(raw)}",
            )

    def _came_instead(self) -> str:
        """Of the upgrade."""
        if self._rejected is not None:
            response = self._rejected.response
            body = f": {_excerpt(response.body)}" if response.body else ", without a body"
            return f"{_status(response.status)}{body}"
        ended = self._ended
        if not self._first_bytes:
            if ended is not None and ended.error is None:
                return "the connection closed without a word"
            return f"nothing within {self._timeout:g} s"
        why = "and the connection closed"
        if ended is None:  # a scenario that was not waited for any longer
            why = f"and no answer within {self._timeout:g} s"
        elif ended.error is not None:
            why = ended.error.message
        return f"{_excerpt(self._first_bytes)}, {why}"

    def _heard_between(self, since: float, until: float) -> str:
        names = Counter(name for at, name in self._heard if since <= at <= until)
        if not names:
            return f"nothing for {until - since:.1f} s"
        return ", ".join(f"{name} x{n}" if n > 1 else name for name, n in names.items())


class _Tapped(ByteStream):
    """A stream that shows what is read from it."""

    def __init__(self, stream: ByteStream, note: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._note = note

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = await self._stream.receive(max_bytes)
        self._note(data)
        return data

    async def send(self, item: bytes) -> None:
        await self._stream.send(item)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _end(ended: Ended) -> str:
    if ended.error is not None:
        return ended.error.message
    if ended.code == 1006:
        return "the connection was lost, without a Close"
    reason = f" ({_in_a_line(ended.reason)})" if ended.reason else ""
    who = "the server" if ended.initiator == "remote" else "we"
    return f"{who} closed the WebSocket with {ended.code}{reason}"


def _reason(error: OSError) -> str:
    cause = error.__cause__  # anyio's: one error, or a group of them, one per address
    causes: list[object] = [error, cause, *getattr(cause, "exceptions", ())]
    for one in causes:
        if isinstance(one, ConnectionRefusedError):
            return "connection refused: nobody listens there"
    texts = [one.strerror for one in causes if isinstance(one, OSError) and one.strerror]
    return texts[0] if texts else str(error) or type(error).__name__


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _in_a_line(text: str) -> str:
    """What a server said, as it is if that is a piece of one line."""
    if text.isprintable() and len(text) <= _EXCERPT:
        return text
    return repr(text[:_EXCERPT]) + ("..." if len(text) > _EXCERPT else "")


def _excerpt(data: bytes) -> str:
    text = data[:_EXCERPT].decode("utf-8", "replace").strip()
    return repr(text) + ("..." if len(data) > _EXCERPT else "")
