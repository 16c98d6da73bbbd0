"""Both ends of a call over a lossy pipe: whatever happens, each keeps its promises.

The application's end reacts to events, the platform's end plays a script. The pipe delays, cuts
bytes anywhere, stalls, half-closes and breaks; time moves by number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from plivo_core import (
    ClientConnection,
    Ended,
    InvalidMessage,
    RequestReceived,
    SendQueueFull,
    ServerConnection,
    SessionClosedError,
    State,
    ToolCallExpired,
    Upgraded,
)
from plivo_core.commands import Command, ToolError, ToolResult
from plivo_core.events import Dtmf, Interruption, Prompt, StreamMedia, ToolCall
from plivo_core.platform import PlatformCall
from plivo_core.session import ToolCallState
from plivo_core.testing import scripts
from tests.core.calls import frames, is_over, random_bytes

CLOSE = 8


class Pipe:
    """One direction: what was written and not yet read."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.written = bytearray()
        self.eof = False
        self.stalled = False
        self.broken = False

    def write(self, data: bytes) -> None:
        assert not self.eof
        self.data += data
        self.written += data


class Side:
    """One end and its driver: drain events, then bytes, then look at the deadline."""

    def __init__(
        self,
        conn: ServerConnection | ClientConnection,
        out: Pipe,
        react: Callable[[Any], None],
    ) -> None:
        self.conn = conn
        self.out = out
        self.react = react
        self.events: list[Any] = []
        self.failed = False

    @property
    def ended(self) -> bool:
        return any(isinstance(event, Ended) for event in self.events)

    def drain_events(self) -> None:
        while (event := self.conn.next_event()) is not None:
            assert not self.ended
            self.events.append(event)
            self.react(event)

    def pump(self, now: float) -> None:
        self.drain_events()
        if not (self.out.stalled or self.out.broken or self.out.eof):
            while data := self.conn.data_to_send():
                self.out.write(data)
        elif self.out.broken and not self.failed:
            self.failed = True
            self.conn.send_failed(now=now)
            self.drain_events()
        if self.ended:
            assert self.conn.next_event() is None
            assert self.conn.deadline() is None
            if self.conn.should_close_transport:
                self.out.eof = True
        else:
            assert not self.conn.should_close_transport
            assert self.conn.deadline() is not None


