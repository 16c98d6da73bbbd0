"""A rule-based machine that calls an agent in every way a caller can, and checks its manners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar, cast

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from plivo_core.codec import DEFAULT_CODEC
from plivo_core.commands import (
    Checkpoint,
    ClearAudio,
    Command,
    Hangup,
    Play,
    PlayAudio,
    RawCommand,
    SendDtmf,
    SendStreamDtmf,
    SessionCommands,
    Speak,
    Text,
    ToolError,
    ToolResult,
    Transfer,
)
from plivo_core.events import (
    AgentEvent,
    AgentSessionEnded,
    AgentSessionStarted,
    ClearedAudio,
    Dtmf,
    Event,
    Interruption,
    InvalidMessage,
    PlayedStream,
    StreamDtmf,
    StreamEvent,
    StreamStart,
    StreamStop,
    ToolCall,
    parse_event,
)
from plivo_core.platform import (
    AgentSettings,
    AgentSpeaks,
    CallerPlays,
    CallerSays,
    Emit,
    Fault,
    HangUp,
    Interrupt,
    ScenarioRun,
    SocketAction,
    Step,
)
from plivo_core.platform._live import LiveCall, LiveScenario
from plivo_core.testing._agent_end import AgentEnd, ReactingAgent
from plivo_core.testing._calls import CallMode
from plivo_core.testing._events import agent_events, hostile_messages, stream_events

__all__ = ["AgentMachine"]

F = TypeVar("F", bound=Callable[..., Any])

_OF_STREAM = (PlayAudio, Checkpoint, ClearAudio, SendStreamDtmf)
_FOR_THE_CALLER = (Hangup, Play, PlayAudio, SendDtmf, SendStreamDtmf, Speak, Text, Transfer)
# What follows from commands, or ends and begins calls, is left to the platform.
_ITS_OWN = (
    *(AgentSessionEnded, AgentSessionStarted, ClearedAudio, Interruption, PlayedStream),
    *(StreamStart, StreamStop, ToolCall),
)
_words = st.text("abc ä0", min_size=1, max_size=12)
_arguments: st.SearchStrategy[dict[str, object]] = st.dictionaries(
    st.sampled_from(["id", "order_id", "reason"]),
    st.none() | st.booleans() | st.integers(-9, 9) | _words | st.lists(_words, max_size=2),
    max_size=3,
)
_MANY = 1000  # turns without any time passing: far more than a timer needs to be set anew


def _goes_on(*modes: CallMode) -> Callable[[F], F]:
    def holds(machine: Any) -> bool:
        return machine.goes_on and (not modes or machine.mode in modes)

    return precondition(holds)


def _is_legal(event: object) -> bool:
    return not isinstance(event, _ITS_OWN)


def _as_text(message: str | bytes | dict[str, object]) -> str:
    if isinstance(message, dict):
        # Of what JSON cannot say, something near it.
        message = DEFAULT_CODEC.encode(cast("dict[str, object]", _sayable(message)))
    if isinstance(message, str):
        message = message.encode(errors="replace")
    return message.decode(errors="replace")


def _sayable(value: object) -> object:
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return {name: _sayable(member) for name, member in members.items()}
    if isinstance(value, list):
        return [_sayable(member) for member in cast("list[object]", value)]
    if isinstance(value, float) and value - value != 0:  # an infinity, or not a number
        return None
    return value


def _spells_nothing(message: str) -> bool:
    """Whether the message is neither part of the call's order nor a caller's act."""
    event = parse_event(message)
    return _is_legal(event) and not isinstance(event, (Dtmf, StreamDtmf))


def _lasted(machine: AgentMachine) -> bool:
    """Most calls should last for a while."""
    return machine.steps > 3


class AgentMachine(RuleBasedStateMachine):
    """Fuzzes an agent: ``TestMyAgent = MyMachine.TestCase`` of a subclass that has :meth:`react`.

    A simulated platform calls it. The rules are what callers, the model and the network do; time is
    by number. Each ``check_...`` method is a promise that every agent should keep, and raises
    AssertionError where it is broken; override one to ask for more or for less.
    """

    modes: Sequence[CallMode] = ("agent", "text", "raw", "stream")
    """The kinds of call the agent takes."""
    tools: Sequence[str] = ("check_order", "end_call")
    """What the model may call, in modes ``agent`` and ``raw``."""
    pieces: Sequence[int] = (0, 0, 0, 1, 7)
    """How many bytes may arrive at a time; 0: all that there are."""
    tool_seconds: float = 30.0
    """How long a tool may take to be answered."""
    barge_in_seconds: float = 1.0
    """How long the agent may be heard after an interruption."""

    # -- what you write ------------------------------------------------------------------------

    def react(self, session: SessionCommands, event: Event) -> None:
        """Your agent, ``session`` being the core's Session. State belongs in ``self``."""
        raise NotImplementedError("override react(), or make_agent()")

    def deadline(self) -> float | None:
        """When to call :meth:`wake`, if your agent has timers; see ``session.now``."""
        return None

    def wake(self, session: SessionCommands) -> None:
        """That time has come."""

    def make_agent(self, now: float) -> AgentEnd:
        """The agent's end of a new connection; by default one that reacts."""
        return ReactingAgent(self.react, now=now, deadline=self.deadline, wake=self.wake)

    def tool_calls(self) -> st.SearchStrategy[tuple[str, dict[str, object]]]:
        """Names and arguments of tools; a model may well call them with what does not fit."""
        return st.tuples(st.sampled_from(list(self.tools)), _arguments)

    # -- what happens --------------------------------------------------------------------------

    @initialize(
        mode=st.runner().flatmap(lambda machine: st.sampled_from(list(machine.modes))),
        piece=st.runner().flatmap(lambda machine: st.sampled_from(list(machine.pieces))),
    )
    def the_phone_rings(self, mode: CallMode, piece: int) -> None:
        """The agent accepts a call whose bytes come in pieces of that size; 0: whole."""
        self.mode: CallMode = mode
        self.now = 100.0
        self.steps = 0
        self.commands: list[Command] = []
        """Everything the agent has sent."""
        self.open_tools: dict[str, tuple[ToolCall, float]] = {}
        """Tool calls that wait for an answer, and when they must have it."""
        self.answered: set[str] = set()
        self.interrupted_at: float | None = None
        """Since when the agent should be silent; None: the caller has acted since."""
        self.hung_up = False
        """Whether the agent has hung up."""
        self._failed = False
        self._run = ScenarioRun(
            LiveScenario(
                title="call-1", mode=mode, settings=AgentSettings(), seconds_per_character=0.06
            ),
            random_bytes=bytes,
            now=self.now,
            on_received=self._received,
        )
        self.agent = self.make_agent(self.now)
        self._deliver()
        if self.goes_on and piece:
            self._play(Fault("split", "cut", size=piece))

    @_goes_on("agent", "text")
    @rule(words=_words)
    def the_caller_says(self, words: str) -> None:
        self._caller_acts(CallerSays(words))

    @_goes_on()
    @rule(keys=st.lists(st.sampled_from([*"0123456789*#", ""]), min_size=1, max_size=3))
    def the_caller_presses(self, keys: Sequence[str]) -> None:
        """Keys, of which an empty one was lost on the way: events may lack any member."""
        for digit in keys:
            if self.mode != "stream":
                self._caller_acts(Emit(Dtmf(digit=digit)))
            if self.mode in ("raw", "stream"):
                self._caller_acts(Emit(StreamDtmf(digit=digit, track="inbound")))

    @_goes_on("raw", "stream")
    @rule(frames=st.integers(1, 5))
    def the_caller_makes_a_sound(self, frames: int) -> None:
        self._caller_acts(CallerPlays(bytes([0x7F]) * 160 * frames))

    @_goes_on("agent", "text", "raw")
    @rule(frames=st.integers(0, 3))
    def the_caller_interrupts(self, frames: int) -> None:
        """The caller talks over the agent; in mode ``raw`` behind so many frames of sound."""
        if self.mode == "raw":
            if frames:
                self.the_caller_makes_a_sound(frames)
            if self.call.playback.lead_ms(self.now) > 0:
                self.interrupted_at = self.now
        self._play(Interrupt())

    @_goes_on("agent")
    @rule(words=_words, to_the_end=st.booleans())
    def the_model_says(self, words: str, to_the_end: bool) -> None:
        self._play(AgentSpeaks(words, wait=to_the_end))

    @_goes_on("agent", "raw")
    @rule(call=st.runner().flatmap(lambda machine: machine.tool_calls()))
    def the_model_calls(self, call: tuple[str, dict[str, object]]) -> None:
        name, arguments = call
        tool = ToolCall(
            id=f"tool-{len(self.open_tools) + len(self.answered) + 1}",
            name=name,
            arguments=arguments,
        )
        self.open_tools[tool.id] = tool, self.now + self.tool_seconds
        self._caller_acts(Emit(tool))

    @_goes_on("agent", "text", "raw")
    @rule(event=agent_events().filter(_is_legal))
    def the_platform_tells(self, event: AgentEvent) -> None:
        """Any event, with any of its members missing or odd."""
        self._caller_acts(Emit(event))

    @_goes_on("raw", "stream")
    @rule(event=stream_events().filter(_is_legal))
    def the_stream_tells(self, event: StreamEvent) -> None:
        self._caller_acts(Emit(event))

    @_goes_on()
    @rule(message=hostile_messages().map(_as_text).filter(_spells_nothing))
    def a_message_is_odd(self, message: str) -> None:
        """What no platform should send."""
        self._caller_acts(Fault("garbage", "odd", text=message))

    @rule(seconds=st.sampled_from([0.02, 0.5, 2.0, 16.0]))
    def time_passes(self, seconds: float) -> None:
        self._wait(self.now + seconds)

    @_goes_on()
    @precondition(_lasted)
    @rule(how=st.sampled_from(["hangs up", "hangs up", "loses the line"]))
    def the_caller(self, how: str) -> None:
        self._play(HangUp() if how == "hangs up" else Fault("drop", how))

    # -- what must hold ------------------------------------------------------------------------

    def check_command(self, command: Command) -> None:
        """All checks of one command."""
        self.check_is_known(command)
        self.check_fits_mode(command)
        self.check_tool_answer(command)
        self.check_end(command)
        self.check_barge_in(command)

    def check_is_known(self, command: Command) -> None:
        """Plivo knows the command."""
        if isinstance(command, RawCommand):
            self.fail("sent what Plivo does not know", command)

    def check_fits_mode(self, command: Command) -> None:
        """No audio without a stream, and no words to a model where there is none."""
        if isinstance(command, _OF_STREAM) and self.mode in ("agent", "text"):
            self.fail("has no stream for", command)
        if not isinstance(command, _OF_STREAM) and self.mode == "stream":
            self.fail("has nobody to take, on a plain stream,", command)

    def check_tool_answer(self, command: Command) -> None:
        """Each tool call is answered once, and nothing else is."""
        if not isinstance(command, (ToolResult, ToolError)):
            return
        if command.id in self.answered:
            self.fail("answered a tool a second time with", command)
        if self.open_tools.pop(command.id, None) is None:
            self.fail("answered a tool that nobody called with", command)
        self.answered.add(command.id)

    def check_end(self, command: Command) -> None:
        """Nothing is said to the caller behind a hang-up, nor after the end."""
        if isinstance(command, _FOR_THE_CALLER):
            if self.hung_up:
                self.fail("had hung up, and sent", command)
            if self.call.finished:
                self.fail("was told of the end, and sent", command)
        self.hung_up = self.hung_up or isinstance(command, Hangup)

    def check_barge_in(self, command: Command) -> None:
        """Whoever is interrupted sends no more audio before the caller has had a turn."""
        if isinstance(command, PlayAudio) and self.interrupted_at is not None:
            self.fail("was interrupted, and went on with", command)

    def check_silence(self) -> None:
        """What was queued when the caller interrupted is cleared, or over soon."""
        since, lead_ms = self.interrupted_at, self.call.playback.lead_ms(self.now)
        if since is not None and self.now > since + self.barge_in_seconds and lead_ms > 0:
            self.fail(f"is still to be heard for {lead_ms:.0f} ms after an interruption")

    def check_tools_in_time(self) -> None:
        """No tool call waits for too long while the call goes on."""
        for tool, due in self.open_tools.values():
            if self.now > due:
                self.fail(f"did not answer within {self.tool_seconds:g} s", tool)

    def check_error(self, event: Event | None, error: Exception) -> None:
        """Nothing the agent's code raises escapes from it."""
        at = "its own timer" if event is None else repr(event)
        self.fail(f"raised {type(error).__name__} ({error}) at {at}", cause=error)

    def fail(self, what: str, about: object = None, *, cause: Exception | None = None) -> NoReturn:
        """Raise AssertionError: "the agent" and this. Hypothesis tells the way that led there."""
        self._failed = True
        named = "" if about is None else f" {about!r}"
        raise AssertionError(
            f"the agent {what}{named}, {self.now - 100:g} s into the call"
        ) from cause

    # -- inside --------------------------------------------------------------------------------

    @property
    def call(self) -> LiveCall:
        """The platform's side, with all that the caller hears in ``playback``."""
        call = self._run.call
        assert isinstance(call, LiveCall)
        return call

    @property
    def goes_on(self) -> bool:
        """Whether the call does."""
        return not self._run.finished and not self.call.finished

    def teardown(self) -> None:
        """Let everything come that is due; then the caller hangs up."""
        if not hasattr(self, "agent"):
            return
        try:
            if not self._failed:
                self._wait(self.now + self.tool_seconds + 1)
                if self.goes_on:
                    self._play(HangUp())
                self._wait(self.now + self.tool_seconds)
        finally:
            self.agent.stop()

    def _caller_acts(self, step: Step) -> None:
        self.interrupted_at = None
        self._play(step)

    def _play(self, step: Step) -> None:
        if not self.goes_on:
            return
        self.steps += 1
        self.call.play(step, now=self.now)
        self._run.handle_timeout(now=self.now)
        self._deliver()
        while not self.call.finished and self.call.waiting:
            due = self.call.deadline()
            assert due is not None  # a step that is waited for has one
            self._wait(due)

    def _wait(self, until: float) -> None:
        turns = 0
        while True:
            due = self._run.deadline()
            due = until if due is None else max(self.now, min(until, due))
            before, self.now = self.now, max(self.now, self.agent.wait(due))
            self._run.handle_timeout(now=self.now)
            self._deliver()
            if self.now >= until:
                return
            turns = 0 if self.now > before else turns + 1
            if turns > _MANY:
                self.fail("has a timer that is due for ever: deadline() does not move")

    def _deliver(self) -> None:
        """Everything that is said arrives, both ways."""
        run, agent = self._run, self.agent
        moved = True
        while moved:
            moved = False
            while data := run.data_to_send():
                agent.receive_data(data, now=self.now)
                self._look()
                moved = True
            if (action := run.next_action()) is not None:
                assert action is SocketAction.DROP
                agent.receive_eof(now=self.now)
                self._look()
                moved = True
            while data := agent.data_to_send():
                run.receive_data(data, now=self.now)
                moved = True
            if agent.closed and not run.finished:
                run.receive_eof(now=self.now)
            self._look()

    def _look(self) -> None:
        errors = self.agent.errors
        found = list(errors)
        errors.clear()
        for event, error in found:
            self.check_error(event, error)
        if self.goes_on:
            self.check_silence()
            self.check_tools_in_time()

    def _received(self, command: Command | InvalidMessage) -> None:
        if isinstance(command, InvalidMessage):
            self.fail("sent what is no command:", command)
        self.commands.append(command)
        self.check_command(command)
