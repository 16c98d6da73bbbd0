"""The machine that users subclass to fuzz their agent: a good agent passes, each bug is found."""

from __future__ import annotations

import re
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from plivo_core import Session
from plivo_core.commands import Command, RawCommand, SessionCommands, Speak, ToolResult
from plivo_core.events import (
    AgentSessionEnded,
    Dtmf,
    Ended,
    Event,
    Interruption,
    PlayedStream,
    Prompt,
    StreamDtmf,
    StreamMedia,
    StreamStart,
    ToolCall,
    ToolCallExpired,
)
from plivo_core.testing import AgentEnd, AgentMachine, CallMode, ReactingAgent
from plivo_core.testing._machine import _as_text

M = TypeVar("M", bound=AgentMachine)
SPEECH = "f39/" * 400  # 200 ms of mu-law, in base64


class GoodAgent(AgentMachine):
    """Answers in every mode; a slow tool is answered later, by a timer of its own."""

    tools = ("check_order", "slow_report", "end_call")

    def __init__(self) -> None:
        super().__init__()
        self.slow: list[tuple[float, str]] = []
        self.clock = 0.0
        self.has_hung_up = False

    def react(self, session: SessionCommands, event: Event) -> None:
        if isinstance(event, ToolCall):
            self.answer(session, event)
        elif isinstance(event, ToolCallExpired):
            self.slow = [item for item in self.slow if item[1] != event.id]
        elif isinstance(event, Prompt):
            if event.is_final and self.mode == "text":
                session.send_text(f"You said {event.text}", last=True)
        elif isinstance(event, Dtmf):
            if self.mode != "stream" and not self.has_hung_up:
                session.speak(f"You pressed {event.digit or 'nothing'}.")
        elif isinstance(event, (StreamMedia, StreamDtmf)):
            if self.mode in ("raw", "stream") and not self.has_hung_up:
                session.send_media(SPEECH)
        elif isinstance(event, Interruption) and self.mode == "raw":
            session.clear_audio()

    def answer(self, session: SessionCommands, call: ToolCall) -> None:
        if call.name == "slow_report":
            self.slow.append((self.now + 3, call.id))
        elif call.name == "end_call":
            session.send_tool_result(call.id, "goodbye")
            if not self.has_hung_up:
                self.has_hung_up = True
                session.hangup()
        else:
            session.send_tool_result(call.id, {"order": call.arguments.get("order_id")})

    def deadline(self) -> float | None:
        return min((due for due, _ in self.slow), default=None)

    def wake(self, session: SessionCommands) -> None:
        _, id = self.slow.pop(0)
        session.send_tool_result(id, "all is well")


def fuzz(machine: type[AgentMachine], *, examples: int) -> None:
    within = settings(
        max_examples=examples,
        stateful_step_count=20,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # to shrink is hypothesis's business, and takes its time
    )
    run_state_machine_as_test(machine, settings=within)  # type: ignore[no-untyped-call]


def test_a_good_agent_passes() -> None:
    fuzz(GoodAgent, examples=30)


class AnswersTwice(GoodAgent):
    modes = ("agent", "raw")

    def react(self, session: SessionCommands, event: Event) -> None:
        super().react(session, event)
        if isinstance(event, ToolCall) and event.name == "check_order":
            session.send_raw({"type": "tool.result", "id": event.id, "result": 1})


class NeverAnswers(GoodAgent):
    modes = ("agent",)
    tools = ("check_order",)

    def answer(self, session: SessionCommands, call: ToolCall) -> None:
        if len(call.arguments) == 1:
            super().answer(session, call)


class SpeaksAfterHangingUp(GoodAgent):
    modes = ("agent",)
    tools = ("end_call",)

    def answer(self, session: SessionCommands, call: ToolCall) -> None:
        super().answer(session, call)
        if call.name == "end_call":
            session.speak("Goodbye!")


class SpeaksAfterTheEnd(GoodAgent):
    def react(self, session: SessionCommands, event: Event) -> None:
        super().react(session, event)
        if isinstance(event, AgentSessionEnded):
            session.speak("Goodbye!")


class WritesToTheDead(GoodAgent):
    def react(self, session: SessionCommands, event: Event) -> None:
        super().react(session, event)
        if isinstance(event, Ended):
            session.inject("The call is over.")


class CrashesOnAnOddPayload(GoodAgent):
    tools = ("check_order",)

    def react(self, session: SessionCommands, event: Event) -> None:
        super().react(session, event)
        if isinstance(event, Dtmf):
            self.last_key = int(event.digit)