class CallMachine(RuleBasedStateMachine):
    @initialize(
        case=st.one_of(
            st.tuples(st.just("agent"), scripts("agent")),
            st.tuples(st.just("text"), scripts("text")),
            st.tuples(st.just("raw"), scripts("raw")),
            st.tuples(st.just("stream"), scripts("stream")),
        ),
        answered=st.sampled_from([True, True, True, False]),
    )
    def dial(self, case: Any, answered: bool) -> None:
        mode, script = case
        self.now = 100.0
        self.platform = PlatformCall(script, mode=mode)
        self.connected = False
        self.checkpoints = 0
        self.late: list[str] = []
        server = ServerConnection(now=self.now)
        client = ClientConnection(host="localhost", random_bytes=random_bytes, now=self.now)
        self.session = server.session
        self.app = Side(server, Pipe(), self.the_app_reacts)
        self.caller = Side(client, Pipe(), self.the_platform_reacts)
        self.server, self.client = server, client
        self.pump()
        if answered:
            self.everything_arrives(100_000)

    # -- the application and the platform ------------------------------------------------------

    def say(self, command: Callable[[], None]) -> None:
        try:
            command()
        except SessionClosedError:
            assert self.session.state is State.ENDED
        except SendQueueFull:
            assert self.session.state is State.ENDED

    def the_app_reacts(self, event: Any) -> None:
        session = self.session
        if isinstance(event, RequestReceived):
            self.server.accept(now=self.now)
        elif isinstance(event, ToolCall):
            choice = len(event.id) + len(event.name)
            if choice % 3 == 0:
                self.say(lambda: session.send_tool_result(event.id, {"ok": True}))
            elif choice % 3 == 1:
                self.say(lambda: session.send_tool_error(event.id, "no"))
            else:
                self.late.append(event.id)
        elif isinstance(event, StreamMedia):
            self.say(lambda: session.send_media(event.payload))
            self.place_a_checkpoint()
        elif isinstance(event, Interruption):
            self.say(session.clear_audio)
        elif isinstance(event, Prompt) and event.is_final:
            self.say(lambda: session.send_text(event.text))
            self.say(lambda: session.send_text("", last=True))
        elif isinstance(event, Dtmf):
            if event.digit == "#":
                self.say(session.hangup)
            elif event.digit == "*":
                self.server.close(4000, "star", now=self.now)

    def place_a_checkpoint(self) -> None:
        self.checkpoints += 1
        self.say(lambda: self.session.send_checkpoint(f"c{self.checkpoints}"))

    def the_platform_reacts(self, event: Any) -> None:
        if isinstance(event, Upgraded):
            self.connected = True
            self.platform.start(now=self.now)
        elif not isinstance(event, Ended):
            self.platform.receive_command(event, now=self.now)
        self.the_platform_sends()

    def the_platform_sends(self) -> None:
        while (event := self.platform.next_event()) is not None:
            try:
                self.client.send(event, now=self.now)
            except (SessionClosedError, SendQueueFull):
                pass

    def pump(self) -> None:
        self.app.pump(self.now)
        self.caller.pump(self.now)

    # -- the network ---------------------------------------------------------------------------

    def deliver(self, sender: Side, receiver: Side, count: int) -> bool:
        pipe = sender.out
        if pipe.data:
            receiver.conn.receive_data(bytes(pipe.data[:count]), now=self.now)
            del pipe.data[:count]
        elif pipe.eof:
            receiver.conn.receive_eof(now=self.now)
            return False
        else:
            return False
        self.pump()
        return True

    @rule(count=st.sampled_from([1, 2, 7, 50, 1000]), to_app=st.booleans())
    def bytes_arrive(self, count: int, to_app: bool) -> None:
        sender, receiver = (self.caller, self.app) if to_app else (self.app, self.caller)
        self.deliver(sender, receiver, count)
        self.pump()

    @rule(count=st.sampled_from([3, 100, 100_000]))
    def everything_arrives(self, count: int) -> None:
        going = True
        while going:
            going = self.deliver(self.caller, self.app, count)
            going = self.deliver(self.app, self.caller, count) or going
        self.pump()

    @rule(seconds=st.sampled_from([0.02, 0.5, 2, 16]), flowing=st.sampled_from([True, True, False]))
    def time_passes(self, seconds: float, flowing: bool = True) -> None:
        until = self.now + seconds
        for _ in range(2000):
            clocks: list[Any] = [self.server, self.client]
            if self.connected:
                clocks.append(self.platform)
            due = min(
                (at for clock in clocks if (at := clock.deadline()) is not None), default=None
            )
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            for clock in clocks:
                clock.handle_timeout(now=self.now)
            self.the_platform_sends()
            self.pump()
            if flowing:
                self.everything_arrives(100_000)
        else:
            raise AssertionError("handle_timeout() does not move the deadline")
        self.now = until

    # Most calls must live for a while, so most of the drawn troubles are none.
    @rule(
        trouble=st.sampled_from(["none"] * 6 + ["stall"] * 2 + ["eof", "reset"]), app=st.booleans()
    )
    def the_network_has_trouble(self, trouble: str, app: bool) -> None:
        out = (self.app if app else self.caller).out
        if trouble == "stall":
            out.stalled = True
        elif trouble == "eof":  # one direction is closed, the other still works
            out.eof = out.broken = True
        elif trouble == "reset":
            for side in (self.app, self.caller):
                side.out.data.clear()
                side.out.eof = side.out.broken = True
        else:
            self.app.out.stalled = self.caller.out.stalled = False
        self.pump()

    # -- what the application and the platform do by themselves --------------------------------

    @rule(what=st.sampled_from(["speak", "media", "checkpoint", "clear", "flood", "hangup"]))
    def the_application_speaks(self, what: str) -> None:
        if not any(isinstance(event, RequestReceived) for event in self.app.events):
            return
        session = self.session
        if what == "speak":
            self.say(lambda: session.speak("hello"))
        elif what == "media":
            for _ in range(100):
                self.say(lambda: session.send_media("f39/" * 40))
        elif what == "checkpoint":
            self.place_a_checkpoint()
        elif what == "clear":
            self.say(session.clear_audio)
        elif what == "hangup":
            self.say(session.hangup)
        else:
            for _ in range(5):
                self.say(lambda: session.inject("x" * 250_000))
        self.pump()

    @rule(error=st.booleans())
    def a_late_answer_is_given(self, error: bool) -> None:
        if self.late:
            id = self.late.pop()
            if error:
                self.say(lambda: self.session.send_tool_error(id, "sorry"))
            else:
                self.say(lambda: self.session.send_tool_result(id, None))
            self.pump()

    @rule(side=st.sampled_from(["neither"] * 5 + ["app", "platform"]))
    def one_side_closes(self, side: str) -> None:
        if side == "app":
            self.server.close(4001, now=self.now)
        elif side == "platform":
            self.client.close(1001, "away", now=self.now)
        self.pump()

    @rule(junk=st.sampled_from(["frame", "text", "bytes", "many"]))
    def the_platform_misbehaves(self, junk: str) -> None:
        if not self.connected:
            return
        try:
            if junk == "frame":
                self.client.send_text("x" * 70_000, now=self.now)
            elif junk == "many":
                for _ in range(7):
                    self.client.send_text("{", now=self.now)
            else:
                self.client.send_text("[]" if junk == "text" else b"\xff", now=self.now)
        except SessionClosedError:
            pass
        self.pump()

    # -- what must hold ------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "platform"):
            return
        self.time_passes(200, flowing=False)  # silence: every wait is bounded
        for side in (self.app, self.caller):
            assert isinstance(side.events[-1], Ended)
            side.out.stalled = side.out.broken = side.out.eof = False
            side.pump(self.now)
            assert is_over(side.conn)
            self.check_bytes(bytes(side.out.written))
        self.check_tool_calls()
        assert self.session.playback.pending == ()
        assert self.session.state is State.ENDED

    def check_bytes(self, written: bytes) -> None:
        _, _, after_head = written.partition(b"\r\n\r\n")
        opcodes = [opcode for opcode, _ in frames(after_head)]
        assert CLOSE not in opcodes[:-1]

    def check_tool_calls(self) -> None:
        events = self.app.events
        called = [event.id for event in events if isinstance(event, ToolCall)]
        expired = Counter(event.id for event in events if isinstance(event, ToolCallExpired))
        heard: list[Command | InvalidMessage] = self.caller.events
        answered = Counter(e.id for e in heard if isinstance(e, ToolResult | ToolError))
        for id in called:
            state = self.session.tool_calls.state(id)
            assert state not in (None, ToolCallState.PENDING)
            assert expired[id] <= 1
            assert answered[id] <= 1
            if answered[id]:
                assert state in (ToolCallState.RESULT, ToolCallState.ERROR)
        assert set(expired) <= set(called)


TestCallMachine = CallMachine.TestCase
TestCallMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
