"""One call at the level of messages: text in, events out; commands in, text out.

A :class:`Session` knows nothing of bytes, so the same object serves a raw TCP connection
(:class:`~plivo_core.connection.ServerConnection` owns one) and a WebSocket that somebody else
frames, an ASGI server for example. It tracks what the wire implies and nobody else keeps: identity,
state, tool calls, checkpoints, unsent output. It never waits and never reads a clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from plivo_core._close_codes import check_close_code
from plivo_core.codec import Codec, codec_for
from plivo_core.commands import (
    Checkpoint,
    ClearAudio,
    Command,
    PlayAudio,
    RawCommand,
    SessionCommands,
    ToolError,
    ToolResult,
    parse_command,
)
from plivo_core.commands._wire import command_text
from plivo_core.errors import (
    LocalProtocolError,
    PlivoError,
    RemoteProtocolError,
    SendQueueFull,
    SessionClosedError,
)
from plivo_core.events import (
    AgentEvent,
    AgentSessionEnded,
    AgentSessionStarted,
    ClearedAudio,
    Ended,
    Event,
    InvalidMessage,
    PlayedStream,
    StreamEvent,
    StreamMedia,
    StreamStart,
    StreamStop,
    ToolCall,
    ToolCallExpired,
    UnknownEvent,
    parse_event,
)
from plivo_core.limits import DEFAULT_LIMITS, DEFAULT_TIMINGS, Limits, Timings
from plivo_core.playback import Fate, Interrupted, PlaybackLedger, audio_duration_ms
from plivo_core.session._output import Output, Pending
from plivo_core.session._state import TRANSITIONS, Input, State
from plivo_core.session._toolcalls import ToolCalls, ToolCallState

__all__ = ["Closing", "MediaFormat", "Session"]

Cause: TypeAlias = Literal["session.ended", "stop", "close", "error"]

_ENVELOPE = 100  # characters of a playAudio message around its payload, at most
_NEW, _ACTIVE, _ENDED = State.NEW, State.ACTIVE, State.ENDED  # looked up once, for CPython 3.10
_AGENT_FORMATS = {"pcm_16k": ("audio/x-l16", 16000), "mulaw_8k": ("audio/x-mulaw", 8000)}


@dataclass(frozen=True, slots=True)
class MediaFormat:
    """``content_type`` (audio/x-mulaw or audio/x-l16) and ``sample_rate`` in Hz; always mono."""

    content_type: str
    sample_rate: float


class Closing(NamedTuple):
    """The Close frame the session wants sent once its texts are out."""

    code: int
    reason: str


class Session(SessionCommands):
    """Message-level state machine of one call; the application's end.

    Inputs: :meth:`receive_text`, :meth:`receive_close`, :meth:`send` (and the whole vocabulary of
    :class:`~plivo_core.commands.SessionCommands`), :meth:`close`, :meth:`handle_timeout`. After
    each, call :meth:`next_event` until it gives None, then :meth:`next_text` until it gives None;
    when :attr:`closing` is set by then, close the WebSocket with it; then wait, at most until
    :meth:`deadline`.

    The end of a call takes effect when ``next_event()`` is called *after* it handed out
    ``session.ended`` or ``stop``: what the application sends in response to those still leaves.
    """

    __slots__ = (
        "_agent_seen",
        "_cause",
        "_closing",
        "_codec",
        "_end_asked",
        "_ended_told",
        "_error",
        "_events",
        "_finish",
        "_grace_until",
        "_initiator",
        "_invalid_at",
        "_limits",
        "_output",
        "_shrunk",
        "_stalled_since",
        "_state",
        "_timings",
        "_tool_calls",
        "account_id",
        "agent_session_id",
        "call_uuid",
        "extra_headers",
        "media_format",
        "now",
        "playback",
        "stream_id",
    )

    def __init__(
        self,
        *,
        now: float,
        limits: Limits | None = None,
        timings: Timings | None = None,
        codec: Codec | None = None,
    ) -> None:
        self._limits = limits or DEFAULT_LIMITS
        self._timings = timings or DEFAULT_TIMINGS
        self._codec = codec or codec_for(self._limits)
        self.now = now
        """The time of the last input, which the vocabulary methods go by. A driver with inputs of
        its own (bytes, say) keeps it fresh."""
        self._state = State.NEW
        self._events: deque[Event] | None = None  # None: empty, as nearly always
        self.playback = PlaybackLedger(self._limits)
        """The audio we sent: milliseconds heard, and the checkpoints' fates."""
        self._output = Output(self._limits, self.playback)
        self._stalled_since: float | None = None
        self._shrunk = False  # without getting empty, since the last handle_timeout()
        self._tool_calls = ToolCalls(self._limits, self._timings.tool_call)
        self._invalid_at: list[float] = []  # the newest, one more than are allowed
        self._grace_until: float | None = None
        # How the call ends, once that is known.
        self._finish: Input | None = None
        self._cause: Cause | None = None
        self._initiator: Literal["local", "remote"] = "remote"
        self._error: PlivoError | None = None
        self._closing: Closing | None = None
        self._end_asked = False
        self._ended_told = False
        # Identity (PROTOCOL.md 8.3).
        self._agent_seen = False
        self.agent_session_id: str | None = None
        self.call_uuid: str | None = None
        self.stream_id: str | None = None
        self.account_id: str | None = None
        self.media_format: MediaFormat | None = None
        self.extra_headers: dict[str, str] = {}

    def __repr__(self) -> str:
        return (
            f"<Session {self._state.value} call_uuid={self.call_uuid!r}"
            f" agent_session_id={self.agent_session_id!r} stream_id={self.stream_id!r}>"
        )

    # -- what is known -------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """NEW, ACTIVE, ENDING or ENDED; see :data:`TRANSITIONS`."""
        return self._state

    @property
    def finishing(self) -> bool:
        """Whether the call's last message was handed out: the next ``next_event()`` ends it."""
        return self._finish is not None and self._events is None

    @property
    def tool_calls(self) -> ToolCalls:
        """The tool calls the platform made and what became of them."""
        return self._tool_calls

    @property
    def output(self) -> Output:
        """The unsent messages: backlog and drops."""
        return self._output

    @property
    def pending(self) -> Pending:
        """What waits to be sent: messages, bytes, milliseconds."""
        return self._output.pending

    def audio_delay(self, payload_size: int, ms: float, *, ahead_ms: float) -> float | None:
        """Seconds to wait before sending audio; 0: send it. None: until the transport took some.

        For senders that would rather wait than have audio dropped. ``payload_size`` is in
        characters of base64, ``ms`` its playing time; together with what is still unheard it shall
        not last longer than ``ahead_ms`` (unless it does so alone). None also while a
        ``clearAudio`` has not left: nobody can say how much it leaves to be heard. Ask again after
        the wait, after text was taken, and after a clear. What is over all of
        ``Limits.audio_buffer`` waits for an empty lane only, to be refused there.
        """
        if self.playback.clear_waits:
            return None
        if not self._output.fits_audio(payload_size + _ENVELOPE, ms):
            return None if self._output.pending.audio_messages else 0.0
        unheard = self.playback.unheard_ms(self.now)
        return max(0.0, (unheard + min(ms, ahead_ms) - ahead_ms) / 1000)

    @property
    def closing(self) -> Closing | None:
        """The Close to send now that all texts are out; None: the call goes on, or is over."""
        return None if self._closing is None or self._ended_told or self._output else self._closing

    # -- input ---------------------------------------------------------------------------------

    def receive_text(self, data: str | bytes, *, now: float) -> None:
        """One whole message from the platform (bytes: a binary frame). Never raises."""
        self.now = now
        if self._finish is not None or self._state is _ENDED:
            return
        event = parse_event(data, codec=self._codec)
        if isinstance(event, StreamMedia):
            if self._state is _NEW:
                self._move(Input.MESSAGE)
            if self._state is _ACTIVE:
                self._hand_out(event)
        elif isinstance(event, InvalidMessage):
            self._take_invalid(event)
        elif self._state is not State.ENDING or not isinstance(event, StreamEvent):
            # While session.ended is awaited, the agent's last words still count.
            self._take(event)

    def receive_close(
        self,
        code: int = 1006,
        reason: str = "",
        *,
        initiator: Literal["local", "remote"] = "remote",
        error: PlivoError | None = None,
        now: float,
    ) -> None:
        """The WebSocket is closed, by whichever side. Ended follows what was received before it.

        ``code`` 1006 stands for a connection that broke off; ``error`` for what went wrong, if it
        did. Idempotent.
        """
        self.now = now
        if self._ended_told:
            return
        self._finish_now()
        self._because("close" if error is None else "error", initiator, error)
        self._move(Input.CLOSE if error is None else Input.FAILURE)
        self._tool_calls.cancel()
        self.playback.stream_ended(now)
        self._output.clear()
        self._stalled_since = None
        self._shrunk = False
        self._ended_told = True
        assert self._cause is not None
        self._hand_out(Ended(self._initiator, code, reason, self._cause, self._error))

    def send(self, command: Command, *, now: float | None = None) -> None:
        """Queue a command; it never waits. ``now`` defaults to that of the last input.

        Raises SessionClosedError after the end; LocalProtocolError for a tool call that was
        answered already or a checkpoint name that is still pending; InvalidCommandError for what
        JSON cannot carry; SendQueueFull, which ends the call, when ``Limits.control_buffer`` is
        full. Audio over its budget follows ``Limits.audio_overflow`` instead. Apart from
        SendQueueFull, a failed call changes nothing.
        """
        if now is not None:
            self.now = now
        if self._state is _ENDED:
            raise SessionClosedError("the call is over", hint="commands after the end go nowhere")
        meaning: Command | InvalidMessage = command
        if isinstance(command, PlayAudio):  # first: 50 a second
            text = command_text(command, self._codec)
        else:
            text, meaning = self._written(command)
        if isinstance(meaning, PlayAudio):
            ms = audio_duration_ms(meaning.payload, meaning.content_type, meaning.sample_rate)
            self._output.put_audio(text, ms)
        else:
            self._put_control(text, meaning)
        if self._stalled_since is None:
            self._stalled_since = self.now

    def interrupt(self, *, now: float | None = None) -> Interrupted:
        """Silence our audio: drop what is unsent, clear what the platform holds; what was heard.

        A ``clearAudio`` leaves before everything else that is audio, also when all of it was sent
        already. Checkpoints behind unsent audio are settled as cleared at once, the others by
        ``clearedAudio``. Raises as :meth:`send` does.
        """
        if now is not None:
            self.now = now
        ledger, now = self.playback, self.now
        buffered = ledger.buffered_ms(now)
        cut = Interrupted(
            ledger.heard_ms(now), ledger.proven_ms, ledger.queued_ms + buffered, buffered > 0
        )
        self.clear_audio()
        return cut

    def close(self, code: int = 1000, reason: str = "", *, now: float | None = None) -> None:
        """End the call from our side: what is queued is flushed, then Close. Idempotent.

        The managed agent's way to hang up is :meth:`hangup`; this closes the WebSocket, and
        :meth:`end_call` does what fits. Raises LocalProtocolError for a ``code`` that no Close
        frame may carry.
        """
        check_close_code(code)
        if now is not None:
            self.now = now
        if self._state is not State.ENDED:
            self._because("close", "local")
            self._end(Input.CLOSE, Closing(code, reason))

    def end_call(self, *, now: float | None = None) -> None:
        """End the call in the way that is its own, once; nothing happens if it is ending already.

        An agent's call gets ``hangup``, which ``session.ended`` answers. A plain stream knows no
        such command: it is closed, with 1000. Raises SendQueueFull as :meth:`send` does.
        """
        if now is not None:
            self.now = now
        if self._end_asked or self._over or self._state is State.ENDING:
            return
        if self._agent_seen:
            self.hangup()
        else:
            self.close()
        self._end_asked = True

    def fail(self, code: int, reason: str, error: PlivoError, *, now: float | None = None) -> None:
        """End the call because something is wrong with it: unsent output is dropped.

        Raises LocalProtocolError for a ``code`` that no Close frame may carry.
        """
        check_close_code(code)
        if now is not None:
            self.now = now
        if self._ended_told:
            return
        self._output.clear()
        self._because("error", "local", error)
        self._end(Input.FAILURE, Closing(code, reason))

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due: expire tool calls, stop waiting for ``session.ended``."""
        self.now = now
        if self._shrunk:  # some time before now, which is as much as is known
            self._shrunk = False
            self._stalled_since = now
        if self._over:
            return
        for id, name in self._tool_calls.expire(now):
            self._hand_out(ToolCallExpired(id, name))
        if self._grace_until is not None and now >= self._grace_until:
            self._finish = Input.GRACE_OVER  # like any end: at the pull after the last event

    # -- output --------------------------------------------------------------------------------

    def next_event(self) -> Event | None:
        """The next event, in the order of the wire; Ended is the last one."""
        if (events := self._events) is not None:
            event = events.popleft()
            if not events:
                self._events = None
            return event
        if self._finish is not None:
            self._finish_now()
        return None

    def next_text(self) -> str | None:
        """The next message to send: control before audio. It counts as sent at :attr:`now`.

        After a wait for room rather than for input, tell the time by :meth:`handle_timeout` first.
        """
        text = self._output.take(self.now)
        if text is not None and self._output:
            self._shrunk = True
            self._stalled_since = self.now
        else:
            self._shrunk = False
            self._stalled_since = None
        return text

    def deadline(self) -> float | None:
        """When to call handle_timeout(); None: nothing is awaited."""
        if self._finish is not None or self._state is _ENDED:
            return None
        due = self._tool_calls.deadline()
        if self._grace_until is not None and (due is None or self._grace_until < due):
            return self._grace_until
        return due

    @property
    def stalled_since(self) -> float | None:
        """Since when unsent output, or the Close, has not moved; None: nothing is unsent.

        A text taken long after the last input counts as of handle_timeout(): a call is given up
        after ``Timings.write`` without movement, or up to twice that, never sooner.
        """
        return self._stalled_since

    # -- inside --------------------------------------------------------------------------------

    def _move(self, given: Input) -> None:
        self._state = TRANSITIONS[self._state][given]

    @property
    def _over(self) -> bool:
        """Whether no message can change anything any more."""
        return self._finish is not None or self._state is _ENDED

    def _hand_out(self, event: Event) -> None:
        if self._events is None:
            self._events = deque()
        self._events.append(event)

    def _because(
        self, cause: Cause, initiator: Literal["local", "remote"], error: PlivoError | None = None
    ) -> None:
        if self._cause is None:  # the first reason is the one that is told
            self._cause, self._initiator, self._error = cause, initiator, error

    def _end(self, given: Input, closing: Closing) -> None:
        self._move(given)
        self._finish = None
        self._closing = closing
        self._tool_calls.cancel()
        if self._stalled_since is None:  # a transport that is full takes no Close either
            self._stalled_since = self.now

    def _finish_now(self) -> None:
        """Let ``session.ended``, ``stop`` or the end of its grace take effect."""
        if self._finish is not None:
            self._end(self._finish, Closing(1000, ""))

    def _take(self, event: AgentEvent | StreamEvent | UnknownEvent) -> None:
        given = Input.MESSAGE
        if isinstance(event, ToolCall):
            if self._tool_calls.repeats(event.id):
                return  # handed out already: whoever runs it again could not answer it again
            if (expired := self._tool_calls.called(event.id, event.name, self.now)) is not None:
                self._hand_out(ToolCallExpired(*expired))
        elif isinstance(event, (PlayedStream, ClearedAudio)):
            self._take_ack(event)
        elif isinstance(event, StreamStart):
            self._take_start(event)
        elif isinstance(event, AgentSessionStarted):
            self._take_started(event)
        elif isinstance(event, AgentSessionEnded):
            self._finish = Input.SESSION_ENDED
            self._cause = "session.ended"
        elif isinstance(event, StreamStop):
            if self._is_of_another_stream(event.stream_id):
                return  # settled by the start of ours
            given = self._take_stop()
        self._hand_out(event)
        if self._finish is None:
            self._move(given)

    def _take_ack(self, event: PlayedStream | ClearedAudio) -> None:
        if self._is_of_another_stream(event.stream_id):
            return  # whose checkpoints are settled
        if isinstance(event, PlayedStream):
            self.playback.played(event.name, self.now)
        else:
            self.playback.cleared(self.now)

    def _is_of_another_stream(self, stream_id: str) -> bool:
        """Whether this names a stream that is over. A call has one at a time (PROTOCOL.md 14)."""
        return bool(self.stream_id) and stream_id not in ("", self.stream_id)

    def _take_started(self, event: AgentSessionStarted) -> None:
        self._agent_seen = True
        self.agent_session_id = event.agent_session_id or self.agent_session_id
        self.call_uuid = event.call_id or self.call_uuid
        # What ``start`` says wins, whichever of the two comes first.
        if self.media_format is None and event.audio_format in _AGENT_FORMATS:
            content_type, rate = _AGENT_FORMATS[event.audio_format]
            self.media_format = MediaFormat(content_type, event.sample_rate or rate)

    def _take_start(self, event: StreamStart) -> None:
        if self.stream_id is not None:  # a second stream: what was for the first one is lost
            self._output.drop_audio()
            if event.stream_id != self.stream_id:
                self._output.disown_clears()
            self.playback.stream_began(self.now)
            if not self._output:
                self._stalled_since = None
                self._shrunk = False
        self.stream_id = event.stream_id
        self.call_uuid = self.call_uuid or event.call_id or None
        self.account_id = event.account_id or self.account_id
        if event.content_type:
            self.media_format = MediaFormat(event.content_type, event.sample_rate)
        self.extra_headers = dict(event.extra_headers)

    def _take_stop(self) -> Input:
        self.playback.stream_ended(self.now)
        self._cause = "stop"
        if not self._agent_seen:
            self._finish = Input.STOP
            return Input.STOP
        self._grace_until = self.now + self._timings.stop_grace
        return Input.STOP_AWAITING_END

    def _take_invalid(self, event: InvalidMessage) -> None:
        self._move(Input.MESSAGE)
        self._hand_out(event)
        limit, window = self._limits.max_invalid_messages, self._timings.invalid_window
        self._invalid_at.append(self.now)
        del self._invalid_at[: -limit - 1]
        if len(self._invalid_at) > limit and self.now - self._invalid_at[0] <= window:
            error = RemoteProtocolError(
                f"more than {limit} messages within {window} s were not JSON objects"
            )
            self.fail(1008, "too many invalid messages", error)

    def _written(self, command: Command) -> tuple[str, Command | InvalidMessage]:
        """The text of a command, and what it means: a raw command may spell a known one."""
        if isinstance(command, Checkpoint):
            if command.stream_id is None:
                command = Checkpoint(command.name, stream_id=self.stream_id or "")
        elif isinstance(command, ClearAudio) and command.stream_id is None:
            command = ClearAudio(stream_id=self.stream_id or "")
        text = command_text(command, self._codec)
        meaning = parse_command(command.message) if isinstance(command, RawCommand) else command
        return text, meaning

    def _put_control(self, text: str, meaning: Command | InvalidMessage) -> None:
        if isinstance(meaning, ToolResult | ToolError):
            self._tool_calls.check_answer(meaning.id)
        elif isinstance(meaning, Checkpoint):
            self._check_checkpoint(meaning.name)
        if not self._output.fits(text):
            error = SendQueueFull(
                f"over {self._limits.control_buffer} bytes of control messages wait to be sent",
                hint="the peer does not read; the call is being ended",
            )
            self.fail(1008, "output queue full", error)
            raise error
        if isinstance(meaning, Checkpoint):
            self._output.put_checkpoint(text, meaning.name)
            return
        if isinstance(meaning, ClearAudio):
            self._output.put_clear(text)
            return
        if isinstance(meaning, ToolResult):
            self._tool_calls.answered(meaning.id, ToolCallState.RESULT)
        elif isinstance(meaning, ToolError):
            self._tool_calls.answered(meaning.id, ToolCallState.ERROR)
        self._output.put_control(text)

    def _check_checkpoint(self, name: str) -> None:
        if self.playback.fate(name) is Fate.PENDING:
            raise LocalProtocolError(
                f"checkpoint {name!r} is still pending", hint="use a new name, or wait for its fate"
            )
        if self.playback.full:
            raise LocalProtocolError(
                f"{self._limits.max_checkpoints} checkpoints are pending already"
            )