class ReadsKeysBackByTone(GoodAgent):
    tools = ("check_order",)

    def react(self, session: SessionCommands, event: Event) -> None:
        super().react(session, event)
        if isinstance(event, Dtmf):
            session.send_dtmf(event.digit)


class TalksOn(GoodAgent):
    modes = ("raw",)

    def react(self, session: SessionCommands, event: Event) -> None:
        if isinstance(event, Interruption) and self.mode == "raw":
            session.clear_audio()
            session.send_media(SPEECH)  # the rest of the sentence
        else:
            super().react(session, event)


class ClearsNothing(GoodAgent):
    modes = ("raw",)

    def react(self, session: SessionCommands, event: Event) -> None:
        if isinstance(event, Interruption):
            return
        for _ in range(20):
            super().react(session, event)
            if not isinstance(event, StreamMedia):
                return


class SpeaksOnAPlainStream(GoodAgent):
    def react(self, session: SessionCommands, event: Event) -> None:
        super().react(session, event)
        if isinstance(event, StreamStart) and self.mode == "stream":
            session.speak("Welcome!")


class PlaysWithoutAStream(GoodAgent):
    modes = ("text",)

    def react(self, session: SessionCommands, event: Event) -> None:
        super().react(session, event)
        if isinstance(event, Prompt):
            session.send_media(SPEECH)


class AnswersTheWrongTool(GoodAgent):
    def answer(self, session: SessionCommands, call: ToolCall) -> None:
        session.send_raw({"type": "tool.result", "id": call.name, "result": None})


class InventsACommand(GoodAgent):
    def react(self, session: SessionCommands, event: Event) -> None:
        super().react(session, event)
        if isinstance(event, PlayedStream | Dtmf):
            session.send_raw({"type": "agent_session.sing"})


class SendsNonsense(GoodAgent):
    def react(self, session: SessionCommands, event: Event) -> None:
        super().react(session, event)
        if isinstance(event, Dtmf):
            session.send_raw({"type": "agent_session.speak", "text": 5})


class FailsAtItsTimer(GoodAgent):
    modes = ("agent",)
    tools = ("slow_report",)

    def wake(self, session: SessionCommands) -> None:
        super().wake(session)
        raise OSError("no report")


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (AnswersTwice, r"raised LocalProtocolError \(.* already answered .*\) at ToolCall\("),
        (NeverAnswers, r"did not answer within 30 s ToolCall\(id='tool-\d+'"),
        (SpeaksAfterHangingUp, r"had hung up, and sent Speak\("),
        (SpeaksAfterTheEnd, r"was told of the end, and sent Speak\("),
        (WritesToTheDead, r"raised SessionClosedError \(.*\) at Ended\("),
        (CrashesOnAnOddPayload, r"raised ValueError \(.*\) at Dtmf\("),
        (ReadsKeysBackByTone, r"raised InvalidCommandError \(.*\) at Dtmf\("),
        (TalksOn, r"was interrupted, and went on with PlayAudio\("),
        (ClearsNothing, r"is still to be heard for \d+ ms after an interruption"),
        (SpeaksOnAPlainStream, r"has nobody to take, on a plain stream, Speak\("),
        (PlaysWithoutAStream, r"has no stream for PlayAudio\("),
        (AnswersTheWrongTool, r"answered a tool that nobody called with ToolResult\("),
        (InventsACommand, r"sent what Plivo does not know RawCommand\("),
        (FailsAtItsTimer, r"raised OSError \(no report\) at its own timer"),
    ],
)
def test_each_bug_is_found_and_named(agent: type[AgentMachine], words: str) -> None:
    with pytest.raises(AssertionError) as caught:
        fuzz(agent, examples=1000)
    told = str(caught.value)
    assert re.match(rf"the agent {words}.*, [\d.]+ s into the call$", told, re.DOTALL), told


def test_hypothesis_tells_the_way_to_the_bug() -> None:
    with pytest.raises(AssertionError) as caught:
        fuzz(InventsACommand, examples=1000)
    assert "state.the_phone_rings(" in "\n".join(caught.value.__notes__)


# --- by hand --------------------------------------------------------------------------------------


def a_call(machine: type[M] = GoodAgent, mode: CallMode = "agent", piece: int = 0) -> M:  # type: ignore[assignment]
    """A machine whose call has begun; steps are methods."""
    call = machine()
    call.the_phone_rings(mode, piece)
    return call


def test_a_check_may_ask_for_less() -> None:
    class Lenient(InventsACommand):
        def check_is_known(self, command: Command) -> None:
            pass

    call = a_call(Lenient)
    call.the_caller_presses(["5"])
    assert call.commands == [Speak("You pressed 5."), RawCommand({"type": "agent_session.sing"})]
    call.teardown()


def test_a_check_may_ask_for_more() -> None:
    class Polite(GoodAgent):
        def check_command(self, command: Command) -> None:
            super().check_command(command)
            if isinstance(command, Speak) and "please" not in command.text:
                self.fail("was rude:", command)

    with pytest.raises(AssertionError, match=r"the agent was rude: Speak\(.*\), 0 s into the call"):
        a_call(Polite).the_caller_presses(["5"])


def test_a_second_answer_on_the_wire_is_found() -> None:
    call = a_call()  # whose session would not send one
    call.the_model_calls(("check_order", {}))
    with pytest.raises(AssertionError, match="answered a tool a second time with ToolResult"):
        call.check_command(ToolResult("tool-1", None))


def test_what_is_no_command_is_found() -> None:
    class Speechless(GoodAgent):
        def make_agent(self, now: float) -> AgentEnd:
            return Babbling(self.react, now=now)

    class Babbling(ReactingAgent):
        def receive_data(self, data: bytes, *, now: float) -> None:
            super().receive_data(data, now=now)
            if self.conn.session.call_uuid:
                self.babble = b"\x81\x01{"

        def data_to_send(self) -> bytes:
            data = super().data_to_send()
            if not data:
                data, self.babble = self.babble, b""
            return data

        babble = b""

    with pytest.raises(AssertionError, match="the agent sent what is no command: InvalidMessage"):
        a_call(Speechless).the_caller_presses(["5"])


def test_a_timer_that_stands_still_is_found() -> None:
    class Stuck(GoodAgent):
        def wake(self, session: SessionCommands) -> None:
            pass

    call = a_call(Stuck)
    call.the_model_calls(("slow_report", {}))
    with pytest.raises(AssertionError, match=r"the agent has a timer that is due for ever"):
        call.time_passes(16.0)


def test_bytes_come_in_pieces_and_the_line_breaks() -> None:
    call = a_call(piece=1)
    call.the_caller_says("hello")
    call.the_caller_presses(["5"])
    call.the_caller("loses the line")
    assert not call.goes_on
    call.the_caller_presses(["6"])  # nobody hears it
    assert call.commands == [Speak("You pressed 5.")]
    call.teardown()


def test_an_agent_that_closes_ends_the_call() -> None:
    class Closing(GoodAgent):
        def make_agent(self, now: float) -> AgentEnd:
            self.end = ReactingAgent(self.react, now=now)
            return self.end

        def react(self, session: SessionCommands, event: Event) -> None:
            if isinstance(event, Dtmf):
                self.end.conn.close(4000, now=self.now)
            elif isinstance(event, Ended):
                assert event.code == 4000
            else:
                session.inject("a lost race")

    call = a_call(Closing)
    call.the_caller_presses(["5"])
    assert not call.goes_on
    call.teardown()


def test_an_agent_that_vanishes_ends_the_call() -> None:
    class Vanishing(ReactingAgent):
        @property
        def closed(self) -> bool:
            return self.conn.session.call_uuid is not None

    class Machine(GoodAgent):
        def make_agent(self, now: float) -> AgentEnd:
            return Vanishing(self.react, now=now)

    call = a_call(Machine)
    assert not call.goes_on
    call.teardown()


def test_every_odd_message_is_text_in_the_end() -> None:
    odd: dict[str, object] = {"a": [float("nan"), {"b": float("inf")}], "c": "\ud800"}
    assert _as_text(odd) == '{"a":[null,{"b":null}],"c":"\\ud800"}'
    assert _as_text("\ud800x") == "?x"
    assert _as_text(b"\xffx") == "\ufffdx"


def test_without_an_agent_there_is_nothing_to_fuzz() -> None:
    class Empty(AgentMachine):
        pass

    call = Empty()
    call.teardown()  # hypothesis does that, too, when no call has begun
    with pytest.raises(
        AssertionError, match=r"NotImplementedError \(override react\(\), or make_ag"
    ):
        call.the_phone_rings("agent", 0)
    call.teardown()
    call.wake(Session(now=0.0))
    assert call.deadline() is None
